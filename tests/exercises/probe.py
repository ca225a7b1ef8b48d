"""Ground that makes no resource, to learn which kinds a request names."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from exercises import catalogue
from exercises.exercise import Ask, Document
from exercises.requests import Request

V = TypeVar("V")
MARK = "the mark of the intent"


@dataclass
class Probe:
    """Implements `exercises.exercise.Ground`. `named` holds the kinds that were named, in order."""

    happening: bool = False
    account: str = "000000000001"
    region: str = "us-east-1"
    mark: str = MARK
    named: dict[str, None] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def zone(self) -> str:
        return f"{self.region}a"

    def vpc(self) -> str:
        return "vpc-00000000000000001"

    def subnet(self) -> str:
        return "subnet-00000000000000001"

    def known(self, kind: str) -> str:
        self.named[kind] = None
        return f"{catalogue.prefix_of(kind)}-00000000000000001"

    def own(self, kind: str) -> str:
        return self.known(kind)

    def knows(self, kind: str) -> bool:
        return False

    def has(self, kind: str) -> bool:
        return False

    def name(self, *few: str) -> str:
        return f"{few[0]}-{next(self.numbers)}"

    def number(self, few: int) -> int:
        return next(self.numbers)

    def either(self, *values: V) -> V:
        return values[0]

    def happens(self, odds: float) -> bool:
        return self.happening


def probed(ask: Ask) -> Document:
    """Draft a request with made-up names."""
    return ask(Probe())


def needs(asking: Request) -> tuple[str, ...]:
    """Return the kinds that a request names, whichever of its random choices it takes."""
    named: dict[str, None] = {}
    for happening in (False, True):
        probe = Probe(happening)
        assert asking.draft is not None, asking.says("only a live ground can answer it")
        asking.draft(probe)
        named |= probe.named
    return tuple(named)
