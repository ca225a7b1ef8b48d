"""Calls of ASGI applications, which answer at paths that are not EC2's: ASGI 3, scope `http`.

A call hands the request's body on as it arrives, and streams the reply: it waits while the caller
does not read, and is cancelled once the caller has gone. A reply's head waits for its first body,
so that a short reply is one write, and an application that fails before it is a 500. No lifespan,
no websockets, no extensions; what a request may ask is bounded by `connection`.

Source: the ASGI specification, "HTTP & WebSocket ASGI Message Format", version 2.4.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol
from urllib.parse import unquote

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.replies import status_line

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# RFC 9110 sections 5.1 and 5.5: with a line end, a header could be two, or the end of the head.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# Statuses whose replies have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


class Turn(Protocol):
    """The connection of a call, as far as the call needs it."""

    def write(self, data: bytes) -> None:
        """Send bytes; never waits."""
        ...

    async def drain(self) -> None:
        """Wait while the caller does not read what was written."""
        ...

    def stamp(self) -> bytes:
        """Return the header lines that all replies share."""
        ...

    def keeps(self) -> bool:
        """Return whether the connection goes on after the reply that is due."""
        ...

    def finish(self, *, keeps: bool) -> None:
        """Take note that the reply is complete; unless it `keeps`, the connection closes."""
        ...


class Call:
    """A request to an application, and its reply. For use in the event loop alone."""

    def __init__(self, turn: Turn, method: str, version: str, *, expects: bool) -> None:
        self._turn = turn
        self._is_bodiless = method == "HEAD"
        self._is_old = version == "1.0"
        self._expects = expects  # its sender waits for "100 Continue"
        self._body = bytearray()  # has come, and was not handed on yet
        self._is_whole = False  # True once the body's last part has arrived
        self._told_whole = False
        self._news = asyncio.Event()
        self._head: list[bytes] = []  # of the reply, until its first body
        self._keeps = True
        self._is_chunked = False
        self._left: int | None = None  # bytes that the content-length promises; None without one
        self._started = False  # True once the application has begun its reply
        self.sent = False  # True once some of the reply is on its way
        self._complete = False
        self._gone = False  # True once nobody waits for the reply

    # Of the connection

    def feed(self, part: bytes) -> None:
        """Take a part of the body; it is dropped if the reply is complete."""
        if not self._complete:
            self._body += part
            self._news.set()

    def end(self) -> None:
        """Take note that the body is whole."""
        self._is_whole = True
        self._news.set()

    def leave(self) -> None:
        """Take note that nobody waits for the reply any more."""
        self._gone = True
        self._news.set()

    # Of the application

    async def receive(self) -> Message:
        """Return what has come of the body since the last call; `http.disconnect` after it."""
        if self._expects and not self._started and not self._is_whole:
            self._turn.write(CONTINUE)
        self._expects = False
        while not self._complete and not self._gone:
            if self._body or (self._is_whole and not self._told_whole):
                body = bytes(self._body)
                self._body.clear()
                self._told_whole = self._is_whole
                return {"type": "http.request", "body": body, "more_body": not self._is_whole}
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the reply, once the caller has read enough of the parts before it.

        Raises OSError if the caller has gone, which only an application that goes on although it
        was cancelled can meet.
        """
        await self._turn.drain()
        if self._gone:
            raise ConnectionResetError("the caller has gone")
        match message["type"]:
            case "http.response.start" if not self._started:
                self._start(message["status"], message.get("headers", ()))
            case "http.response.body" if self._started and not self._complete:
                self._send_body(message.get("body", b""), message.get("more_body", False))
            case other:
                raise RuntimeError(f"the message {other} is not due")

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        head = [status_line(status), self._turn.stamp()]
        self._keeps = self._turn.keeps()
        for given, value in headers:
            if _NAME.fullmatch(given) is None or _VALUE.fullmatch(value) is None:
                raise RuntimeError(f"the header {given!r} cannot be sent")
            name = given.lower()
            if name == b"content-length":
                self._left = int(value)
            if name == b"connection":
                self._keeps = self._keeps and b"close" not in value.lower()
            elif name != b"transfer-encoding":
                head.append(b"%b: %b\r\n" % (name, value))
        self._is_bodiless = self._is_bodiless or status in _BODILESS
        self._head = head
        self._started = True

    def _send_body(self, body: bytes, more: bool) -> None:
        pieces, self._head = self._head, []
        if pieces:
            pieces.append(self._framing(len(body), more))
        if not self._is_bodiless:
            self._count(len(body), more)
            pieces += self._framed(body, more)
        if pieces:
            self.sent = True
            self._turn.write(b"".join(pieces))
        if not more:
            self._complete = True
            self._news.set()
            self._turn.finish(keeps=self._keeps)

    def _framing(self, length: int, more: bool) -> bytes:
        """Return the end of the head. A body of unknown length is chunked; HTTP/1.0 closes."""
        line = b""
        if not self._is_bodiless and self._left is None:
            if not more:
                self._left = length
                line = b"content-length: %d\r\n" % length
            elif not self._is_old:
                self._is_chunked = True
                line = b"transfer-encoding: chunked\r\n"
        return line + (b"\r\n" if self._keeps else b"connection: close\r\n\r\n")

    def _count(self, length: int, more: bool) -> None:
        if self._left is None:
            return
        self._left -= length
        if self._left < 0 or (self._left > 0 and not more):
            raise RuntimeError("the body has another length than the reply's content-length says")

    def _framed(self, body: bytes, more: bool) -> list[bytes]:
        if not self._is_chunked:
            return [body]
        chunk = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
        return chunk if more else [*chunk, b"0\r\n\r\n"]


def scope_of(request: WireRequest, version: str, transport: asyncio.BaseTransport) -> Message:
    """Return the scope of a request; its body is not read here."""
    is_tls = transport.get_extra_info("ssl_object") is not None
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": version,
        "method": request.method,
        "scheme": "https" if is_tls else "http",
        "path": decoded_path(request.path),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": request.headers,
        "client": _address(transport, "peername"),
        "server": _address(transport, "sockname"),
    }


def _address(transport: asyncio.BaseTransport, which: str) -> tuple[str, int] | None:
    found = transport.get_extra_info(which)
    return None if found is None else (found[0], found[1])


def decoded_path(path: bytes) -> str:
    """Return a path without percent-encoding, as applications and routes know it."""
    text = path.decode("ascii")
    return unquote(text) if "%" in text else text


async def send_whole(send: Send, status: int, content_type: str, body: bytes) -> None:
    """Send a reply that is complete."""
    length = str(len(body)).encode()
    headers = [(b"content-type", content_type.encode()), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
