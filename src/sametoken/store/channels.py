"""Channels inside one process: a listener learns that a commit concerned it."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Channels:
    """Named channels; each listener has an event of its own to wait on and to clear."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, list[threading.Event]] = {}

    def listen(self, channel: str) -> threading.Event:
        event = threading.Event()
        with self._lock:
            self._events.setdefault(channel, []).append(event)
        return event

    def announce(self, channels: Iterable[str]) -> None:
        with self._lock:
            for channel in channels:
                for event in self._events.get(channel, ()):
                    event.set()

    def announce_all(self) -> None:
        """Wake every listener, because any of them may have missed a commit."""
        with self._lock:
            channels = list(self._events)
        self.announce(channels)
