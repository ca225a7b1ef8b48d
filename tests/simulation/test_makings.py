"""Promises hold for each making by itself, which other schedules make only by chance."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from exercises import requests
from simulation.clients import whole_palette
from simulation.makings import MAKINGS, MEETINGS
from simulation.simulator import Report, simulate

# Schedules in which callers try to make it, though mostly the first is enough. Each is long,
# because the resources that it needs, and those that they need, must be made before.
SCHEDULES, PLAYED = 20, 90


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the log of intended crashes out of the test's output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def was_done(report: Report, action: str) -> bool:
    making = MAKINGS[action]
    if making.takes_token:
        return report.did[action, "made"] > 0
    return report.made[making.asking.kind] > 0


@pytest.mark.parametrize("action", MAKINGS)
def test_what_callers_ask_for_is_done_and_every_promise_holds(action: str) -> None:
    palette = [*whole_palette([action]), action]
    for seed in range(1, SCHEDULES + 1):
        report = simulate(seed, palette, PLAYED)
        assert report.violation is None, f"seed {seed}, palette {palette}: {report.violation}"
        if was_done(report, action):
            return
    pytest.fail(requests.request(action).says(f"no caller succeeded, with {palette}"))


def test_what_meets_is_something_that_callers_make() -> None:
    for meeting in MEETINGS:
        assert set(meeting) <= MAKINGS.keys()
