"""Shrinking of a failing schedule: kinds of faults are left out as long as it still fails.

All faults draw from one sequence of random numbers, so that leaving out a kind changes all that
follows. If the schedule no longer fails then, that kind stays in.
"""

from __future__ import annotations

from collections.abc import Sequence

from sametoken.faults.rules import Rule
from simulation.simulator import Report, simulate

Pool = Sequence[Rule] | None


def without(seed: int, faults: list[str], pool: Pool = None) -> Report:
    """Run the schedule of `seed` without these kinds of faults."""
    return simulate(seed, None, None, pool, **dict.fromkeys(faults, 0.0))


def shrink(seed: int, pool: Pool = None) -> tuple[list[str], Report]:
    """Return the kinds of faults that can be left out, and the report of that failing schedule."""
    left_out: list[str] = []
    smallest = without(seed, [], pool)
    assert smallest.violation is not None, "only what fails is made smaller"
    for fault in smallest.faults:
        report = without(seed, [*left_out, fault], pool)
        if report.violation is not None:
            left_out.append(fault)
            smallest = report
    return left_out, smallest
