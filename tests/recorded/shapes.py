"""Shapes of answers: members of each structure that EC2 always returns, and lists it may empty.

A path leads from the answer to a structure: `Volumes[].Attachments[]`. Values play no part, but
that a list was empty does: EC2 returns some lists empty, and leaves others out. `shapes.txt` has
what recordings told: names of members alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Document = dict[str, Any]
# An action and a path.
Place = tuple[str, str]

FILE = Path(__file__).parent / "shapes.txt"
# So many structures tell what EC2 always, or never, returns; fewer may have been alike by chance.
SEEN_MIN = 4
# A member that so great a part of the recorded structures has counts as always returned: the
# oldest recordings are from before some members existed.
ALWAYS = 0.9


@dataclass
class Shape:
    """The structures seen at one place: how many, and how many had each member, or had it empty."""

    seen: int = 0
    members: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Rule:
    """The members that EC2 always returns, and the lists that it was seen to return empty."""

    always: frozenset[str]
    empty: frozenset[str]


def of(answers: Iterable[tuple[str, Document]]) -> dict[Place, Shape]:
    """Gather the shapes of answers, each with the action that gave it."""
    found: dict[Place, Shape] = {}
    for action, answer in answers:
        for path, structure in _structures("", answer):
            shape = found.setdefault((action, path), Shape())
            shape.seen += 1
            shape.members.update(structure.keys())
            shape.empty.update(name for name, value in structure.items() if value == [])
    return found


def _structures(path: str, value: Any) -> Iterator[tuple[str, Document]]:
    if isinstance(value, dict):
        yield path, value
        for name, inner in value.items():
            yield from _structures(f"{path}.{name}".removeprefix("."), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _structures(f"{path}[]", inner)


def rules(recorded: Mapping[Place, Shape]) -> dict[Place, Rule]:
    """Tell the rules that recorded shapes follow, where there are enough of them."""
    enough = {place: shape for place, shape in recorded.items() if shape.seen >= SEEN_MIN}
    return {place: _rule(shape) for place, shape in sorted(enough.items())}


def _rule(shape: Shape) -> Rule:
    always = (name for name, times in shape.members.items() if times >= ALWAYS * shape.seen)
    return Rule(frozenset(always), frozenset(shape.empty))


def written(told: Mapping[Place, Rule]) -> str:
    """Write rules as lines of `shapes.txt`: place, members, and after a bar those seen empty."""
    return "".join(
        f"{action} {path or '-'}: {' '.join(sorted(rule.always))} | "
        f"{' '.join(sorted(rule.empty))}".rstrip()
        + "\n"
        for (action, path), rule in sorted(told.items())
    )


def read(text: str) -> dict[Place, Rule]:
    """Read what `written` wrote."""
    found: dict[Place, Rule] = {}
    for line in text.splitlines():
        place, _, members = line.partition(":")
        action, _, path = place.partition(" ")
        always, _, empty = members.partition("|")
        rule = Rule(frozenset(always.split()), frozenset(empty.split()))
        found[action, path.replace("-", "")] = rule
    return found


def missing(told: Mapping[Place, Rule], here: Mapping[Place, Shape]) -> Iterator[str]:
    """Name the members that EC2 always returns and no answer here has."""
    for (action, path), rule in sorted(told.items()):
        own = here.get((action, path))
        for name in sorted(rule.always - own.members.keys() if own else ()):
            yield f"{action} {path}.{name} is missing"


def emptied(told: Mapping[Place, Rule], here: Mapping[Place, Shape]) -> Iterator[str]:
    """Name the lists that are returned empty here, and that EC2 leaves out instead."""
    for (action, path), rule in sorted(told.items()):
        own = here.get((action, path))
        # An answer itself is a list that happens to be empty; a member that is always there may be.
        unseen = own.empty.keys() - rule.empty - rule.always if own and path else set()
        for name in sorted(unseen):
            yield f"{action} {path}.{name} is returned empty"
