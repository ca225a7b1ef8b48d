"""Patience with a read: how long it may go on, and whether anybody still waits for it.

A thread that reads for a request has its request's patience. Code that may take long, such as the
filters over a long listing, checks it at every step; outside of such a thread a check does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sametoken.errors import Transient
from sametoken.world import World


@dataclass(slots=True)
class Patience:
    """Patience to the moment `until` of the monotonic clock, or until the caller has `gone`."""

    world: World
    until: float
    gone: bool = False

    def check(self) -> None:
        """Raise `Transient` if it is over: the read has changed nothing, and may be repeated."""
        if self.gone or self.world.monotonic() > self.until:
            raise Transient("the read takes too long, or nobody waits for it", ran=False)


_OF_THIS_THREAD: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def limited(patience: Patience) -> Iterator[None]:
    """Have `check` ask `patience` in the block."""
    former = _OF_THIS_THREAD.set(patience)
    try:
        yield
    finally:
        _OF_THIS_THREAD.reset(former)


def check() -> None:
    """Raise `Transient` if this thread reads for a request whose patience is over."""
    patience = _OF_THIS_THREAD.get()
    if patience is not None:
        patience.check()
