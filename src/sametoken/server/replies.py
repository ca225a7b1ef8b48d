"""Replies as bytes: status lines, the head of a reply, and the edge's own refusals.

Bytes and values only. A reply that fits the system's buffers is one piece of bytes, so that a
caller gets all of it or none, even if the process is killed: botocore tries again after a
connection that ends without a reply, but not after a head whose body is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

from sametoken.server.bounds import Refusal


class Part(Enum):
    """The part of a reply that its caller gets before the connection ends, if a fault cuts it."""

    NOTHING = auto()
    HEAD = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply. `headers` are lines, each with its end; the edge adds those on framing.

    It is sent `after` so many seconds; whole, unless a fault leaves only `part` of it.
    """

    status: int
    headers: bytes
    body: bytes
    after: float = 0.0
    part: Part | None = None


def status_line(status: int) -> bytes:
    """Return the first line of a reply; a status that no standard knows has no phrase."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


_STATUS_LINES = {
    int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def whole(answer: Answer, stamp: bytes, *, keeps: bool, to_head: bool) -> bytes:
    """Return a reply in one piece. `stamp` has the lines that all replies share.

    Unless `keeps`, the connection is to close; `to_head` leaves the body out, as HEAD asks.
    """
    return _REPLY % (*_head(answer, stamp, keeps), b"" if to_head else answer.body)


def parted(answer: Answer, stamp: bytes, *, keeps: bool) -> tuple[bytes, memoryview]:
    """Return a large reply as its head and its body, of which no copy is made."""
    return _REPLY % (*_head(answer, stamp, keeps), b""), memoryview(answer.body)


_REPLY = b"%b%b%bcontent-length: %d\r\n%b\r\n%b"


def _head(answer: Answer, stamp: bytes, keeps: bool) -> tuple[bytes, bytes, bytes, int, bytes]:
    return (
        status_line(answer.status),
        stamp,
        answer.headers,
        len(answer.body),
        b"" if keeps else b"connection: close\r\n",
    )


def refused(refusal: Refusal, request_id: str) -> Answer:
    """Return the answer that is `refusal`, in the XML of EC2's errors."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{refusal.code}</Code><Message>{refusal.message}</Message>"
        f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
    return Answer(refusal.http_status, b"content-type: text/xml;charset=UTF-8\r\n", body.encode())
