"""The roll of a process: its threads, each of which has to live until the process is told to end.

A thread that dies is missed here within seconds, and not once somebody needs it. No thread is made
here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from sametoken.store.port import Broken


class Part(Protocol):
    """A thread, as far as the roll needs it."""

    @property
    def name(self) -> str: ...

    def is_alive(self) -> bool: ...


def missing(parts: Sequence[Part]) -> list[str]:
    """Return the names of those that have ended."""
    return [part.name for part in parts if not part.is_alive()]


def call(parts: Sequence[Part]) -> None:
    """Raise `Broken` if one of them has ended."""
    if ended := missing(parts):
        raise Broken(
            f"a part of this process has died ({', '.join(ended)}), so it ends; its log may say "
            "why. Start it again."
        )


def begin(threads: Sequence[threading.Thread], stop: Callable[[], None]) -> None:
    """Start all threads. If the system has no more, end those that run by `stop`.

    Raises `Broken` then: a process with some of its threads would neither work nor end.
    """
    begun: list[threading.Thread] = []
    try:
        for thread in threads:
            thread.start()
            begun.append(thread)
    except RuntimeError as error:
        stop()
        for thread in begun:
            thread.join()
        raise Broken(f"this system has no more threads for this process: {error}") from error
