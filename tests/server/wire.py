"""A client made of bytes, and the smallest applications it can talk to."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
import uvloop

from sametoken.server.bounds import Bounds
from sametoken.server.edge import ClientGone, Message, Receive, Send, read_body
from server.running import LoopFactory, running

# The event loops an edge may run on; each behaves in its own way at a connection's end.
LOOPS = [
    pytest.param(uvloop.new_event_loop, id="uvloop"),
    pytest.param(asyncio.new_event_loop, id="asyncio"),
]
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


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with what arrived: method, path and the length of the body."""
    try:
        body = await read_body(receive, 1024 * KIB)
    except ClientGone:
        return
    await answer(send, 200, f"{scope['method']} {scope['path']} {len(body)}".encode())


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Door:
    """An application that holds every request until the test opens the door."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await read_body(receive, 1024 * KIB)
        self.entered.release()
        await asyncio.to_thread(self._open.wait, PATIENCE_SECONDS)
        await answer(send, 200, b"through the door")

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


def exchange(loop_factory: LoopFactory, data: bytes, bounds: Bounds = UNHURRIED) -> bytes:
    """Send bytes to a fresh edge, and return everything it sent until it closed."""
    with running(echo, bounds, loop_factory=loop_factory) as where, wire(where) as client:
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
