"""Schedules with rules of faults: every kind strikes, and every promise holds meanwhile."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from sametoken.faults.kinds import FORMS, OF_STEPS, Kind
from sametoken.faults.points import Point
from sametoken.faults.ready import rules_of, scenarios
from sametoken.faults.rules import Rule
from sametoken.server.fault_names import names
from simulation.__main__ import failure
from simulation.answering import HIDDEN
from simulation.rules import KINDS
from simulation.simulator import simulate

SCHEDULES = 12
# Schedules in which a kind strikes at least once; most do in the first.
SCHEDULES_MAX = 60


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def whole(kind: Kind) -> Rule:
    """A rule that strikes whatever it can."""
    # A new id is hidden until somebody asks for it.
    seconds = 600.0 if kind is Kind.NOT_YET_FOUND else 1.0
    seconds = seconds if "seconds" in FORMS[kind].needs else 0.0
    return Rule(kind, seconds=seconds, point=Point.WORK_LEASED if kind is Kind.CRASH else "")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_strikes_and_no_promise_is_broken(kind: Kind) -> None:
    palette = ("RunInstances",) if kind in OF_STEPS else None
    struck, hidden = 0, 0
    for seed in range(1, SCHEDULES_MAX):
        report = simulate(seed, palette, pool=[whole(kind)])
        if report.violation is not None:
            pytest.fail(failure(report), pytrace=False)
        struck += report.fired[kind.value]
        hidden += report.fired[HIDDEN]
        if struck and seed >= SCHEDULES:
            break
    sys.stdout.write(f"{kind}: seeds 1 to {seed}, struck {struck} times\n")
    assert struck
    assert bool(hidden) == (kind is Kind.NOT_YET_FOUND), (
        "whoever asked was told that it is not there"
    )


@pytest.mark.parametrize("name", scenarios())
def test_a_ready_scenario_breaks_no_promise(name: str) -> None:
    pool = rules_of(name, names())
    sys.stdout.write(f"seeds 1 to {SCHEDULES}\n")
    for seed in range(1, SCHEDULES + 1):
        report = simulate(seed, pool=pool)
        if report.violation is not None:
            pytest.fail(failure(report), pytrace=False)
        assert set(report.rules), "it has some of them"


def test_a_schedule_without_rules_is_what_it_was() -> None:
    """Rules draw from numbers of their own, so that a schedule can be run again without them."""
    seed = next(one for one in range(1, 50) if not simulate(one).rules)
    assert simulate(seed).trace == simulate(seed, rules=0.0).trace
