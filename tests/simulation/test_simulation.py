"""Promises P1 to P11 under every fault of `swarm`, on seeded schedules.

`SIMULATION_SCHEDULES` is their number: 1,000 unless set, which fits the time of `make test`; CI
runs more. A failure prints its seed, and `make simulate SEED=…` replays it event by event.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sametoken.faults import POINTS
from simulation.__main__ import Totals, failure
from simulation.simulator import (
    CLIENTS_MIN,
    NODES_MIN,
    TOKENS_MIN,
    TRANSACTIONS_MIN,
    simulate,
)

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "1000"))
# Enough parts to keep a few workers evenly busy to the end.
PARTS = max(20, SCHEDULES // 250)
# The first seed: another one explores other schedules, the same one repeats these.
BASE_SEED = int(os.environ.get("SIMULATION_SEED", "1"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the log of intended crashes out of the test's output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_holds_under_faults_and_everything_drains_once_they_stop(
    part: int, record_property: Callable[[str, object], None]
) -> None:
    share = -(-SCHEDULES // PARTS)
    first = BASE_SEED + part * share
    sys.stdout.write(f"seeds {first} to {first + share - 1}\n")
    began, totals = time.process_time(), Totals()
    for seed in range(first, first + share):
        report = simulate(seed)
        if report.violation is not None:
            pytest.fail(failure(report), pytrace=False)
        assert report.nodes >= NODES_MIN, f"seed {seed}: too few nodes"
        assert report.clients >= CLIENTS_MIN, f"seed {seed}: too few clients"
        assert report.tokens >= TOKENS_MIN, f"seed {seed}: too few tokens"
        assert report.transactions >= TRANSACTIONS_MIN, f"seed {seed}: too few transactions"
        totals.add(report)
    summary = totals.summary(time.process_time() - began)
    sys.stdout.write(f"{summary}\n")
    record_property("counted", f"seeds {first} to {seed}: {summary.splitlines()[0]}")
    assert len(totals.traces) == totals.schedules, "two schedules were the same"
    if share >= 20:
        missing = [point.value for point in POINTS if not totals.hits[point]]
        assert not missing, f"these fault points were never reached: {missing}"


def test_a_seed_gives_the_same_trace_whatever_ran_before_it() -> None:
    first = [simulate(seed) for seed in (11, 12, 13)]
    again = [simulate(seed) for seed in (13, 12, 11)][::-1]
    for one, other in zip(first, again, strict=True):
        assert one.trace == other.trace
        assert one.hits == other.hits
        assert one.transactions == other.transactions


def test_a_seed_gives_the_same_trace_whatever_the_process_hashes_by() -> None:
    tests = Path(__file__).parent.parent
    command = [sys.executable, "-m", "simulation", "--seeds", "11:15", "--digests"]
    told = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(
            command, cwd=tests, env=environment, capture_output=True, text=True, check=True
        )
        told.add(tuple(ran.stdout.splitlines()[:4]))
    here = tuple(f"{seed} {simulate(seed).trace_digest()}" for seed in range(11, 15))
    assert told == {here}
