"""A node's threads: they wait for news, and hear at once that they are to end."""

from __future__ import annotations

import threading
from pathlib import Path

from sametoken.background import Background
from sametoken.idempotency import sql_engine
from sametoken.node import wire_services
from sametoken.operate.opening import open_store
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import database_of
from store.worlds import SetWorld

# Only a hang takes so long.
SECONDS_MAX = 30.0
RUNNERS = 2


class PatientWorld(SetWorld):
    """Waits end by a signal alone, however short they were meant to be."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Semaphore(0)
        self.unheard: list[float] = []

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        self.waits.release()
        heard = signal.wait(SECONDS_MAX)
        if not heard:
            self.unheard.append(seconds)
        return heard


def test_idle_threads_end_when_told_and_not_when_they_next_look(tmp_path: Path) -> None:
    world = PatientWorld()
    with open_store(database_of(tmp_path / "plane.db"), world) as store:
        engine = sql_engine(b"background")
        background = Background(
            store, engine, wire_services(store, engine, SimulationSettings()), world,
            runners=RUNNERS, sweep_seconds=60.0,
        )  # fmt: skip
        background.start()
        # The ripener and the sweeper wait too.
        for _ in range(RUNNERS + 2):
            assert world.waits.acquire(timeout=SECONDS_MAX), "a thread never came to rest"
        background.stop()
    assert not world.unheard, "a thread slept on"
