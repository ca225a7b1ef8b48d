"""A world for tests: its clock stands still until it is moved, its random numbers are seeded."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)


class SetWorld:
    """See `sametoken.world.World`. Time passes by `pass_time` alone, and `wait` returns at once."""

    def __init__(self, seed: int = 1) -> None:
        self._now = START
        self.passed = timedelta(0)
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self.passed.total_seconds()

    def random(self) -> float:
        with self._lock:
            return self._dice.random()

    def token_hex(self, length: int) -> str:
        with self._lock:
            return f"{self._dice.getrandbits(4 * length or 1):0{length}x}"[:length]

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        return signal.is_set()

    def pass_time(self, by: timedelta) -> None:
        """Let time pass: both of the machine's clocks move forward."""
        assert by >= timedelta(0), "time does not pass backwards"
        self._now += by
        self.passed += by

    def set_clock(self, by: timedelta) -> None:
        """Move the machine's clock forward or back, as may happen to real clocks, in no time."""
        self._now += by
