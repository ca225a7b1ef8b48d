"""A proxy that loses, repeats and delays on purpose, as networks do by accident.

Put it between a client and any endpoint; it passes requests on byte for byte (so signatures hold)
and asks a policy for the fate of each. For tests and demonstrations; loopback only. An endpoint of
`sametoken.testing` can do more by itself: see its faults.
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sametoken.world import RealWorld, World

# UPSTREAM_SECONDS_MAX is longer than any honest answer takes, short enough that a hung endpoint
# fails its test.
UPSTREAM_SECONDS_MAX = 60.0
# Four times what our own endpoint takes.
BODY_BYTES_MAX = 4 * 1024 * 1024
# Seconds that the end of the block may take; the standard library's own half second adds up in
# tests.
_STOP_SECONDS_MAX = 0.05


class Fate(Enum):
    """The proxy's ways to treat one request."""

    PASS = "pass"  # noqa: S105 - not a password
    DROP_REQUEST = "drop request"  # the endpoint never hears of it
    DROP_REPLY = "drop reply"  # the endpoint acts, the client never hears
    CUT_REPLY = "cut reply"  # the endpoint acts, the client hears the head of the reply, no body
    DUPLICATE = "duplicate"  # the endpoint hears it twice, the client gets the second answer
    SERVER_ERROR = "server error"  # the endpoint acts, the client is told 503


@dataclass(frozen=True, slots=True)
class Delayed:
    """A fate, and how long it takes: seconds before the endpoint hears of the request, and after.

    A caller that waits for less than `reply_seconds` gives up after the endpoint has acted.
    """

    request_seconds: float = 0.0
    reply_seconds: float = 0.0
    fate: Fate = Fate.PASS


# INVOCATION_HEADER is sent by AWS's SDKs: the same value with every try of one call, a new one for
# the next call.
INVOCATION_HEADER = "amz-sdk-invocation-id"


@dataclass(frozen=True, slots=True)
class Passage:
    """A request as the proxy saw it: its action, token and invocation id, and the try's number."""

    action: str
    client_token: str | None
    attempt: int
    invocation: str | None = None

    @property
    def call(self) -> tuple[str, str | None]:
        """The key that all tries of one call share: the action, and its token.

        A call without a token goes by its SDK's invocation id; calls of one action that have
        neither count as one call.
        """
        return self.action, self.client_token or self.invocation


Policy = Callable[[Passage], Fate | Delayed]


@dataclass(slots=True)
class LossyProxy:
    """The running proxy: where it listens, what it decided, and the policy it follows now."""

    url: str
    policy: Policy
    world: World
    passages: list[tuple[Passage, Fate]] = field(default_factory=list)
    # The first error in the proxy, such as one of the policy; raised at the end of the block.
    failure: BaseException | None = None
    _attempts: dict[tuple[str, str | None], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ends: threading.Event = field(default_factory=threading.Event)

    def decide(self, action: str, client_token: str | None, invocation: str | None) -> Delayed:
        with self._lock:
            first = Passage(action, client_token, 1, invocation)
            tries = self._attempts.get(first.call, 0) + 1
            self._attempts[first.call] = tries
            passage = replace(first, attempt=tries)
            met = self.policy(passage)
            if not isinstance(met, Fate | Delayed):
                raise TypeError(f"the policy answers {met!r} for {passage}, which is no Fate")
            delayed = met if isinstance(met, Delayed) else Delayed(fate=met)
            self.passages.append((passage, delayed.fate))
            return delayed

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the proxy ends."""
        if seconds > 0:
            self.world.wait(self._ends, seconds)

    def end(self) -> None:
        """Let nobody wait any longer."""
        self._ends.set()

    def count(self, action: str, fate: Fate | None = None) -> int:
        """Count the requests for `action` that were seen (and met `fate`)."""
        with self._lock:
            return sum(
                passage.action == action and fate in (None, met) for passage, met in self.passages
            )


def drop_first_replies(action: str, count: int) -> Policy:
    """Drop the replies to the first `count` tries of each `action` request."""

    def policy(passage: Passage) -> Fate:
        lost = passage.action == action and passage.attempt <= count
        return Fate.DROP_REPLY if lost else Fate.PASS

    return policy


def pass_all(passage: Passage) -> Fate:
    return Fate.PASS


@contextmanager
def lossy_proxy(
    upstream: str, policy: Policy = pass_all, *, world: World | None = None
) -> Iterator[LossyProxy]:
    """Run a proxy before `upstream` on a free loopback port, until the block ends.

    Connections of clients stay open, as those to a real endpoint do, until a reply is lost or cut.
    Delays are waited for in `world`, the real one if None.

    Raises `ValueError` for anything but an http URL, and at the end of the block the first error of
    the policy.
    """
    address = urllib.parse.urlsplit(upstream)
    if address.scheme != "http" or address.hostname is None:
        raise ValueError(f"{upstream!r} is no http URL, such as http://127.0.0.1:4590")
    target = (address.hostname, address.port or 80)

    server = _Server(("127.0.0.1", 0), _Handler)
    server.target = target
    url = f"http://127.0.0.1:{server.server_port}"
    proxy = server.proxy = LossyProxy(url, policy, world or RealWorld())
    thread = threading.Thread(
        target=server.serve_forever, args=(_STOP_SECONDS_MAX,), name="lossy-proxy"
    )
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        proxy.end()
        server.hang_up()
        server.server_close()
        if proxy.failure is not None:
            raise proxy.failure


class _Server(ThreadingHTTPServer):
    """The listening end. Its `server_close` returns once the thread of every connection ended."""

    proxy: LossyProxy
    target: tuple[str, int]
    daemon_threads = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ended = False
        self._open: set[socket.socket] = set()
        self._opening = threading.Lock()

    def opened(self, connection: socket.socket) -> None:
        """Know of a connection until it is `closed`, to hang up when the proxy ends."""
        with self._opening:
            self._open.add(connection)
            if self._ended:
                _hang_up(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._opening:
            self._open.discard(connection)

    def hang_up(self) -> None:
        """End every connection, also those to come, so that no thread waits for more of it."""
        with self._opening:
            self._ended = True
            for connection in self._open:
                _hang_up(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.closed(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the error of a handler; a client that has gone away is no error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.proxy.failure = self.proxy.failure or error


class _Handler(BaseHTTPRequestHandler):
    """A connection of a client. It is closed where a reply is lost, so that it stays lost."""

    protocol_version = "HTTP/1.1"
    # An answer goes out in two pieces, of which the second would wait for a receipt of the first.
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            # Passing on a part of it would break the signature, and say so of the endpoint.
            self.close_connection = True
            self._answer(413, [], b"", is_cut=False)
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # The caller has gone, with the rest of its request.
            return
        query = urllib.parse.urlsplit(self.path).query
        fields = dict(urllib.parse.parse_qsl(f"{query}&{body.decode('latin-1')}"))
        proxy = self.server.proxy
        delayed = proxy.decide(
            fields.get("Action", "-"),
            fields.get("ClientToken"),
            self.headers.get(INVOCATION_HEADER),
        )
        fate = delayed.fate
        proxy.wait(delayed.request_seconds)
        if fate is Fate.DROP_REQUEST:
            self._hang_up()
            return
        status, headers, answer = self._ask(body)
        if fate is Fate.DUPLICATE:
            status, headers, answer = self._ask(body)
        proxy.wait(delayed.reply_seconds)
        if fate is Fate.DROP_REPLY:
            self._hang_up()
            return
        if fate is Fate.SERVER_ERROR:
            status, headers, answer = 503, [], b""
        self._answer(status, headers, answer, is_cut=fate is Fate.CUT_REPLY)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(*self.server.target, timeout=UPSTREAM_SECONDS_MAX)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            connection = upstream.sock
            self.server.opened(connection)
            try:
                reply = upstream.getresponse()
                return reply.status, reply.getheaders(), reply.read()
            finally:
                self.server.closed(connection)
        except (OSError, http.client.HTTPException):
            return 502, [], b""
        finally:
            upstream.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, is_cut: bool
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if is_cut:
            self._hang_up()
        else:
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        _hang_up(self.connection)

    def handle_expect_100(self) -> bool:
        # Skip "100 Continue" here: the body follows anyway, and a 100 would break the byte-for-byte
        # passage.
        self.send_response_only(100)
        self.end_headers()
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `passages` is the log."""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
