"""Counts of events since the start, as plain numbers, and the families in which they are told.

A count belongs to one part of the program, which adds to it from one thread at a time; any thread
may read it. To add is a look-up and a sum, so that nobody pays for being observed: names, units and
texts are put to the numbers when somebody reads them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """A type of family, by Prometheus's names."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one meaning, told apart by the values of `labels`.

    `bounds` are the upper ends of a histogram's buckets, without the last, which has none.
    """

    name: str
    type: Type
    says: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


# Values of labels, in the family's order.
Labels = tuple[str, ...]
# By labels: one number; of a histogram the number of each bucket, and at last the sum.
Samples = Mapping[Labels, list[float]]
# Samples by the name of their family.
Told = Mapping[str, Samples]


class Count:
    """A number for each set of labels, which only grows."""

    def __init__(self, family: Family) -> None:
        assert family.type is Type.COUNTER, f"{family.name} is no counter"
        self.family = family
        self._by: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        numbers = self._by
        numbers[labels] = numbers.get(labels, 0) + by

    def get(self, *labels: str) -> float:
        return self._by.get(labels, 0)

    def samples(self) -> Samples:
        found = {labels: [number] for labels, number in self._by.copy().items()}
        # A counter without labels is 0 until something happens, and not missing.
        return found or ({} if self.family.labels else {(): [0]})


class Spread:
    """Numbers of values within bounds, for each set of labels, and their sum."""

    def __init__(self, family: Family) -> None:
        assert family.type is Type.HISTOGRAM, f"{family.name} is no histogram"
        self.family = family
        self._bounds = family.bounds
        self._by: dict[Labels, list[float]] = {}

    def note(self, value: float, *labels: str) -> None:
        found = self._by.get(labels)
        if found is None:
            found = self._by[labels] = [0] * (len(self._bounds) + 2)
        found[bisect_left(self._bounds, value)] += 1
        found[-1] += value

    def samples(self) -> Samples:
        return {labels: list(numbers) for labels, numbers in self._by.copy().items()}


def told(counts: Iterable[Count | Spread]) -> Told:
    """Return what the counts are now."""
    return {one.family.name: one.samples() for one in counts}


def gauge(*labels: str, value: float) -> Samples:
    """Return a single number as it is now."""
    return {labels: [value]}


def summed(parts: Iterable[Told]) -> Told:
    """Return the sums of all parts: each counts what happened to itself alone."""
    sums: dict[str, dict[Labels, list[float]]] = {}
    for part in parts:
        for name, samples in part.items():
            of_name = sums.setdefault(name, {})
            for labels, numbers in samples.items():
                so_far = of_name.get(labels)
                of_name[labels] = (
                    list(numbers)
                    if so_far is None
                    else [one + more for one, more in zip(so_far, numbers, strict=True)]
                )
    return sums
