"""Explore a space: take every step from every state, judge the result, count the orders."""

from __future__ import annotations

import gc
from collections import deque
from dataclasses import dataclass, field

from exhaustive.judge import Judge
from exhaustive.space import Move, Space, State


class BrokenError(AssertionError):
    """A promise does not hold. `trail` is a shortest list of steps that lead there."""

    def __init__(self, why: BaseException, trail: list[str]) -> None:
        lines = "".join(f"\n  {number}. {step}" for number, step in enumerate(trail, 1))
        super().__init__(f"{why}, after{lines}")
        self.trail = trail


@dataclass(frozen=True, slots=True)
class Count:
    """The size of a space. `orders` counts the interleavings: all ways from the start to an end.

    `anew` counts the steps that settle a token which had failed before.
    """

    states: int
    steps: int
    orders: int
    ends: int
    databases: int
    transactions: int
    anew: int

    def __str__(self) -> str:
        return (
            f"{self.orders:,} interleavings of {self.steps:,} steps between {self.states:,} states;"
            f" {self.ends:,} ends, {self.databases:,} databases, {self.transactions:,} commits made"
        )


@dataclass(slots=True)
class _Graph:
    """States by number, in the order in which they were found, the nearest to the start first."""

    numbers: dict[State, int] = field(default_factory=dict)
    # Per state, the (state, step) from which it was found.
    found: list[tuple[int, Move | None]] = field(default_factory=list)
    # Per state, the (state, number of ways) that it leads to.
    ways: list[list[tuple[int, int]]] = field(default_factory=list)

    def number(self, state: State, came: int, move: Move | None) -> tuple[int, bool]:
        known = self.numbers.get(state)
        if known is not None:
            return known, False
        self.numbers[state] = len(self.found)
        self.found.append((came, move))
        self.ways.append([])
        return len(self.found) - 1, True

    def trail(self, number: int) -> list[str]:
        steps: list[str] = []
        came, move = self.found[number]
        while move is not None:
            steps.append(str(move))
            came, move = self.found[came]
        return steps[::-1]

    def orders(self) -> int:
        """Count all ways from the start to an end. Asserts that no steps lead in a circle."""
        comers = [0] * len(self.found)
        for further in self.ways:
            for to, _ in further:
                comers[to] += 1
        counts = [0] * len(self.found)
        counts[0], total, done = 1, 0, 0
        ready = [0]
        while ready:
            number = ready.pop()
            done += 1
            if not self.ways[number]:
                total += counts[number]
            for to, ways in self.ways[number]:
                counts[to] += ways * counts[number]
                comers[to] -= 1
                if not comers[to]:
                    ready.append(to)
        assert done == len(self.found), "LIVE: some steps lead in a circle, and may never end"
        return total


def explore(space: Space, judge: Judge) -> Count:
    """Explore `space`. Raises `BrokenError` at the broken promise that is nearest to the start."""
    # States are never freed; searching them for garbage takes a quarter of the time.
    gc.disable()
    try:
        return _explore(space, judge)
    finally:
        gc.enable()


def _explore(space: Space, judge: Judge) -> Count:
    graph, steps, ends = _Graph(), 0, 0
    start = space.start()
    graph.number(start, 0, None)
    todo = deque([start])
    while todo:
        state = todo.popleft()
        here = graph.numbers[state]
        try:
            for move in space.moves(state):
                there, is_new = graph.number(move.to, here, move)
                graph.ways[here].append((there, move.ways))
                _judge(judge, state, move, is_new, graph)
                if is_new:
                    todo.append(move.to)
            if not graph.ways[here]:
                ends += 1
                judge.end(state)
        except BrokenError:
            raise
        except Exception as why:
            raise BrokenError(why, graph.trail(here)) from why
        steps += len(graph.ways[here])
    disk, made = space.program.disk, space.program.executions
    return Count(len(graph.found), steps, graph.orders(), ends, len(disk), made, judge.anew)


def _judge(judge: Judge, state: State, move: Move, is_new: bool, graph: _Graph) -> None:
    try:
        judge.step(state.database, move.to.database)
        if is_new:
            judge.state(move.to)
    except AssertionError as why:
        trail = [*graph.trail(graph.numbers[state]), str(move)]
        raise BrokenError(why, trail) from why
