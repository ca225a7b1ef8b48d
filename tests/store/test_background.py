"""Background threads of a node: they wait for news, and end at once when they are told to."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from sametoken.background import Background
from sametoken.faults.board import Board
from sametoken.idempotency import sql_engine
from sametoken.node import wire_services
from sametoken.operate.opening import open_store
from sametoken.server.journal import Journal
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import database_of
from sametoken.store.port import Tx
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.loop import POLL_SECONDS_MAX, run_duty
from sametoken.workflow.mishaps import Mishaps
from sametoken.workflow.runner import GATHERING_SECONDS, MUCH, Runner
from store.worlds import SetWorld

# Longer than the test takes; only a hang reaches it.
SECONDS_MAX = 30.0
RUNNERS = 2
SWEEP_SECONDS = 60.0


class PatientWorld(SetWorld):
    """A world where a wait ends only by its signal, however short it was meant to be."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Semaphore(0)
        self.asked: list[float] = []
        self.unheard: list[float] = []

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        self.asked.append(seconds)
        self.waits.release()
        heard = signal.wait(SECONDS_MAX)
        if not heard:
            self.unheard.append(seconds)
        return heard


def test_idle_threads_end_when_told_and_not_when_they_next_look(tmp_path: Path) -> None:
    world = PatientWorld()
    with open_store(database_of(tmp_path / "plane.db"), world) as store:
        engine = sql_engine(b"background", records_attempts=True)
        background = Background(
            store, engine, wire_services(store, engine, world, SimulationSettings()), world,
            Backlog(world), Mishaps(Board(world.monotonic)), Journal(), "node",
            runners=RUNNERS, sweep_seconds=SWEEP_SECONDS,
        )  # fmt: skip
        background.start()
        # Two more, for the ripener and the sweeper.
        for _ in range(RUNNERS + 2):
            assert world.waits.acquire(timeout=SECONDS_MAX), "a thread never came to rest"
        background.stop()
    assert not world.unheard, "a thread slept on"
    assert sorted(set(world.asked)) == [POLL_SECONDS_MAX, SWEEP_SECONDS], "no wait is longer"


class Timed(SetWorld):
    """A world whose waits are noted, and take their time."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.pass_time(timedelta(seconds=seconds))
        return signal.is_set()


class Busy:
    """A duty that has something to do three times, and rests after the first two of them."""

    channel = "busy"

    def __init__(self, stop: threading.Event) -> None:
        self._rests = [0.25, 0.25]
        self._stop = stop

    def run_once(self) -> bool:
        return True

    def rest_seconds(self) -> float:
        if self._rests:
            return self._rests.pop()
        self._stop.set()
        return 0.0

    def next_due(self, tx: Tx) -> datetime | None:
        raise AssertionError("it is never idle")


def test_a_duty_that_lets_work_gather_rests_until_the_node_stops(tmp_path: Path) -> None:
    world, stop = Timed(), threading.Event()
    with open_store(database_of(tmp_path / "plane.db"), world) as store:
        run_duty(Busy(stop), store, world, threading.Event(), stop)
    assert world.waits == [0.25, 0.25]


def test_a_runner_rests_after_a_small_lease_and_not_after_a_large_one(tmp_path: Path) -> None:
    world = SetWorld()
    runner = Runner(cast(Any, None), {}, world, Backlog(world))
    assert runner.rest_seconds() == 0.0, "nothing was leased yet"
    runner.gather(MUCH - 1)
    assert runner.rest_seconds() == pytest.approx(GATHERING_SECONDS)
    world.pass_time(timedelta(seconds=GATHERING_SECONDS))
    assert runner.rest_seconds() == 0.0
    runner.gather(MUCH)
    assert runner.rest_seconds() == 0.0
