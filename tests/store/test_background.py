"""Background threads of a node: they wait for news, and end at once when they are told to."""

from __future__ import annotations

import threading
from pathlib import Path

from sametoken.background import Background
from sametoken.idempotency import sql_engine
from sametoken.node import wire_services
from sametoken.operate.opening import open_store
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import database_of
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.loop import POLL_SECONDS_MAX
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
            Backlog(world),
            runners=RUNNERS, sweep_seconds=SWEEP_SECONDS,
        )  # fmt: skip
        background.start()
        # Two more, for the ripener and the sweeper.
        for _ in range(RUNNERS + 2):
            assert world.waits.acquire(timeout=SECONDS_MAX), "a thread never came to rest"
        background.stop()
    assert not world.unheard, "a thread slept on"
    assert sorted(set(world.asked)) == [POLL_SECONDS_MAX, SWEEP_SECONDS], "no wait is longer"
