"""Monitor: what answers at a node's own port for operators: metrics, and the probes.

EC2's API is not served there, so that the port may be open to a scraper that has no access key, and
closed to everybody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.asgi import Application
from sametoken.server.replies import Answer


class Monitor:
    """The endpoint of an edge that has ASGI applications at its paths, and nothing else."""

    def __init__(self, routes: Mapping[str, Application]) -> None:
        self._routes = routes
        self._lost = f"This port has {', '.join(routes)}.\n".encode()

    def route(self, path: str) -> Application | None:
        return self._routes.get(path)

    def answer(
        self, request: WireRequest, reply: Callable[[Answer], None]
    ) -> asyncio.Task[Any] | None:
        """Refuse what is asked at any other path."""
        reply(Answer(404, b"content-type: text/plain;charset=UTF-8\r\n", self._lost))
        return None
