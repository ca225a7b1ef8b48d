"""Probes of load balancers and supervisors: is the process alive, can it take requests?

`/health` answers 200 as long as the process answers at all. `/ready` answers 200 while the database
can be read and the node has not been told to stop, and 503 otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sametoken.errors import Transient

log = logging.getLogger(__name__)

HEALTH, READY = "/health", "/ready"
# A probe has to answer in time even if the database does not.
READY_SECONDS_MAX = 3.0

# Reads the database; raises if it cannot be read.
Look = Callable[[], Awaitable[object]]


async def probe(path: str, *, is_ready: bool, look: Look) -> tuple[int, bytes]:
    """Return the status and the text that answer a probe of `path`."""
    if path == HEALTH:
        return 200, b"alive\n"
    if not is_ready:
        return 503, b"stopping\n"
    try:
        async with asyncio.timeout(READY_SECONDS_MAX):
            await look()
    except (Transient, TimeoutError) as error:
        log.warning("not ready: %r", error)
        return 503, b"the database cannot be read\n"
    return 200, b"ready\n"
