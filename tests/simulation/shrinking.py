"""A failing schedule with fewer kinds of faults in it, which still fails: easier to read.

Each chance draws from one sequence, so that leaving out a kind of faults changes what follows: the
schedule need not fail then, and that kind stays in.
"""

from __future__ import annotations

from simulation.simulator import Report, simulate


def without(seed: int, faults: list[str]) -> Report:
    """The schedule of `seed`, none of these faults in it."""
    return simulate(seed, None, None, **dict.fromkeys(faults, 0.0))


def shrink(seed: int) -> tuple[list[str], Report]:
    """What was left out of a schedule that fails, and its report. It still fails."""
    left_out: list[str] = []
    smallest = simulate(seed)
    assert smallest.violation is not None, "only what fails is made smaller"
    for fault in smallest.faults:
        report = without(seed, [*left_out, fault])
        if report.violation is not None:
            left_out.append(fault)
            smallest = report
    return left_out, smallest
