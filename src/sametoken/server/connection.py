"""A bounded HTTP connection: no caller, however slow or large, costs more than `Bounds` says.

uvicorn's httptools protocol reads HTTP and speaks ASGI. This subclass bounds what uvicorn does not:
header bytes, URL, header time, body, unread replies. A refusal made here is sent only for a request
that certainly did not run (promise P11); if an earlier reply is still due, the connection closes
after that reply instead. No sockets are opened here, and no request is routed or verified.
"""

from __future__ import annotations

import asyncio
import math
from email.utils import format_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from sametoken.server.bounds import (
    BODY_TOO_LARGE,
    HEADERS_TOO_LARGE,
    MALFORMED,
    TOO_MANY_CONNECTIONS,
    TOO_SLOW,
    UPGRADE_REFUSED,
    URL_TOO_LONG,
    Bounds,
    Refusal,
)
from sametoken.server.whole_reply import send_whole
from sametoken.world import World, mint_uuid

# Bytes are given to the parser in pieces, so that a limit is noticed at most two pieces late. The
# first is lost because the parser does not say where in a piece a request begins; the second is
# room for bytes that are neither URL nor header (method, version, line ends).
_PIECE_BYTES: Final = 16 * 1024
# Chunk sizes, extensions and trailers around a body may at most double it.
_BODY_FRAMING_FACTOR: Final = 2


class EdgeState(ServerState):
    """State that all connections of one edge share."""

    def __init__(self, bounds: Bounds, world: World) -> None:
        super().__init__()
        self.bounds = bounds
        self.world = world
        self.draining = False
        self.connection_ended = asyncio.Event()
        self._second = 0

    def tell_time(self) -> None:
        """Bring the Date header up to the second; each reply copies it when it begins."""
        now = self.world.now()
        if int(now.timestamp()) != self._second:
            self._second = int(now.timestamp())
            date = format_datetime(now, usegmt=True).encode("ascii")
            self.default_headers = [(b"date", date), (b"server", b"sametoken")]

    async def quiet(self) -> None:
        """Return once no connection is open and no request is being worked on."""
        while self.connections:
            self.connection_ended.clear()
            await self.connection_ended.wait()
        while self.tasks:
            await asyncio.wait(self.tasks)


class _Phase(Enum):
    """Part of a request that the next byte of a connection belongs to."""

    HEAD = auto()
    BODY = auto()
    BETWEEN = auto()  # before the first request, or after one that has ended
    DISCARD = auto()  # refused: bytes that still come are dropped
    LOST = auto()  # closed: no timer may start again


class _Refused(Exception):
    """Stops the parser from inside one of its callbacks; `_cause` holds the reason."""


class Connection(HttpToolsProtocol):
    """A connection. Of uvicorn it uses `transport`, `flow`, `cycle`, `headers`, `parser`."""

    def __init__(self, config: uvicorn.Config, state: EdgeState) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._state = state
        self._bounds = state.bounds
        self._phase = _Phase.BETWEEN
        self._begun = False  # True once some byte of the next request has been parsed
        self._spent = 0  # raw bytes read in this phase, less the piece in which it began
        self._head_bytes = 0  # bytes of the URL and of whole headers parsed so far
        self._url_bytes = 0
        self._body_bytes = 0  # bytes of the bodies of all requests not answered yet
        self._unanswered = 0  # requests given to the application whose reply is not complete
        self._abandoned = 0  # unanswered requests that never will be: 1 if cut inside its body
        self._cause: Refusal | None = None
        self._due = math.inf  # moment at which `_expire` acts, in the loop's time
        self._timer: asyncio.TimerHandle | None = None
        self._unread_deadline: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override]  # narrowed as uvicorn does
    ) -> None:
        # Both event loops pass a Transport, never only a BaseTransport.
        super().connection_made(transport)
        if self._state.draining or len(self.connections) > self._bounds.connections_max:
            self._phase = _Phase.DISCARD
            self._write(TOO_MANY_CONNECTIONS)
            self._hang_up()
        else:
            self._arm(self._bounds.idle_seconds_max)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._phase = _Phase.LOST
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        self._state.connection_ended.set()

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing():
                return
            if self._phase is _Phase.DISCARD:
                self._discard(len(data) - start)
                return
            self._parse(data[start : start + _PIECE_BYTES])

    def _parse(self, piece: bytes) -> None:
        if self._phase is _Phase.BETWEEN:
            # Count from the first byte, even if the parser skips it: endless blank lines begin no
            # message, yet must not keep a connection.
            self._enter(_Phase.HEAD, self._bounds.header_seconds_max)
        self._spent += len(piece)
        super().data_received(piece)
        raw_max = self._bounds.header_bytes_max + _PIECE_BYTES
        if self._phase is _Phase.HEAD and self._spent > raw_max:
            self._refuse(HEADERS_TOO_LARGE)
        framed_max = self._bounds.body_bytes_max * _BODY_FRAMING_FACTOR
        if self._phase is _Phase.BODY and self._spent > framed_max:
            self._refuse(BODY_TOO_LARGE)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._phase is _Phase.BETWEEN:
            self._enter(_Phase.HEAD, self._bounds.header_seconds_max)
        self._begun = True
        self._head_bytes = self._url_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url_bytes += len(url)
        self._head_bytes += len(url)
        if self._url_bytes > self._bounds.url_bytes_max:
            self._stop_parsing(URL_TOO_LONG)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is _Phase.BODY:
            return  # a trailer: the application has been given the headers already
        if not name:
            self._stop_parsing(MALFORMED)  # older llhttp lets `: value` pass
        self._head_bytes += len(name) + len(value) + len(": \r\n")
        super().on_header(name, value)
        too_many = len(self.headers) > self._bounds.headers_max
        if too_many or self._head_bytes > self._bounds.header_bytes_max:
            self._stop_parsing(HEADERS_TOO_LARGE)
        # The parser has checked that the value is a number; only its size matters here.
        if name.lower() == b"content-length" and int(value) > self._bounds.body_bytes_max:
            self._stop_parsing(BODY_TOO_LARGE)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            # RFC 9110 allows a server to ignore the upgrade, but the parser then takes the body for
            # bytes of another protocol, so the request could not be read.
            self._stop_parsing(UPGRADE_REFUSED)
        if self._unanswered >= self._bounds.pipelined_max:
            # This refusal is never sent: replies are due, and the connection closes after them.
            self._stop_parsing(TOO_MANY_CONNECTIONS)
        self._state.tell_time()
        super().on_headers_complete()
        send_whole(self.cycle, self.transport)
        if self._unanswered == 0:
            self._body_bytes = 0
        self._unanswered += 1
        self._enter(_Phase.BODY, self._bounds.body_seconds_max)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._bounds.body_bytes_max:
            self._stop_parsing(BODY_TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._begun = False
        # An application may have answered without waiting for the body.
        idle = self._unanswered == 0
        self._enter(_Phase.BETWEEN, self._bounds.idle_seconds_max if idle else None)

    def _stop_parsing(self, refusal: Refusal) -> None:
        """Leave the parser: it reports an error, and `send_400_response` answers `refusal`."""
        self._cause = refusal
        raise _Refused

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._cause or MALFORMED)

    # Replies

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self._phase is _Phase.DISCARD:
            if self._unanswered <= self._abandoned:
                self._hang_up()
        elif self.transport.is_closing():
            self._arm(self._bounds.reply_seconds_max)
        elif self._phase is _Phase.BETWEEN and self._unanswered == 0:
            self._arm(self._bounds.idle_seconds_max)

    def timeout_keep_alive_handler(self) -> None:
        """Do nothing: uvicorn's timer outlives a reset connection, so `_arm` replaces it."""

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_deadline is None:
            self._unread_deadline = self.loop.call_later(
                self._bounds.reply_seconds_max, self.transport.abort
            )

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None

    def _refuse(self, refusal: Refusal) -> None:
        """Stop reading from this caller; answer `refusal` unless a reply is due or under way."""
        reading_body = self._phase is _Phase.BODY
        replies_due = self._unanswered - reading_body
        self._enter(_Phase.DISCARD, None)
        if replies_due > 0:
            self._abandoned = int(reading_body)
            self.flow.pause_reading()
        elif reading_body and self.cycle.response_started:
            self._hang_up()
        else:
            if reading_body:
                # Wake the application, which waits for the rest of the body: there is none.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self._write(refusal)
            self._linger()

    def _write(self, refusal: Refusal) -> None:
        self._state.tell_time()
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{refusal.code}</Code><Message>{refusal.message}</Message>"
            f"</Error></Errors><RequestID>{mint_uuid(self._state.world)}</RequestID></Response>"
        ).encode()
        phrase = HTTPStatus(refusal.http_status).phrase
        lines = [f"HTTP/1.1 {refusal.http_status} {phrase}".encode()]
        lines += [name + b": " + value for name, value in self._state.default_headers]
        lines += [
            b"content-type: text/xml;charset=UTF-8",
            f"content-length: {len(body)}".encode(),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    # Endings

    def _linger(self) -> None:
        """Close our half of the connection, and give the caller time to read the refusal."""
        self._spent = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._arm(self._bounds.linger_seconds_max)

    def _discard(self, count: int) -> None:
        if self._unanswered > self._abandoned:
            # Pause again: uvicorn resumes reading when it starts the next reply.
            self.flow.pause_reading()
            return
        self._spent += count
        if self._spent > self._bounds.linger_bytes_max:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close after all written bytes are sent, for which the caller has `reply_seconds_max`."""
        self.transport.close()
        self._arm(self._bounds.reply_seconds_max)

    def _enter(self, phase: _Phase, seconds: float | None) -> None:
        """Begin `phase`, which may last `seconds`; None if the caller cannot end it."""
        self._phase = phase
        self._spent = 0
        if seconds is None:
            self._disarm()
        else:
            self._arm(seconds)

    def _arm(self, seconds: float) -> None:
        """Let `_expire` act after `seconds`, and no longer at the moment set before.

        Every request calls this three times. A timer that would ring too early is therefore left
        alone, and sets itself again when it rings; only a timer that would ring too late is
        replaced.
        """
        if self._phase is _Phase.LOST:
            return
        self._due = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._due, self._ring)

    def _disarm(self) -> None:
        self._due = math.inf

    def _ring(self) -> None:
        self._timer = None
        if self.loop.time() >= self._due:
            self._disarm()
            self._expire()
        elif self._due < math.inf:
            self._timer = self.loop.call_at(self._due, self._ring)

    def _expire(self) -> None:
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > 0:
            self.transport.abort()  # the caller does not read its reply
        elif self._phase is _Phase.BODY or (self._phase is _Phase.HEAD and self._begun):
            self._refuse(TOO_SLOW)
        else:
            self._hang_up()
