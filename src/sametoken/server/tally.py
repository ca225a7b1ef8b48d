"""Counts that the edges of a node keep together, so that a bound holds for all of them.

Each process writes its own place alone and reads all, in memory that it shares with the others. It
counts itself before it looks, so of two that come at once for the last place at least one sees the
other: the bound is never exceeded.
"""

from __future__ import annotations

from collections.abc import MutableSequence


class Tally:
    """A count of one process, and the sum of all."""

    def __init__(self, counts: MutableSequence[int] | memoryview, place: int = 0) -> None:
        self._counts = counts
        self._place = place

    def note(self, count: int) -> None:
        self._counts[self._place] = count

    def total(self) -> int:
        return sum(self._counts)


def alone() -> Tally:
    """Return the tally of a process that answers for its node alone."""
    return Tally([0])
