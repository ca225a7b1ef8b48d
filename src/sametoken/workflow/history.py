"""The history of an instance's work, packed into a text of its row: who held it, what came of it.

A mark is added wherever the row is written anyway: by each record of a step, by each new plan, and
by a lease that takes work over from an owner whose own ran out. Pure.

A mark is a JSON list, and a history is marks with commas between. Steps are told by their places in
the plans (`plans`), as in the row itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sametoken.store.codec import dumps, loads

# A launch has about a hundred characters. Retries for a quarter of an hour, or years of stops and
# starts, have no end: of these the first and the last part are kept.
CHARACTERS_MAX = 3_000
# Enough for a code and the beginning of its message.
WHY_CHARACTERS_MAX = 120


class What(StrEnum):
    """The kinds of marks."""

    OWNER = "o"  # generation, node: whose lease the marks after it are of
    TAKEN = "t"  # moment, generation, node, node of the owner before, whose lease ran out
    DONE = "d"  # moment, step: that step is done, and all before it
    LATER = "l"  # moment, step, until, why: on its way
    RETRY = "r"  # moment, step, until, why: failed for now
    FAILED = "f"  # moment, step, why, plan: failed for good, and that plan begins
    DIES = "x"  # moment, step, until, why, plan: done, and the machine dies then
    NEXT = "n"  # moment, plan: the plan is done, and that one follows
    ORDERED = "p"  # moment, plan: a caller has that plan begin
    CUT = "c"  # how many marks were left out; epoch, plan, generation, node as they are there


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as it is read. Members that its kind lacks are empty.

    `plan` is the plan that the step is of, `epoch` counts the instance's plans; `to` is the plan
    that begins with this mark. Moments are milliseconds since 1970.
    """

    what: What
    epoch: int
    plan: str
    generation: int
    node: str
    at_ms: int = 0
    step: int = 0
    until_ms: int | None = None
    why: str = ""
    to: str = ""
    left_by: str = ""
    left_out: int = 0


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def mark(what: What, *values: int | str) -> str:
    """Write one mark."""
    return dumps([what.value, *values])


def joined(history: str, *marks: str) -> str:
    """Return the history with further marks, the middle of it left out if it is too long."""
    text = ",".join((history, *marks)) if history else ",".join(marks)
    return text if len(text) <= CHARACTERS_MAX else _shortened(text)


def cut(why: str) -> str:
    """Return the part of an error that is kept."""
    return why if len(why) <= WHY_CHARACTERS_MAX else f"{why[: WHY_CHARACTERS_MAX - 1]}…"


def read(history: str, plan: str = "launch") -> list[Mark]:
    """Return the marks of a history that began with `plan`, oldest first."""
    return list(_read(loads(f"[{history}]"), plan))


@dataclass(slots=True)
class _Held:
    """Where a reader of marks is."""

    plan: str
    epoch: int = 0
    generation: int = 0
    node: str = ""
    found: list[Mark] = field(default_factory=list)

    def switch(self, plan: str) -> None:
        self.plan, self.epoch = plan, self.epoch + 1


def _read(marks: Sequence[Sequence[Any]], plan: str) -> Iterator[Mark]:
    held = _Held(plan)
    for kind, *values in marks:
        made = _one(held, What(kind), values)
        if made is not None:
            yield made
        if made is not None and made.to:
            held.switch(made.to)


def _one(held: _Held, what: What, values: Sequence[Any]) -> Mark | None:
    """Read a mark; None for one that only says who the others are of."""

    def made(**members: Any) -> Mark:
        return Mark(what, held.epoch, held.plan, held.generation, held.node, **members)

    match what:
        case What.OWNER:
            held.generation, held.node = values
            return None
        case What.TAKEN:
            at_ms, held.generation, held.node, left_by = values
            return made(at_ms=at_ms, left_by=left_by)
        case What.DONE:
            return made(at_ms=values[0], step=values[1])
        case What.LATER | What.RETRY:
            at_ms, step, until_ms, why = values
            return made(at_ms=at_ms, step=step, until_ms=until_ms, why=why)
        case What.FAILED:
            at_ms, step, why, to = values
            return made(at_ms=at_ms, step=step, why=why, to=to)
        case What.DIES:
            at_ms, step, until_ms, why, to = values
            return made(at_ms=at_ms, step=step, until_ms=until_ms, why=why, to=to)
        case What.NEXT | What.ORDERED:
            return made(at_ms=values[0], to=values[1])
        case What.CUT:
            left_out, held.epoch, held.plan, held.generation, held.node = values
            return made(left_out=left_out)


def _shortened(text: str, plan: str = "launch") -> str:
    """Leave marks in the middle out, until two thirds of the room are filled."""
    marks: list[list[Any]] = loads(f"[{text}]")
    sizes = [len(dumps(one)) + 1 for one in marks]
    room = CHARACTERS_MAX // 3
    first = _fitting(sizes, room)
    last = len(marks) - _fitting(sizes[::-1], room)
    left_out = marks[first:last]
    held = _Held(plan)
    for kind, *values in marks[:last]:
        made = _one(held, What(kind), values)
        if made is not None and made.to:
            held.switch(made.to)
    count = sum(
        one[1] if one[0] == What.CUT.value else one[0] != What.OWNER.value for one in left_out
    )
    gap = mark(What.CUT, count, held.epoch, held.plan, held.generation, held.node)
    return ",".join([*map(dumps, marks[:first]), gap, *map(dumps, marks[last:])])


def _weight(mark: Sequence[Any]) -> int:
    """Count the marks that are left out with this one."""
    match What(mark[0]):
        case What.OWNER:
            return 0
        case What.CUT:
            return int(mark[1])
        case _:
            return 1


def _fitting(sizes: Sequence[int], room: int) -> int:
    """Count how many of the first have room together."""
    for count, _ in enumerate(sizes):
        room -= sizes[count]
        if room < 0:
            return count
    return len(sizes)
