"""The HTTP edge: binds a socket, serves an endpoint on it, drains and stops.

Every connection is a `connection.Connection`, so the limits hold whatever the endpoint does. No
signatures, no signal handlers, no access log.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sametoken.errors import Misconfigured
from sametoken.server.bounds import DEFAULT_BOUNDS, Bounds
from sametoken.server.connection import Connection
from sametoken.server.connections import Connections
from sametoken.server.counts import ConnectionCounts
from sametoken.server.handshakes import Handshakes
from sametoken.server.tally import Tally, alone
from sametoken.server.turns import Endpoint
from sametoken.world import RealWorld, World

# Connections that the kernel holds while the event loop is busy: a burst of several clients' pools.
_BACKLOG: Final = 256
_PORT_MAX: Final = 65_535


class PortInUse(Misconfigured):
    """Another program listens there."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen at: port 0 means any free one; with a certificate, https only.

    `tls_key` may be None if the certificate's file also holds the key.
    """

    host: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket, the certificate to serve on it, and how many edges share it."""

    socket: socket.socket
    tls: ssl.SSLContext | None
    sharers: int = 1

    @property
    def url(self) -> str:
        """The URL of the real port."""
        host, port = self.socket.getsockname()[:2]
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def bind(listener: Listener, sharers: int = 1) -> Bound:
    """Listen: callers may connect from now on, and are answered once an edge serves.

    Raises Misconfigured if the address or the certificate cannot be used.
    """
    tls = _tls_context(listener)
    return Bound(_listen(listener.host, listener.port), tls, sharers)


class Edge:
    """An endpoint behind a listening socket. Serves once; make another edge to serve again.

    `open` counts the connections of all edges of a node. `mark` is a header line of every reply.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        bound: Bound,
        bounds: Bounds = DEFAULT_BOUNDS,
        *,
        world: World | None = None,
        open: Tally | None = None,
        mark: bytes = b"",
    ) -> None:
        self._endpoint = endpoint
        self._bound = bound
        self._bounds = bounds
        self._world = world or RealWorld()
        self._open = open or alone()
        self._mark = mark
        self.counts = ConnectionCounts()

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer requests until `stop` is set; then refuse new ones and finish those in flight.

        Idle connections close at once. A request that is still unanswered after
        `drain_seconds_max` is cancelled and cut off: its caller cannot know its fate, and may
        repeat it.
        """
        listening, tls = self._bound.socket, self._bound.tls
        connections = Connections(
            self._endpoint, self._bounds, self._world, self._open, self._mark, self.counts
        )
        connect = partial(Connection, connections)
        try:
            async with AsyncExitStack() as ending:
                if tls is None:
                    await self._accept(connect, ending)
                else:
                    handshakes = Handshakes(connections, tls, connect)
                    loop = asyncio.get_running_loop()
                    accepting = loop.create_task(handshakes.accept(listening))
                    ending.callback(accepting.cancel)
                await stop.wait()
        finally:
            listening.close()
            await connections.drain()

    async def _accept(self, connect: Callable[[], Connection], ending: AsyncExitStack) -> None:
        """Accept until `ending`."""
        listening = self._bound.socket
        server = await asyncio.get_running_loop().create_server(
            connect,
            sock=listening,
            # The event loop also takes so many connections in a turn: of edges that share a
            # socket, the first to wake would take a whole burst.
            backlog=_BACKLOG if self._bound.sharers == 1 else 1,
        )
        listening.listen(_BACKLOG)
        ending.callback(server.close)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port in use is found before anything starts."""
    if not 0 <= port <= _PORT_MAX:
        raise Misconfigured(
            f"There is no port {port}. Choose one from 0 (any that is free) to {_PORT_MAX}."
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise Misconfigured(
            f"The host {host!r} cannot be resolved ({error}). Use an address of this machine, "
            "such as 127.0.0.1."
        ) from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        # Without SO_REUSEADDR a restart waits a minute for the TIME_WAIT of old connections. On
        # Windows the option means something else: two programs may take one port.
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        in_use = error.errno == errno.EADDRINUSE
        refusal = PortInUse if in_use else Misconfigured
        raise refusal(_cannot_listen(host, port, error)) from error
    return listening


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {port} on {host} is in use by another program. Stop that program or choose "
                "another port; 0 takes any that is free."
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"This user may not listen on port {port} of {host}. Choose a port above 1023, or "
                "give this program the right to it."
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{host} is not an address of this machine. Listen on one that is, such as "
                "127.0.0.1."
            )
        case _:
            return f"Cannot listen on {host} port {port}: {error}. Choose another host or port."


def _tls_context(listener: Listener) -> ssl.SSLContext | None:
    if listener.tls_cert is None:
        if listener.tls_key is not None:
            raise Misconfigured(
                f"A TLS key was given ({listener.tls_key}) without a certificate. Give both, or "
                "neither."
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(listener.tls_cert, listener.tls_key, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        if listener.tls_key is None:
            raise Misconfigured(
                f"The TLS certificate {listener.tls_cert} cannot be used alone ({error}). Name its "
                "key with --tls-key, or a PEM file that holds both."
            ) from error
        raise Misconfigured(
            f"The TLS certificate {listener.tls_cert} and key {listener.tls_key} cannot be used "
            f"({error}). Both must be readable PEM files, the key unencrypted and the "
            "certificate's own."
        ) from error
    return context


def _no_password() -> str:
    """Return a wrong password, which fails: OpenSSL would ask on the terminal, and hang there."""
    return ""
