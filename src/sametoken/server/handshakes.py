"""TLS handshakes of an edge: a socket counts as a connection from the moment it is accepted.

The event loop's own server tells nobody of a socket before its handshake is done, so any number of
callers could each hold one for as long as a handshake may take.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from typing import Any, Final

from sametoken.server.connections import Connections

# The wait after a socket that could not be accepted, as when no file may be opened any more.
_AGAIN_SECONDS: Final = 1.0


class Handshakes:
    """Accepts at a listening socket, and lets in who has shaken hands in time."""

    def __init__(
        self,
        connections: Connections,
        tls: ssl.SSLContext,
        connect: Callable[[], asyncio.Protocol],
    ) -> None:
        self._connections = connections
        self._tls = tls
        self._connect = connect
        self._shaking: set[asyncio.Task[None]] = set()

    async def accept(self, listening: socket) -> None:
        """Accept until cancelled; the handshakes then under way end too.

        There is no way to refuse in words before the handshake: a socket too many is closed.
        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    link, _ = await loop.sock_accept(listening)
                except OSError:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_AGAIN_SECONDS):
                            await loop.create_future()
                    continue
                if not self._connections.has_room(len(self._shaking) + 1):
                    link.close()
                    continue
                task = loop.create_task(self._shake(link))
                self._shaking.add(task)
                task.add_done_callback(self._shaking.discard)
        finally:
            for task in self._shaking:
                task.cancel()

    async def _shake(self, link: Any) -> None:
        bounds = self._connections.bounds
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connect, link, ssl=self._tls,
                ssl_handshake_timeout=bounds.header_seconds_max,
                ssl_shutdown_timeout=bounds.linger_seconds_max,
            )  # fmt: skip
        except OSError:
            link.close()
