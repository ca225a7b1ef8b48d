"""An account moves from one cell to another while its callers retry: is any token evaluated twice?

A cell is reduced to its memory: the tokens it evaluated, and whether it may answer for the account.
Routers learn of a move late, replies are lost, and a request may be under way when a step of the
move runs.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from measure import table

from sametoken.retry import backoff_seconds

_TOKENS, _ROUTERS = 40, 4
# Share of replies that are lost; their requests were evaluated all the same.
_LOST = 0.3
# Longest times: until a token's first request; that a request is under way; until a router learns
# of a switch; between two steps of the move.
_ASKED_SECONDS, _UNDERWAY_SECONDS, _STALE_SECONDS, _STEP_SECONDS = 20.0, 0.5, 5.0, 4.0
_FIRST_STEP_SECONDS = 5.0
# Share of callers that ask once more although they have heard the answer, and how much later: an
# EC2 token outlives its answer.
_LATE_SECONDS, _LATE = 60.0, 0.3


class Step(Enum):
    """A step of a move: a transaction of one cell, or a write to the routers' table."""

    FENCE = auto()  # the old cell refuses the account from here on, retryably
    READ = auto()  # the account's rows are read from the old cell
    WRITE = auto()  # these rows are written to the new cell
    WRITE_WITHOUT_ENTRIES = auto()  # the same, but without the entries of tokens
    SWITCH = auto()  # the new cell answers; each router learns of it in its own time
    UNFENCE = auto()  # the old cell forgets that the account has moved


MOVES: dict[str, Sequence[Step]] = {
    "fence, copy, switch": (Step.FENCE, Step.READ, Step.WRITE, Step.SWITCH),
    "copy, switch (no fence)": (Step.READ, Step.WRITE, Step.SWITCH),
    "switch, copy": (Step.SWITCH, Step.READ, Step.WRITE),
    "fence, copy, switch, fence taken down": (
        Step.FENCE, Step.READ, Step.WRITE, Step.SWITCH, Step.UNFENCE,
    ),
    "copy before the fence": (Step.READ, Step.FENCE, Step.WRITE, Step.SWITCH),
    "fence, resources without entries, switch": (
        Step.FENCE, Step.READ, Step.WRITE_WITHOUT_ENTRIES, Step.SWITCH,
    ),
}  # fmt: skip


@dataclass(slots=True)
class Cell:
    """A cell's memory of the account."""

    answers: bool
    evaluated: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Move:
    """A move of one account between two cells. `made`: the cells that evaluated each token."""

    chance: random.Random
    cells: tuple[Cell, Cell] = field(default_factory=lambda: (Cell(True), Cell(False)))
    routes: list[int] = field(default_factory=lambda: [0] * _ROUTERS)
    made: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    answered: set[int] = field(default_factory=set)
    refused: int = 0
    _copied: frozenset[int] = frozenset()
    _order: Iterator[int] = field(default_factory=itertools.count)
    _due: list[tuple[float, int, tuple[object, ...]]] = field(default_factory=list)

    def run(self, steps: Sequence[Step]) -> None:
        """Play all events in order of time."""
        for token in range(_TOKENS):
            self._at(self.chance.uniform(0.0, _ASKED_SECONDS), "send", token, 1)
        moment = _FIRST_STEP_SECONDS
        for step in steps:
            self._at(moment, "step", step)
            moment += self.chance.uniform(0.1, _STEP_SECONDS)
        while self._due:
            moment, _, event = heapq.heappop(self._due)
            match event:
                case ("send", int(token), int(attempt)):
                    way = self.chance.uniform(0.0, _UNDERWAY_SECONDS)
                    cell = self.chance.choice(self.routes)
                    self._at(moment + way, "arrive", token, attempt, cell)
                case ("arrive", int(token), int(attempt), int(cell)):
                    self._arrive(moment, token, attempt, cell)
                case ("learn", int(router)):
                    self.routes[router] = 1
                case ("step", Step() as step):
                    self._step(moment, step)

    def _at(self, moment: float, *event: object) -> None:
        heapq.heappush(self._due, (moment, next(self._order), event))

    def _arrive(self, moment: float, token: int, attempt: int, number: int) -> None:
        cell = self.cells[number]
        if cell.answers:
            if token not in cell.evaluated:
                cell.evaluated.add(token)
                self.made[token].append(number)
            if self.chance.random() >= _LOST:
                self.answered.add(token)
                if self.chance.random() < _LATE:
                    late = self.chance.uniform(0.0, _LATE_SECONDS)
                    self._at(moment + late, "send", token, 1)
                return
        else:
            self.refused += 1
        wait = backoff_seconds(attempt, self.chance.random())
        self._at(moment + wait, "send", token, attempt + 1)

    def _step(self, moment: float, step: Step) -> None:
        old, new = self.cells
        match step:
            case Step.FENCE:
                old.answers = False
            case Step.UNFENCE:
                old.answers = True
            case Step.READ:
                self._copied = frozenset(old.evaluated)
            case Step.WRITE:
                new.evaluated |= self._copied
            case Step.WRITE_WITHOUT_ENTRIES:
                pass
            case Step.SWITCH:
                new.answers = True
                for router in range(_ROUTERS):
                    late = self.chance.uniform(0.0, _STALE_SECONDS)
                    self._at(moment + late, "learn", router)


def tokens_made_twice(steps: Sequence[Step], moves: int) -> tuple[int, int, int]:
    """Over seeded moves: tokens that two cells evaluated, tokens in all, refusals met meanwhile."""
    twice = total = refused = 0
    for seed in range(moves):
        move = Move(random.Random(seed))
        move.run(steps)
        assert len(move.answered) == _TOKENS, "a caller never heard"
        twice += sum(len(cells) > 1 for cells in move.made.values())
        total += len(move.made)
        refused += move.refused
    return twice, total, refused


def measure(*, moves: int) -> None:
    """Print the number of tokens that each way of moving evaluates in two cells."""
    print(
        f"\n### {moves:,} moves of an account, {_TOKENS} tokens each, {_LOST:.0%} of replies lost\n"
    )
    body = []
    for name, steps in MOVES.items():
        twice, total, refused = tokens_made_twice(steps, moves)
        body.append((name, f"{twice:,} of {total:,}", f"{refused / total:.2f}"))
    print(table(("the move", "tokens evaluated in two cells", "refusals a token"), body))
