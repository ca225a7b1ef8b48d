"""Checks of the promises in each state, at each step and at each end, read by plain SQL.

All callers share one token and one account, so "one set of resources" is one row of each kind. The
judge uses no function of the program, so that a bug there cannot hide itself. Every check is made
once for each state, step or answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from exhaustive.disk import Disk
from exhaustive.program import Answer, Program
from exhaustive.space import NO_ROOM, State
from simulation.promises import require

_INTERNAL = "internal"
_MADE = ("instance", "network-interface", "placement", "volume")
# Living rows beside an instance when no step is left, by the instance's state: kind → state.
_AT_THE_END = {
    "running": {
        "network-interface": "in-use",
        "placement": "reserved",
        "volume": "in-use",
        "machine": "running",
    },
    # Rows that have ended are not counted; a released placement stays.
    "terminated": {"placement": "released"},
}


class Facts(NamedTuple):
    """A state of the database in short. `outcomes` of the token: (state, type asked for, ids)."""

    entries: int
    outcomes: tuple[tuple[str, str, tuple[str, ...]], ...]
    # Maps a kind to its (id, state, has it ended).
    rows: dict[str, list[tuple[str, str, bool]]]
    work: list[tuple[str, Any, Any]]
    machines: list[tuple[str, str]]
    counters: dict[str, int]
    holders: set[str]


@dataclass(frozen=True, slots=True)
class Wants:
    """The intent of a caller: `what` is an instance type to launch, "the end" of the launched
    instance, or "room" for it. `fails` says that the launch will fail on its way."""

    what: str
    fails: bool = False

    @property
    def is_launch(self) -> bool:
        return self.what not in ("the end", "room")

    @property
    def ends(self) -> bool:
        return self.fails or self.what == "the end"


class Judge:
    """Reads every new state of `program`'s disk; its checks raise `Violation`."""

    def __init__(self, program: Program, callers: tuple[Wants, ...]) -> None:
        self._program = program
        self._callers = callers
        self._facts: dict[int, Facts] = {}
        self._steps: set[tuple[int, int]] = set()
        self._states: set[int] = set()
        self._told: set[tuple[int, int, int]] = set()
        # Counts steps that settle a token which had failed before.
        self.anew = 0
        program.disk.look = self._look

    def _look(self, number: int) -> None:
        self._facts[number] = _facts(self._program.disk)

    def step(self, before: int, after: int) -> None:
        """Check P1, P4 and P7: a token stays bound to its intent and to what it has made."""
        if before == after or (before, after) in self._steps:
            return
        self._steps.add((before, after))
        was, now = self._facts[before].outcomes, self._facts[after].outcomes
        if not was:
            return
        require(now, "P7", "{} was forgotten", was)
        require(was[0][1] == now[0][1], "P4", "{} became {}", was, now)
        require(was[0][0] == "failed" or was == now, "P1", "{} became {}", was, now)
        self.anew += was != now

    def state(self, state: State) -> None:
        """Check the rows of a state, and every answer that callers have got by now."""
        if state.database not in self._states:
            self._states.add(state.database)
            _is_one_set(self._facts[state.database])
        for number, caller in enumerate(state.callers):
            if caller.heard is not None:
                key = (state.database, number, caller.heard)
                if key not in self._told:
                    self._told.add(key)
                    self._answer(state.database, number, self._program.value(caller.heard))

    def _answer(self, database: int, number: int, answer: Any) -> None:
        facts, wants = self._facts[database], self._callers[number]
        require(isinstance(answer, Answer), "P5", "the answer is an error of ours: {!r}", answer)
        if not wants.is_launch:
            ids = tuple(id for id, _, _ in facts.rows["instance"])
            require(answer.ids in ((), ids), "P9", "{} ended, where {} is", answer, ids)
            return
        bound = facts.outcomes
        require(bound, "P2", "{} was answered, and no entry says so", answer)
        [(state, type, made)] = bound
        if answer.code == "IdempotentParameterMismatch":
            require(type != wants.what, "P4", "{} was refused its own intent", wants)
            return
        require(
            type == wants.what, "P4", "{} was answered to {}, bound to {}", answer, wants.what, type
        )
        if answer.code == NO_ROOM:
            return
        require(not answer.code, "P5", "{} has no reason", answer)
        # An instance that has ended shows no interfaces, so `made` may name more than the answer.
        ends = any(one.ends for one in self._callers)
        same = answer.ids == made or (ends and answer.ids == made[:2])
        require(state == "settled" and same, "P3", "{} is not {}", answer, bound)

    def end(self, state: State) -> None:
        """Check P8, P9 and LIVE: no step is left, and everything is either done or undone."""
        facts = self._facts[state.database]
        for work in facts.work:
            require(work[1:] == (None, None), "LIVE", "{} is never done", work)
        living = {
            kind: [state for _, state, over in facts.rows[kind] if not over] for kind in _MADE[1:]
        }
        living["machine"] = [state for _, state in facts.machines if state != "absent"]
        wanted: dict[str, str] = {}
        used = {"capacity": 0, "vcpus": 0}
        for id, how, _ in facts.rows["instance"]:
            require(how in _AT_THE_END, "LIVE", "{} stays {}", id, how)
            wanted = _AT_THE_END[how]
            if how == "running":
                used = {"capacity": 1, "vcpus": 2}
            require(self._may_be(state, how), "P9", "{} is {} in the end", id, how)
        found = {kind: states[0] for kind, states in living.items() if states}
        never_placed = not found and "volume" not in wanted
        require(found == wanted or never_placed, "P8", "{} are left, not {}", found, wanted)
        counted = {name: facts.counters.get(name, 0) for name in used}
        require(counted == used, "P8", "{} are in use, not {}", counted, used)
        held = {id for id, _, over in facts.rows["network-interface"] if not over}
        require(facts.holders == held, "P8", "addresses are held by {}", facts.holders)

    def _may_be(self, state: State, how: str) -> bool:
        """Say whether an instance may be in the state `how` at the end.

        It has ended if its launch fails or a terminating caller was answered. A caller that asked
        for the end and got no answer may or may not have been served.
        """
        if any(wants.fails for wants in self._callers):
            return how == "terminated"
        ends = [
            None if caller.heard is None else self._program.value(caller.heard)
            for caller, wants in zip(state.callers, self._callers, strict=True)
            if wants.what == "the end"
        ]
        if any(answer is not None and answer.ids for answer in ends):
            return how == "terminated"
        return how == "running" or None in ends


def _is_one_set(facts: Facts) -> None:
    """Check P1, P5 and P8: at most one row of each kind, and the token's outcome names it."""
    require(facts.entries == len(facts.outcomes), "P5", "a token is claimed for nothing")
    require(facts.entries <= 1, "P1", "one token has {} entries", facts.entries)
    for kind in _MADE:
        require(len(facts.rows[kind]) <= 1, "P1", "one token made {}", facts.rows[kind])
    instances = {id for id, _, _ in facts.rows["instance"]}
    interfaces = {id for id, _, _ in facts.rows["network-interface"]}
    named = {id for _, _, ids in facts.outcomes for id in ids if not id.startswith("r-")}
    require(instances | interfaces == named, "P1", "{} exist, named are {}", instances, named)
    owned = {id for id, _ in facts.machines} | {id for id, _, _ in facts.work}
    require(owned <= instances, "P8", "{} are of nobody", owned)
    if not instances:
        require(not facts.rows["volume"], "P8", "{} is of nobody", facts.rows["volume"])
        require(not facts.rows["placement"], "P8", "{} is of nobody", facts.rows["placement"])
        require(not any(facts.counters.values()), "P8", "{} for nobody", facts.counters)


def _facts(disk: Disk) -> Facts:
    query = disk.query
    rows: dict[str, list[tuple[str, str, bool]]] = {kind: [] for kind in _MADE}
    for kind, id, state, over in query(
        "SELECT kind, id, state, gone_at IS NOT NULL FROM resource ORDER BY id"
    ):
        if kind in rows:
            rows[kind].append((id, state, bool(over)))
    interfaces = tuple(id for id, _, _ in rows["network-interface"])
    outcomes = []
    for state, plain, identities in query(
        "SELECT state, plain, identities FROM idempotency_entry"
        " WHERE account != ? AND state IS NOT NULL",
        _INTERNAL,
    ):
        ids: tuple[str, ...] = ()
        if identities is not None:
            named = json.loads(identities)
            # Identities name no interfaces. All belong to the only instance, or P1 fails elsewhere.
            ids = (named["reservation"], *named["instances"], *interfaces)
        outcomes.append((state, json.loads(json.loads(plain)["InstanceType"]), ids))
    [(entries,)] = query("SELECT count(*) FROM idempotency_entry WHERE account != ?", _INTERNAL)
    counters = {name.partition("/")[0]: used for name, used in query("SELECT * FROM counter")}
    return Facts(
        entries,
        tuple(outcomes),
        rows,
        query("SELECT instance, due_at, lease_until FROM work"),
        query("SELECT instance, state FROM simulated_machine"),
        counters,
        {
            holder
            for (holder,) in query(
                "SELECT holder FROM address UNION SELECT holder FROM public_address"
            )
        },
    )
