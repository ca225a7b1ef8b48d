"""The auditor finds what is there: every mutant is caught, and it is said how soon."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from simulation.mutants import MUTANTS
from simulation.simulator import simulate

# A small part of what CI runs without a mutant; each is caught long before.
SCHEDULES_MAX = 1000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_auditor_catches_the_mutant(name: str) -> None:
    plant, odds = MUTANTS[name]
    with plant():
        for seed in range(1, SCHEDULES_MAX + 1):
            report = simulate(seed, **odds)
            if report.violation is not None:
                sys.stdout.write(f"{name}: caught in {seed} schedules: {report.violation}\n")
                return
    pytest.fail(f"{name}: not caught in {SCHEDULES_MAX} schedules")


def test_there_are_enough_mutants_and_none_of_them_stays_planted() -> None:
    assert len(MUTANTS) >= 10
    for plant, _ in MUTANTS.values():
        with plant():
            pass
    assert simulate(1).violation is None
