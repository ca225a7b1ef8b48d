"""Ground: the resources that callers of an account know in a Region, learned from answers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from exercises import catalogue
from simulation.history import prefix_of

V = TypeVar("V")

# Number of the latest resources that callers pick from: few, so that their calls meet.
_LATELY = 5
# Kinds of which the account has resources from the start. Callers learn only of those they made,
# because others must not be ended.
_FIRST = ("vpc", "subnet", "sg", "dopt")


class NothingThereError(Exception):
    """Raised where callers know no resource that a request could name."""


@dataclass(slots=True)
class Ground:
    """The resources that callers of an account know in a Region.

    `ids` has them by prefix, in the order in which callers heard of them; `own` has only those they
    asked for, without the ones that came with those. `vpc` is the default one, and `subnets` are
    its default ones, by zone; none of them is ever ended.
    """

    account: str
    region: str
    vpc: str
    subnets: dict[str, str]
    ids: dict[str, dict[str, None]] = field(default_factory=dict)
    own: dict[str, dict[str, None]] = field(default_factory=dict)

    def learn(self, told: Any) -> None:
        """Remember every id in an answer, without the kinds that are there from the start."""
        _remember(self.ids, (one for one in _texts(told) if prefix_of(one) not in _FIRST))

    def made(self, ids: Iterable[str]) -> None:
        """Remember resources whose making was acknowledged."""
        made = list(ids)
        _remember(self.own, made)
        _remember(self.ids, made)

    def forget(self, id: str) -> None:
        for known in (self.ids, self.own):
            known.get(prefix_of(id) or "", {}).pop(id, None)

    def pick(self, prefix: str, rng: random.Random) -> str | None:
        """Pick a resource that callers lately heard of; mostly one that they made themselves."""
        own, all = self.own.get(prefix), self.ids.get(prefix)
        known = own if own and rng.random() < 0.8 else all
        return rng.choice(list(known)[-_LATELY:]) if known else None


@dataclass(frozen=True, slots=True)
class Draft:
    """Implements `exercises.exercise.Ground` for a new intent, whose mark is its name.

    Its requests name resources that the callers have heard of. `known` and `own` raise
    `NothingThereError` if there are none.
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
        """Return an id with this prefix as `known` does, for resources that are no kind."""
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
        """Choose one of two zones, mostly the first, so that requests meet in it."""
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
