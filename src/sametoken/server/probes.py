"""Probes of load balancers and supervisors: is the process alive, can it take requests?

`/health` answers 200 as long as the process answers at all, and waits for nothing. `/ready` answers
200 while the database can be read, no part of the node has died and the node has not been told to
stop; 503 otherwise, with the reason. Both are JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sametoken.errors import SametokenError, Transient
from sametoken.server.asgi import Message, Receive, Send, send_whole
from sametoken.server.development import JSON
from sametoken.store.port import Broken

log = logging.getLogger(__name__)

HEALTH, READY = "/health", "/ready"
# A probe has to answer in time even if the database does not.
READY_SECONDS_MAX = 3.0

Facts = Mapping[str, Any]


class NotReady(SametokenError):
    """The node should get no requests, for a reason that its text says."""


class Probes:
    """An ASGI application for both paths.

    `facts` are those that never change. `look` finds the others out; it raises if requests cannot
    be served.
    """

    def __init__(self, facts: Facts, look: Callable[[], Awaitable[Facts]]) -> None:
        self._facts = facts
        self._look = look
        # False once the node was told to stop: it still answers, but asks for no more requests.
        self.is_ready = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        status, said = await self.probe(scope["path"])
        await send_whole(send, status, JSON, json.dumps(said).encode() + b"\n")

    async def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the document that answer a probe of `path`."""
        if path == HEALTH:
            return 200, {"status": "alive", **self._facts}
        if not self.is_ready:
            return self._not_ready("draining: the node was told to stop")
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                found = await self._look()
        except (NotReady, Broken) as error:
            return self._not_ready(str(error))
        except (Transient, TimeoutError) as error:
            return self._not_ready(f"the database cannot be read: {str(error) or 'no answer'}")
        return 200, {"status": "ready", **self._facts, **found}

    def _not_ready(self, reason: str) -> tuple[int, dict[str, Any]]:
        if self.is_ready:
            log.warning("not ready: %s", reason)
        return 503, {"status": "not ready", "reason": reason, **self._facts}
