"""Frames between a node's edges and its writer: values and their bytes, no sockets.

A frame is the length of a message, and the message. All that one turn of an event loop has to say
goes out in one write. Both ends are forked from one program, so there are no versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from sametoken.counts import Labels, Told
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.errors import ServiceError, Transient
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import Kept, TokenKey
from sametoken.server.admission import Admitted
from sametoken.server.execution import Executed

_LENGTH_BYTES: Final = 4


class Ask(msgspec.Struct, array_like=True, tag="ask"):
    """A request of an edge, to begin before the moment `until` of the host's monotonic clock."""

    number: int
    until: float
    verb: str  # a method of `writing.Writer`
    account: str = ""
    region: str = ""
    action: str = ""
    params: dict[str, Any] = {}
    request_id: str = ""
    access_key_id: str = ""
    access: str = ""
    stand_in: str | None = None
    prepared: dict[str, Any] | None = None
    full_zones: tuple[str, ...] = ()
    origin: str | None = None
    bucket: str = ""
    trace: str = ""


class Noted(msgspec.Struct, array_like=True, tag="noted"):
    """An edge's word on attempts that it has answered, by their tokens: see `journal`.

    Each is the token's key, and what is kept of it as `attempts.packed` writes it.
    """

    found: list[tuple[tuple[str, ...], str, int]]


class CountAll(msgspec.Struct, array_like=True, tag="count all"):
    """An edge's wish to know the counts of all edges of its node, its own included."""

    number: int


class GiveUp(msgspec.Struct, array_like=True, tag="give up"):
    """An edge's word that nobody waits for an answer: what has not begun never shall."""

    number: int


class Counted(msgspec.Struct, array_like=True, tag="counted"):
    """An edge's counts since its start, in answer to `Count`: by family, labels and numbers."""

    families: dict[str, list[tuple[Labels, list[float]]]]

    def told(self) -> Told:
        return _told(self.families)


class Answer(msgspec.Struct, array_like=True, tag="answer"):
    """The writer's answer, sent after the COMMIT of what was asked.

    `error` is raised, unless there is an `attempt`: then its transaction was committed with it. An
    `unfinished` request has no answer, for that reason; `ran` is that of `errors.Transient`.
    """

    number: int
    attempt: str = ""
    result: dict[str, Any] | None = None
    error: tuple[str, str, int, bool] | None = None
    differing: tuple[str, ...] = ()
    unfinished: str = ""
    ran: bool = True

    def executed(self) -> Executed:
        """Return the outcome, or raise what was raised at the writer."""
        if self.unfinished:
            raise Transient(self.unfinished, ran=self.ran)
        error = None
        if self.error is not None:
            code, message, http_status, binds_token = self.error
            error = ServiceError(code, message, http_status=http_status, binds_token=binds_token)
            if not self.attempt:
                raise error
        return Executed(self.attempt, self.result, error, self.differing)


class Totals(msgspec.Struct, array_like=True, tag="totals"):
    """The counts of all edges, in answer to `CountAll`."""

    number: int
    families: dict[str, list[tuple[Labels, list[float]]]]

    def told(self) -> Told:
        return _told(self.families)


class Stop(msgspec.Struct, array_like=True, tag="stop"):
    """The writer's word that the node stops; without `drains` at once."""

    drains: bool


class Count(msgspec.Struct, array_like=True, tag="count"):
    """The writer's wish to know an edge's counts."""


FromEdge = Ask | GiveUp | Noted | Counted | CountAll
FromWriter = Answer | Stop | Count | Totals
Message = TypeVar("Message")


def framed(message: FromEdge | FromWriter) -> bytes:
    """Return the message's frame. Raises TypeError or OverflowError for what no frame can hold."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES) + body


class Splitter(Generic[Message]):
    """Takes the bytes of frames as they come, and returns the messages that are whole."""

    def __init__(self, type: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(type)
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        data = self._rest + data
        found, at = [], 0
        while at + _LENGTH_BYTES <= len(data):
            begin = at + _LENGTH_BYTES
            end = begin + int.from_bytes(data[at:begin])
            if end > len(data):
                break
            found.append(self._decoder.decode(data[begin:end]))
            at = end
        self._rest = data[at:]
        return found


def ask_to_execute(number: int, until: float, admitted: Admitted) -> Ask:
    request = admitted.request
    return Ask(
        number, until, "execute", request.account, request.region, request.action,
        dict(request.params), request.request_id, request.access_key_id, request.access,
        admitted.stand_in, request.prepared, request.full_zones, request.origin,
        trace=request.trace,
    )  # fmt: skip


def counted_of(told: Told) -> Counted:
    """Return the frame that tells these counts."""
    return Counted(_listed(told))


def totals_of(number: int, told: Told) -> Totals:
    """Return the frame that answers a `CountAll` with these counts."""
    return Totals(number, _listed(told))


def _listed(told: Told) -> dict[str, list[tuple[Labels, list[float]]]]:
    return {name: list(samples.items()) for name, samples in told.items()}


def _told(families: dict[str, list[tuple[Labels, list[float]]]]) -> Told:
    return {name: dict(samples) for name, samples in families.items()}


def noted(found: Mapping[TokenKey, Kept]) -> Noted:
    return Noted([(tuple(key), attempts.packed(kept), kept.repeats) for key, kept in found.items()])


def found_in(message: Noted) -> dict[TokenKey, Kept]:
    """Return what `noted` was given."""
    return {
        TokenKey(*key): attempts.unpacked(told, repeats) for key, told, repeats in message.found
    }


def admitted_of(ask: Ask) -> Admitted:
    """Return the request that `ask_to_execute` was given."""
    request = Request(
        ask.account, ask.region, ask.action, ask.params, ask.request_id, ask.access_key_id,
        ask.access, ask.prepared, full_zones=ask.full_zones, origin=ask.origin, trace=ask.trace,
    )  # fmt: skip
    codec = ServiceModel.load("ec2").codec(ask.action)
    return Admitted(request, ACTIONS[ask.action], codec, ask.stand_in)


def answer_of(number: int, executed: Executed | None) -> Answer:
    """Return the answer with an outcome; None if what was asked has none."""
    if executed is None:
        return Answer(number)
    error = None if executed.error is None else _spelled(executed.error)
    return Answer(number, executed.attempt, executed.result, error, tuple(executed.differing))


def answer_with(number: int, error: ServiceError | Transient) -> Answer:
    """Return the answer that makes `Answer.executed` raise what was raised."""
    if isinstance(error, Transient):
        return Answer(number, unfinished=str(error) or "unfinished", ran=error.ran)
    return Answer(number, error=_spelled(error))


def _spelled(error: ServiceError) -> tuple[str, str, int, bool]:
    return error.code, error.message, error.http_status, error.binds_token
