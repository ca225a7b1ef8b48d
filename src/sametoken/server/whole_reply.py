"""Replies sent in one write to the socket, so that a caller gets all of a reply or none.

uvicorn writes a reply's head as soon as the application has given it, and the body afterwards. A
process that is killed in between leaves its caller with a status of 200 and no body. botocore tries
again after a connection that ends without a reply, but not after a head whose body is missing.
Of uvicorn's cycle `_Held` uses `transport`, `on_response`, `response_started` and
`response_complete`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def send_whole(cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
    """Make the reply of `cycle`, which has not begun, go to `transport` in one piece."""
    held = _Held(cycle, transport)
    cycle.transport = held
    cycle.on_response = held.send


class _Held(asyncio.Transport):
    """Takes the writes of one request's cycle, and holds the reply back until it is complete."""

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        super().__init__()
        self._cycle = cycle
        self._transport = transport
        self._parts: list[bytes] = []
        self._complete: Callable[[], None] = cycle.on_response

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._cycle.response_started:
            self._parts.append(bytes(data))
        else:
            # Send "100 Continue" at once: the caller waits for it.
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """Close, and send nothing of a reply in whose midst the application has failed."""
        if self._cycle.response_complete:
            self._post()
        self._transport.close()

    def send(self) -> None:
        """Send the reply, which is complete now."""
        self._post()
        self._complete()

    def _post(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(b"".join(parts))
