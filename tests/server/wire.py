"""A client made of bytes, and the smallest endpoints it can talk to."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.asgi import Application, Message, Receive, Send, send_whole
from sametoken.server.bounds import Bounds
from sametoken.server.replies import Answer
from sametoken.server.turns import Endpoint
from server.running import running

# PATIENCE_SECONDS is so long that only a hang reaches it.
PATIENCE_SECONDS = 60.0
# UNHURRIED is for tests that are not about time: a busy machine changes nothing. Only the linger is
# short, because a client that reads to the end waits it out after each refusal.
UNHURRIED = Bounds(linger_seconds_max=0.2)
# HASTY is for tests of requests and replies that take too long, IDLE for tests of connections that
# are not used. These are apart because a connection idles until its first byte, too, and on a busy
# machine a client may take long to send one.
HASTY = replace(UNHURRIED, header_seconds_max=0.2, body_seconds_max=0.2, reply_seconds_max=0.2)
IDLE = replace(UNHURRIED, idle_seconds_max=0.5)
KIB = 1024


POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


Say = Callable[[WireRequest], Answer]


class Asgi:
    """An endpoint that has one application, at every path."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def route(self, path: str) -> Application | None:
        return self._application

    def answer(self, request: WireRequest, reply: Callable[[Answer], None]) -> None:
        raise AssertionError("every path is the application's")


class Direct:
    """An endpoint without applications, which answers at once, or by a task."""

    def __init__(self, say: Say, *, by_task: bool = False) -> None:
        self._say = say
        self._by_task = by_task

    def route(self, path: str) -> None:
        return None

    def answer(
        self, request: WireRequest, reply: Callable[[Answer], None]
    ) -> asyncio.Task[None] | None:
        if self._by_task:
            return asyncio.create_task(self._think(request, reply))
        reply(self._say(request))
        return None

    async def _think(self, request: WireRequest, reply: Callable[[Answer], None]) -> None:
        await asyncio.sleep(0)
        reply(self._say(request))


def say_what_came(request: WireRequest) -> Answer:
    """Answer with what arrived: method, path and the length of the body."""
    path = request.path.decode()
    return Answer(200, b"", f"{request.method} {path} {len(request.body)}".encode())


async def echo_by_asgi(scope: Message, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    text = f"{scope['method']} {scope['path']} {len(body)}"
    await send_whole(send, 200, "text/plain", text.encode())


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


# Endpoints that say the same, each in its own way.
ECHOES: dict[str, Endpoint] = {
    "at-once": Direct(say_what_came),
    "by-a-task": Direct(say_what_came, by_task=True),
    "asgi": Asgi(echo_by_asgi),
}


class Door:
    """An endpoint that holds every request until the test opens the door."""

    def __init__(self, *, is_asgi: bool) -> None:
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()
        self._is_asgi = is_asgi

    def open(self) -> None:
        self._open.set()

    def route(self, path: str) -> Application | None:
        return self._hold if self._is_asgi else None

    def answer(
        self, request: WireRequest, reply: Callable[[Answer], None]
    ) -> asyncio.Task[None] | None:
        return asyncio.create_task(self._wait(reply))

    async def _wait(self, reply: Callable[[Answer], None]) -> None:
        self.entered.release()
        await asyncio.to_thread(self._open.wait, PATIENCE_SECONDS)
        reply(Answer(200, b"", b"through the door"))

    async def _hold(self, scope: Message, receive: Receive, send: Send) -> None:
        await read_body(receive)
        self.entered.release()
        await asyncio.to_thread(self._open.wait, PATIENCE_SECONDS)
        await send_whole(send, 200, "text/plain", b"through the door")

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE_SECONDS)


class Wire:
    """A client made of bytes."""

    def __init__(self, where: tuple[str, int]) -> None:
        self.socket = socket.create_connection(where, timeout=PATIENCE_SECONDS)
        self._unread = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_reply(self) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next reply, which must have a content-length."""
        while b"\r\n\r\n" not in self._unread:
            self._receive()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(self._unread) < length:
            self._receive()
        body, self._unread = self._unread[:length], self._unread[length:]
        return int(head.split()[1]), head, body

    def read_heads(self, count: int) -> list[bytes]:
        """Read replies up to the end of the last one's head; none but the last has a body."""
        while self._unread.count(b"\r\n\r\n") < count:
            self._receive()
        *heads, self._unread = self._unread.split(b"\r\n\r\n", count)
        return heads

    def read_until(self, end: bytes) -> bytes:
        """Read up to `end`, and return it with what came before it."""
        while end not in self._unread:
            self._receive()
        found, _, self._unread = self._unread.partition(end)
        return found + end

    def read_to_end(self) -> bytes:
        """Read until the server closes or resets; a hang fails by its time-out."""
        with suppress(ConnectionError, EOFError):
            while True:
                self._receive()
        return self._unread

    def _receive(self) -> None:
        data = self.socket.recv(64 * KIB)
        if not data:
            raise EOFError
        self._unread += data

    def has_news(self, seconds: float = 0.0) -> bool:
        return bool(select.select([self.socket], [], [], seconds)[0])

    def send_until_cut(self, piece: bytes, total: int) -> int:
        """Send until the server answers or resets; return the bytes it took, at most `total`."""
        sent = 0
        with suppress(ConnectionError):
            while sent < total and not self.has_news():
                sent += self.socket.send(piece)
            return sent
        return sent


@contextmanager
def wire(where: tuple[str, int]) -> Iterator[Wire]:
    client = Wire(where)
    with client.socket:
        yield client


def exchange(endpoint: Endpoint, data: bytes, bounds: Bounds = UNHURRIED) -> bytes:
    """Send bytes to a fresh edge, and return everything it sent until it closed."""
    with running(endpoint, bounds) as where, wire(where) as client:
        client.send(data)
        return client.read_to_end()


def assert_refused(reply: bytes, status: int, code: str) -> None:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), reply
    assert b"content-type: text/xml;charset=UTF-8" in head
    assert b"connection: close" in head
    assert f"<Response><Errors><Error><Code>{code}</Code><Message>".encode() in body
    assert body.endswith(b"</RequestID></Response>")
    assert b"Traceback" not in reply
