"""World of a node: its clock, and the program's randomness, both replayable from the seed.

Each node's wall clock is wrong by an amount of its own, and the schedule may set it back, as an
operator or NTP does, or ahead for a while. The store's own clock may then leap or run fast,
but must neither go back nor stand still.
"""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

from simulation.scheduler import Scheduler

EPOCH = datetime(2031, 1, 1, tzinfo=UTC)


class SimulatedWorld:
    """Implements `sametoken.world.World`. `behind_us` below 0: the clock is ahead."""

    def __init__(self, scheduler: Scheduler, rng: random.Random, behind_us: int = 0) -> None:
        self._scheduler = scheduler
        self._rng = rng
        self.behind_us = behind_us
        # By how much it is ahead for a while, beside that.
        self.ahead_us = 0

    def now(self) -> datetime:
        return EPOCH + timedelta(
            microseconds=self._scheduler.now_us - self.behind_us + self.ahead_us
        )

    def monotonic(self) -> float:
        return self._scheduler.now_us / 1e6

    def random(self) -> float:
        return self._rng.random()

    def token_hex(self, length: int) -> str:
        return f"{self._rng.getrandbits(4 * length):0{length}x}"

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        raise AssertionError("nobody waits for real in a simulation")
