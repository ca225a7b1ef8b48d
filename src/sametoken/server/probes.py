"""Probes of load balancers and supervisors: is the process alive, can it take requests?

`/health` answers 200 as long as the process answers at all. `/ready` answers 200 while the database
can be read, no part of the node has died and the node has not been told to stop; 503 otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sametoken.errors import Transient
from sametoken.server.asgi import Message, Receive, Send, send_whole
from sametoken.store.port import Broken

log = logging.getLogger(__name__)

HEALTH, READY = "/health", "/ready"
# A probe has to answer in time even if the database does not.
READY_SECONDS_MAX = 3.0

PLAIN_TEXT = "text/plain;charset=UTF-8"


class Probes:
    """An ASGI application for both paths. `look` reads the database; it raises if it cannot."""

    def __init__(self, look: Callable[[], Awaitable[object]]) -> None:
        self._look = look
        # False once the node was told to stop: it still answers, but asks for no more requests.
        self.is_ready = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        status, text = await self.probe(scope["path"])
        await send_whole(send, status, PLAIN_TEXT, text)

    async def probe(self, path: str) -> tuple[int, bytes]:
        """Return the status and the text that answer a probe of `path`."""
        if path == HEALTH:
            return 200, b"alive\n"
        if not self.is_ready:
            return 503, b"stopping\n"
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await self._look()
        except (Transient, Broken, TimeoutError) as error:
            log.warning("not ready: %r", error)
            return 503, b"the database cannot be read\n"
        return 200, b"ready\n"
