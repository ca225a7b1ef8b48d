"""A proxy that loses, repeats and delays on purpose, as networks do by accident.

Put it between a client and any endpoint; it passes requests on byte for byte (so signatures hold)
and asks a policy for the fate of each. For tests and demonstrations; loopback only.
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


Policy = Callable[[Passage], Fate]


@dataclass(slots=True)
class LossyProxy:
    """The running proxy: where it listens, what it decided, and the policy it follows now."""

    url: str
    policy: Policy
    passages: list[tuple[Passage, Fate]] = field(default_factory=list)
    # The first error in the proxy, such as one of the policy; raised at the end of the block.
    failure: BaseException | None = None
    _attempts: dict[tuple[str, str | None], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, action: str, client_token: str | None, invocation: str | None) -> Fate:
        with self._lock:
            first = Passage(action, client_token, 1, invocation)
            tries = self._attempts.get(first.call, 0) + 1
            self._attempts[first.call] = tries
            passage = replace(first, attempt=tries)
            fate = self.policy(passage)
            if not isinstance(fate, Fate):
                raise TypeError(f"the policy answers {fate!r} for {passage}, which is no Fate")
            self.passages.append((passage, fate))
            return fate

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
def lossy_proxy(upstream: str, policy: Policy = pass_all) -> Iterator[LossyProxy]:
    """Run a proxy before `upstream` on a free loopback port, until the block ends.

    Raises `ValueError` for anything but an http URL, and at the end of the block the first error of
    the policy.
    """
    address = urllib.parse.urlsplit(upstream)
    if address.scheme != "http" or address.hostname is None:
        raise ValueError(f"{upstream!r} is no http URL, such as http://127.0.0.1:4590")
    target = (address.hostname, address.port or 80)

    server = _Server(("127.0.0.1", 0), _Handler)
    server.target = target
    proxy = server.proxy = LossyProxy(f"http://127.0.0.1:{server.server_port}", policy)
    thread = threading.Thread(
        target=server.serve_forever, args=(_STOP_SECONDS_MAX,), name="lossy-proxy"
    )
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        if proxy.failure is not None:
            raise proxy.failure


class _Server(ThreadingHTTPServer):
    proxy: LossyProxy
    target: tuple[str, int]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the error of a handler; a client that has gone away is no error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.proxy.failure = self.proxy.failure or error


class _Handler(BaseHTTPRequestHandler):
    """A connection of a client. It closes after each answer, so that a dropped reply stays lost."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            # Passing on a part of it would break the signature, and say so of the endpoint.
            self._answer(413, [], b"", is_cut=False)
            return
        body = self.rfile.read(length)
        query = urllib.parse.urlsplit(self.path).query
        fields = dict(urllib.parse.parse_qsl(f"{query}&{body.decode('latin-1')}"))
        fate = self.server.proxy.decide(
            fields.get("Action", "-"),
            fields.get("ClientToken"),
            self.headers.get(INVOCATION_HEADER),
        )
        if fate is Fate.DROP_REQUEST:
            self._hang_up()
            return
        status, headers, answer = self._ask(body)
        if fate is Fate.DUPLICATE:
            status, headers, answer = self._ask(body)
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
            reply = upstream.getresponse()
            return reply.status, reply.getheaders(), reply.read()
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
        self.send_header("Connection", "close")
        self.end_headers()
        if is_cut:
            self._hang_up()
        else:
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def handle_expect_100(self) -> bool:
        # Skip "100 Continue" here: the body follows anyway, and a 100 would break the byte-for-byte
        # passage.
        self.send_response_only(100)
        self.end_headers()
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `passages` is the log."""
