"""A reply that is sent whole or not at all, as far as one write to a socket is.

uvicorn sends a reply's head as soon as the application has named it, and the body after it. A
process that is killed in between leaves its caller with a status of 200 and no body. Callers try
again when a connection just ends; botocore does not when a head has come and the body is missing.
Of uvicorn's cycle it uses `transport`, `on_response`, `response_started`, `response_complete`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def send_whole(cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
    """Have the reply of `cycle`, which has not begun, go to `transport` in one piece."""
    held = _Held(cycle, transport)
    cycle.transport = held
    cycle.on_response = held.send


class _Held(asyncio.Transport):
    """What the cycle of one request writes to. Holds the reply back until there is all of it."""

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
            # "100 Continue", which the caller waits for.
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """An application that has failed in the midst of its reply sends nothing of it."""
        if self._cycle.response_complete:
            self._post()
        self._transport.close()

    def send(self) -> None:
        """The reply is complete."""
        self._post()
        self._complete()

    def _post(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(b"".join(parts))
