"""Lines between an edge and the writer: each end sends messages, and hears the other's."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

from sametoken.server.frames import FromEdge, FromWriter, Splitter, framed

Heard = TypeVar("Heard")


class LineEnd(asyncio.Protocol, Generic[Heard]):
    """An end of a line, for use in one event loop. All that is sent in a turn is one write."""

    _transport: asyncio.Transport

    def __init__(self, hears: Any) -> None:
        self._splitter: Splitter[Heard] = Splitter(hears)
        self._loop = asyncio.get_running_loop()
        self._unsent: list[bytes] = []
        self.is_open = False

    def heard(self, message: Heard) -> None:
        """Take a message."""
        raise NotImplementedError

    def lost(self) -> None:
        """Take note that the other process has ended."""
        raise NotImplementedError

    def send(self, message: FromEdge | FromWriter) -> None:
        """Send a message, if anybody is there. Raises as `framed` does, and sends nothing then."""
        frame = framed(message)
        if not self.is_open:
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(frame)

    def _flush(self) -> None:
        if self.is_open:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override]  # a stream's is never less
    ) -> None:
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        for message in self._splitter.feed(data):
            self.heard(message)

    def end(self) -> None:
        """Hang up at once, once all that was said is handed to the system."""
        self._flush()
        if self.is_open:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.lost()
