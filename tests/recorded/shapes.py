"""Shapes of answers: which members the resources of a list have, as recorded and as given here.

A path leads from the answer to a structure: `Volumes[].Attachments[]`. Values play no part, but
that a list was empty does: EC2 returns some lists empty, and leaves others out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]

# So many structures tell what EC2 always, or never, returns; fewer may have been alike by chance.
SEEN_MIN = 4
# A member that so great a part of the recorded structures has counts as always returned: the
# oldest recordings are from before some members existed.
ALWAYS = 0.9


@dataclass
class Shape:
    """The structures seen at one path: how many, and how many had each member, or had it empty."""

    seen: int = 0
    members: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)


Shapes = dict[tuple[str, str], Shape]


def of(answers: Iterable[tuple[str, Document]]) -> Shapes:
    """Gather the shapes of answers, each with the action that gave it."""
    found: Shapes = {}
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


def missing(recorded: Shapes, here: Shapes) -> Iterator[str]:
    """Name the members that EC2 always returns and no answer here has."""
    for (action, path), shape in sorted(recorded.items()):
        own = here.get((action, path))
        if own is None or shape.seen < SEEN_MIN:
            continue
        for name, times in sorted(shape.members.items()):
            if times >= ALWAYS * shape.seen and name not in own.members:
                yield f"{action} {path}.{name} is missing"


def emptied(recorded: Shapes, here: Shapes) -> Iterator[str]:
    """Name the lists that are returned empty here, and that EC2 leaves out instead."""
    for (action, path), shape in sorted(recorded.items()):
        own = here.get((action, path))
        # An answer itself is a list that happens to be empty.
        if own is None or not path or shape.seen < SEEN_MIN:
            continue
        for name in sorted(own.empty):
            if name not in shape.empty and shape.members[name] < shape.seen:
                yield f"{action} {path}.{name} is returned empty"
