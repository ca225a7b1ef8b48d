"""The HTTP edge: binds a socket, serves an ASGI application on it, drains and stops.

Every connection is a `connection.Connection`, so the limits hold whatever the application does.
uvicorn's own `Server` is not used: it handles SIGTERM, which belongs to the caller here, polls ten
times a second for its end, and gives a TLS handshake 60 seconds. No routing, no signatures, no
signal handlers, no access log, no lifespan messages.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from sametoken.errors import Misconfigured, SametokenError, ServiceError
from sametoken.server.bounds import BODY_TOO_LARGE, DEFAULT_BOUNDS, Bounds
from sametoken.server.connection import Connection, EdgeState
from sametoken.world import RealWorld, World

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

# Connections that the kernel holds while the event loop is busy: a burst of several clients' pools.
_BACKLOG: Final = 256
_PORT_MAX: Final = 65_535
# After the drain, tasks are cancelled and sockets reset. The event loop gets this long to notice,
# far more than it needs.
_NOTICE_SECONDS: Final = 1.0


class ClientGone(SametokenError):
    """The connection ended before the request was complete, so there is no caller to answer."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole request body, which may have `limit` bytes.

    Raises a ServiceError with status 413 as soon as the body is longer, and ClientGone if the
    connection ends first.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the connection ended inside the request body")
        body += message.get("body", b"")
        if len(body) > limit:
            raise ServiceError(
                BODY_TOO_LARGE.code,
                BODY_TOO_LARGE.message,
                http_status=BODY_TOO_LARGE.http_status,
            )
        if not message.get("more_body", False):
            return bytes(body)


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen at: port 0 means any free one; with a certificate, https only.

    `tls_key` may be None if the certificate's file also holds the key.
    """

    host: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None


class Edge:
    """An application behind a listening socket. Serves once; make another edge to serve again."""

    def __init__(
        self,
        app: Application,
        listener: Listener,
        bounds: Bounds = DEFAULT_BOUNDS,
        *,
        world: World | None = None,
    ) -> None:
        self._app = app
        self._listener = listener
        self._bounds = bounds
        self._world = world or RealWorld()
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None

    def bind(self) -> socket.socket:
        """Listen: callers may connect from now on, and are answered once `serve` runs.

        Returns the socket, which names the real port and still belongs to the edge. Raises
        Misconfigured if the address or the certificate cannot be used.
        """
        assert self._socket is None, "an edge is bound once"
        self._tls = _tls_context(self._listener)
        self._socket = _listen(self._listener.host, self._listener.port)
        return self._socket

    def address(self) -> tuple[str, int]:
        """Return the host and the real port, once bound."""
        assert self._socket is not None, "bind() comes first"
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer requests until `stop` is set; then refuse new ones and finish those in flight.

        Idle connections close at once. A request that is still unanswered after
        `drain_seconds_max` is cancelled and cut off: its caller cannot know its fate, and may
        repeat it.
        """
        listening = self._socket or self.bind()
        state = EdgeState(self._bounds, self._world)
        config = self._configuration()
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(config, state),
            sock=listening,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self._bounds.header_seconds_max if self._tls else None,
            ssl_shutdown_timeout=self._bounds.linger_seconds_max if self._tls else None,
        )
        try:
            await stop.wait()
        finally:
            state.draining = True
            server.close()
            listening.close()
            await self._drain(state)

    async def _drain(self, state: EdgeState) -> None:
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self._bounds.drain_seconds_max):
                await state.quiet()
        except TimeoutError:
            await _cut_off(state)

    def _configuration(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            # A header that any caller can write says nothing about where a request came from.
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=0,  # see Connection.timeout_keep_alive_handler
        )


async def _cut_off(state: EdgeState) -> None:
    """Cancel requests that outlasted the drain; uvicorn answers 500 for them where it can."""
    tasks = list(state.tasks)
    for task in tasks:
        task.cancel("the time to drain is over")
    if tasks:
        await asyncio.wait(tasks, timeout=_NOTICE_SECONDS)
    for connection in list(state.connections):
        connection.transport.abort()
    with suppress(TimeoutError):
        async with asyncio.timeout(_NOTICE_SECONDS):
            await state.quiet()


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
        raise Misconfigured(_cannot_listen(host, port, error)) from error
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
