"""Mutants are all caught by the simulation, and each test tells after how many schedules.

Caught means by the auditor, or by an assertion of the program. The same schedule must pass without
the mutant, so that no false alarm counts.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.mutants import MUTANTS
from simulation.shrinking import shrink, without
from simulation.simulator import simulate

# Schedules to catch a mutant in: a small part of those that CI runs, and far more than it takes.
SCHEDULES_MAX = 1000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_catches_the_mutant_and_nothing_without_it(name: str) -> None:
    plant, odds = MUTANTS[name]
    with plant():
        seeds = range(1, SCHEDULES_MAX + 1)
        reports = (simulate(seed, **odds) for seed in seeds)
        caught = next((one for one in reports if one.violation is not None), None)
    assert caught is not None, f"{name}: not caught in {SCHEDULES_MAX} schedules"
    assert not isinstance(caught.violation, TypeError), f"{name}: nobody can call the mutant"
    sys.stdout.write(f"{name}: caught in {caught.seed} schedules: {caught.violation}\n")
    assert simulate(caught.seed, **odds).violation is None, f"{name}: a false alarm"


def test_each_mutant_is_documented_with_the_promise_it_breaks() -> None:
    page = (Path(__file__).parents[2] / "docs/correctness.md").read_text()
    documented = re.findall(r"^\| ([a-z ]+?) \| (?:P\d|LIVE)", page.split("## Simulation")[1], re.M)
    assert documented == list(MUTANTS)


def test_there_are_enough_mutants_and_none_of_them_stays_planted() -> None:
    assert len(MUTANTS) >= 12
    for plant, _ in MUTANTS.values():
        with plant():
            pass
    assert simulate(1).violation is None


def test_a_schedule_that_fails_is_shown_with_fewer_kinds_of_faults() -> None:
    plant, _ = MUTANTS["step token from the attempt"]
    with plant():
        seed = next(one for one in range(1, SCHEDULES_MAX) if simulate(one).violation is not None)
        left_out, report = shrink(seed)
        assert report.violation is not None
        assert not set(left_out) & set(report.faults)
        assert left_out, "none of the faults was beside the point"
        assert without(seed, left_out).violation is not None
