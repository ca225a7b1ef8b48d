"""The only door to the local clock, to sleep and to randomness. Identifiers are minted here.

Everything else takes a `World`, so that a simulation can replace it and replay from a seed. No
I/O beyond the operating system's clock and entropy.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol

# UUID is for type checks elsewhere; making one goes through a `World`, like all randomness.
UUID = uuid.UUID


class World(Protocol):
    """The physical world as one node sees it."""

    def now(self) -> datetime:
        """The local wall clock, aware UTC. Never persisted: see `store.clock`."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring, not for naming a moment."""
        ...

    def random(self) -> float:
        """A random number in [0, 1), for jitter and odds."""
        ...

    def token_hex(self, length: int) -> str:
        """`length` random lowercase hexadecimal digits."""
        ...

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        """Wait until `signal` is set, at most `seconds`. True when it was set."""
        ...


class RealWorld:
    """The machine we run on."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def random(self) -> float:
        return self._random.random()

    def token_hex(self, length: int) -> str:
        return os.urandom((length + 1) // 2).hex()[:length]

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        return signal.wait(seconds)


# 16 bits: 65,536 neighbourhoods, each less than a page of an index up to millions of rows.
NEIGHBOURHOOD_DIGITS = 4


def mint_neighbourhood(world: World) -> str:
    """The digits that ids minted together begin with, so that they lie together in every index."""
    return world.token_hex(NEIGHBOURHOOD_DIGITS)


def mint_uuid(world: World) -> str:
    """A random UUID (version 4) in its usual spelling, e.g. for a request id."""
    digits = world.token_hex(32)
    # RFC 9562 section 5.4: two bits of the 17th digit say how the rest is to be read.
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
