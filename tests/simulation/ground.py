"""What the callers of one account know to exist in one Region: learned from what they were told."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from exercises import catalogue
from simulation.history import prefix_of

V = TypeVar("V")

# Callers act on what they heard of lately, so that their actions meet.
_LATELY = 5
# Of these the account has some before anybody asks, and nobody shall end those.
_FIRST = ("vpc", "subnet", "sg", "dopt")


class NothingThereError(Exception):
    """The callers know of nothing that a request of this kind could name."""


@dataclass(slots=True)
class Ground:
    """`ids` by prefix, in the order in which they were heard of; `own` are those they made, and not
    what came with it. `subnets` are the default ones, by zone, which stay; as does the `vpc`."""

    account: str
    region: str
    vpc: str
    subnets: dict[str, str]
    ids: dict[str, dict[str, None]] = field(default_factory=dict)
    own: dict[str, dict[str, None]] = field(default_factory=dict)

    def learn(self, told: Any) -> None:
        """Remember every id in an answer, but for what is there from the start."""
        _remember(self.ids, (one for one in _texts(told) if prefix_of(one) not in _FIRST))

    def made(self, ids: Iterable[str]) -> None:
        """Remember whose making was acknowledged."""
        made = list(ids)
        _remember(self.own, made)
        _remember(self.ids, made)

    def forget(self, id: str) -> None:
        for known in (self.ids, self.own):
            known.get(prefix_of(id) or "", {}).pop(id, None)

    def pick(self, prefix: str, rng: random.Random) -> str | None:
        """Something of the kind, heard of lately; mostly of what they made themselves."""
        own, all = self.own.get(prefix), self.ids.get(prefix)
        known = own if own and rng.random() < 0.8 else all
        return rng.choice(list(known)[-_LATELY:]) if known else None


@dataclass(frozen=True, slots=True)
class Draft:
    """A request being thought up: where, by which chance, and under what name.

    `exercises.exercise.Ground`, whose names are of what the callers have heard of. `known` and
    `own` raise `NothingThereError`.
    """

    ground: Ground
    rng: random.Random
    mark: str

    @property
    def account(self) -> str:
        return self.ground.account

    @property
    def region(self) -> str:
        return self.ground.region

    def known(self, kind: str) -> str:
        return self.heard(catalogue.prefix_of(kind))

    def heard(self, prefix: str) -> str:
        """As `known`, of what has ids and is no kind."""
        found = self.ground.pick(prefix, self.rng)
        if found is None:
            raise NothingThereError(prefix)
        return found

    def own(self, kind: str) -> str:
        if not self.has(kind):
            raise NothingThereError(kind)
        return self.known(kind)

    def knows(self, kind: str) -> bool:
        return bool(self.ground.ids.get(catalogue.prefix_of(kind)))

    def has(self, kind: str) -> bool:
        return bool(self.ground.own.get(catalogue.prefix_of(kind)))

    def vpc(self) -> str:
        return self.ground.vpc

    def zone(self) -> str:
        """One of two of the Region's zones, mostly the first: what meets nowhere tells nothing."""
        return self.ground.region + self.rng.choice("aaaab")

    def subnet(self) -> str:
        return self.ground.subnets[self.zone()]

    def name(self, *few: str) -> str:
        return self.rng.choice(few)

    def number(self, few: int) -> int:
        return self.rng.randint(1, few)

    def either(self, *values: V) -> V:
        return self.rng.choice(values)

    def happens(self, odds: float) -> bool:
        return self.rng.random() < odds


def _texts(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict):
        for value in told.values():
            yield from _texts(value)
    elif isinstance(told, list):
        for value in told:
            yield from _texts(value)


def _remember(known: dict[str, dict[str, None]], values: Iterable[str]) -> None:
    for value in values:
        prefix = prefix_of(value)
        if prefix is not None:
            known.setdefault(prefix, {})[value] = None
