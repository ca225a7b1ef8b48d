"""A bounded HTTP connection: no caller, however slow or large, costs more than `Bounds` says.

A protocol of asyncio's, on httptools' parser. `turns` answers the requests that are read here. A
refusal made here is sent only for a request that certainly did not run (promise P11); if an earlier
reply is still due, the connection closes after that reply instead. No sockets are opened here, and
no request is answered or verified.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum, auto
from typing import Final, NoReturn

import httptools

from sametoken.server.asgi import Application, decoded_path
from sametoken.server.bounds import (
    BODY_TOO_LARGE,
    FAILED,
    HEADERS_TOO_LARGE,
    MALFORMED,
    TOO_MANY_CONNECTIONS,
    TOO_SLOW,
    UPGRADE_REFUSED,
    URL_TOO_LONG,
    Refusal,
)
from sametoken.server.connections import Connections
from sametoken.server.replies import refused, whole
from sametoken.server.turns import Asked, Turns
from sametoken.world import mint_uuid

# Bytes are given to the parser in pieces, so that a limit is noticed at most two pieces late. The
# first is lost because the parser does not say where in a piece a request begins; the second is
# room for bytes that are neither URL nor header (method, version, line ends).
_PIECE_BYTES: Final = 16 * 1024
# Chunk sizes, extensions and trailers around a body may at most double it.
_BODY_FRAMING_FACTOR: Final = 2


class _Phase(Enum):
    """Part of a request that the next byte of a connection belongs to."""

    HEAD = auto()
    BODY = auto()
    BETWEEN = auto()  # before the first request, or after one that has ended
    DISCARD = auto()  # refused: bytes that still come are dropped
    LOST = auto()  # closed: no timer may start again


class _Refused(Exception):
    """Stops the parser from inside one of its callbacks; `_cause` holds the reason."""


class Connection(asyncio.Protocol):
    """A connection. Its parser calls `on_…` as it reads."""

    transport: asyncio.Transport

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._bounds = connections.bounds
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._turns = Turns(connections.endpoint, self)
        self.tasks = connections.tasks
        self.stamp = connections.stamp
        self._phase = _Phase.BETWEEN
        self._begun = False  # True once some byte of the next request has been parsed
        self._spent = 0  # raw bytes read in this phase, less the piece in which it began
        self._head_bytes = 0  # bytes of the URL and of whole headers parsed so far
        self._body_bytes = 0  # bytes of the bodies of all requests not answered yet
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects = False
        self._cause: Refusal | None = None
        self._is_spare = False  # True if there is no room for it, unless it is for a probe
        self._reads = True  # False while the transport's reading is paused
        self._due = math.inf  # moment at which `_expire` acts, in the loop's time
        self._timer: asyncio.TimerHandle | None = None
        self._unread_deadline: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override]  # a stream's is never less
    ) -> None:
        self.transport = transport
        if self._connections.add(self):
            self._arm(self._bounds.idle_seconds_max)
        elif self._connections.is_spare():
            self._is_spare = True
            self._arm(self._bounds.spare_seconds_max)
        else:
            self._phase = _Phase.DISCARD
            self._write(TOO_MANY_CONNECTIONS)
            self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _Phase.LOST
        self._turns.give_up()
        for timer in (self._timer, self._unread_deadline):
            if timer is not None:
                timer.cancel()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            if self.transport.is_closing():
                return
            if self._phase is _Phase.DISCARD:
                self._discard(len(data) - start)
                return
            self._parse(data[start : start + _PIECE_BYTES])
        if self._turns:
            self._turns.proceed()

    def _parse(self, piece: bytes) -> None:
        if self._phase is _Phase.BETWEEN:
            # Count from the first byte, even if the parser skips it: endless blank lines begin no
            # message, yet must not keep a connection.
            self._connections.heard(self)
            self._enter(_Phase.HEAD, self._bounds.header_seconds_max)
        self._spent += len(piece)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserCallbackError:
            if self._cause is None:
                raise  # a bug of ours, not the caller's
            self._refuse(self._cause)
            return
        except httptools.HttpParserError:
            self._refuse(MALFORMED)
            return
        raw_max = self._bounds.header_bytes_max + _PIECE_BYTES
        if self._phase is _Phase.HEAD and self._spent > raw_max:
            self._refuse(HEADERS_TOO_LARGE)
        framed_max = self._bounds.body_bytes_max * _BODY_FRAMING_FACTOR
        if self._phase is _Phase.BODY and self._spent > framed_max:
            self._refuse(BODY_TOO_LARGE)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        if self._phase is _Phase.BETWEEN:
            self._enter(_Phase.HEAD, self._bounds.header_seconds_max)
        self._begun = True
        self._head_bytes = 0
        self._url = b""
        self._headers = []
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)
        if len(self._url) > self._bounds.url_bytes_max:
            self._stop_parsing(URL_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is _Phase.BODY:
            return  # a trailer: the headers have been passed on already
        if not name:
            self._stop_parsing(MALFORMED)  # older llhttp lets `: value` pass
        name = name.lower()
        self._headers.append((name, value))
        self._head_bytes += len(name) + len(value) + len(": \r\n")
        too_many = len(self._headers) > self._bounds.headers_max
        if too_many or self._head_bytes > self._bounds.header_bytes_max:
            self._stop_parsing(HEADERS_TOO_LARGE)
        # The parser has checked that the value is a number; only its size matters here.
        if name == b"content-length" and int(value) > self._bounds.body_bytes_max:
            self._stop_parsing(BODY_TOO_LARGE)
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            # RFC 9110 allows a server to ignore the upgrade, but the parser then takes the body for
            # bytes of another protocol, so the request could not be read.
            self._stop_parsing(UPGRADE_REFUSED)
        ahead = len(self._turns)
        if ahead >= self._bounds.pipelined_max:
            # This refusal is never sent: replies are due, and the connection closes after them.
            self._stop_parsing(TOO_MANY_CONNECTIONS)
        if ahead == 0:
            self._body_bytes = 0
        else:
            self._pause_reading()
        version = parser.get_http_version()
        path, query, application = self._target()
        if self._is_spare and application is None:
            self._stop_parsing(TOO_MANY_CONNECTIONS)
        self._turns.add(
            Asked(
                parser.get_method().decode("ascii"),
                path,
                query,
                application,
                tuple(self._headers),
                version,
                keeps=version == "1.1" and parser.should_keep_alive() and not self._is_spare,
                expects=self._expects and version == "1.1",
            )
        )
        self._enter(_Phase.BODY, self._bounds.body_seconds_max)

    def _target(self) -> tuple[bytes, bytes, Application | None]:
        """Return the path, the query, and the application that answers there."""
        path, query = self._url, b""
        if path != b"/":
            try:
                parts = httptools.parse_url(path)
            except httptools.HttpParserInvalidURLError:
                self._stop_parsing(MALFORMED)
            path, query = parts.path or b"", parts.query or b""
            if not path or not path.isascii():
                self._stop_parsing(MALFORMED)
        return path, query, self._connections.endpoint.route(decoded_path(path))

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._bounds.body_bytes_max:
            self._stop_parsing(BODY_TOO_LARGE)
        self._turns.feed(body)

    def on_message_complete(self) -> None:
        self._turns.end()
        self._begun = False
        # An application may have answered without waiting for the body.
        self._enter(_Phase.BETWEEN, None if self._turns else self._bounds.idle_seconds_max)

    def _stop_parsing(self, refusal: Refusal) -> NoReturn:
        """Leave the parser, which reports an error to `_parse`."""
        self._cause = refusal
        raise _Refused

    # Replies

    def is_last(self) -> bool:
        return self._connections.draining or self._phase is _Phase.DISCARD

    def make_room(self, count: int) -> None:
        self._connections.make_room(count, self)

    def turn_ended(self, *, keeps: bool) -> None:
        if not keeps or (not self._turns and self.is_last()):
            self._turns.give_up()
            self._hang_up()
            return
        if self._phase is not _Phase.DISCARD:
            # The next request may have come in part only.
            self._resume_reading()
        if self._turns:
            self._loop.call_soon(self._turns.proceed)
        elif self._phase is _Phase.BETWEEN:
            self._arm(self._bounds.idle_seconds_max)

    def turn_failed(self, *, sent: bool) -> None:
        if sent:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._enter(_Phase.DISCARD, None)
            self._write(FAILED)
            self._linger()

    def pause_writing(self) -> None:
        self._turns.pause()
        if self._unread_deadline is None:
            self._unread_deadline = self._loop.call_later(
                self._bounds.reply_seconds_max, self.transport.abort
            )

    def resume_writing(self) -> None:
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None
        self._turns.resume()

    def _refuse(self, refusal: Refusal) -> None:
        """Stop reading from this caller; answer `refusal` unless a reply is due or under way."""
        is_cut = self._phase is _Phase.BODY
        self._enter(_Phase.DISCARD, None)
        may_answer = not is_cut or self._turns.give_up_newest()
        if self._turns:
            self._pause_reading()
        elif may_answer:
            self._write(refusal)
            self._linger()
        else:
            self._hang_up()

    def _write(self, refusal: Refusal) -> None:
        self._connections.refused(refusal)
        answer = refused(refusal, mint_uuid(self._connections.world))
        self.transport.write(whole(answer, self.stamp(), keeps=False, to_head=False))

    # Endings

    def shut_down(self) -> None:
        """Close, at once or after the replies that are due."""
        if not self._turns:
            self._hang_up()

    def _linger(self) -> None:
        """Close our half of the connection, and give the caller time to read the refusal."""
        self._spent = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._resume_reading()
        self._arm(self._bounds.linger_seconds_max)

    def _discard(self, count: int) -> None:
        self._spent += count
        if self._spent > self._bounds.linger_bytes_max and not self._turns:
            self._hang_up()

    def _pause_reading(self) -> None:
        if self._reads:
            self._reads = False
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reads and not self.transport.is_closing():
            self._reads = True
            self.transport.resume_reading()

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
        self._due = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._ring)

    def _disarm(self) -> None:
        self._due = math.inf

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() >= self._due:
            self._disarm()
            self._expire()
        elif self._due < math.inf:
            self._timer = self._loop.call_at(self._due, self._ring)

    def _expire(self) -> None:
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > 0:
            self.transport.abort()  # the caller does not read its reply
        elif self._phase is _Phase.BODY or (self._phase is _Phase.HEAD and self._begun):
            self._refuse(TOO_SLOW)
        elif self._turns:
            self._enter(_Phase.BETWEEN, None)  # blank lines after a request are no request
        elif self._is_spare and self._phase is not _Phase.DISCARD:
            self._refuse(TOO_MANY_CONNECTIONS)
        else:
            self._hang_up()
