"""Turns of a connection: a reply is one write, each turn of the loop makes one, a bug is a 500."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from httptools import HttpParserCallbackError

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.connection import Connection
from sametoken.server.connections import Connections
from sametoken.server.replies import Answer
from sametoken.server.tally import alone
from sametoken.server.turns import PARTED_BYTES
from sametoken.world import RealWorld
from server.running import running
from server.wire import GET, UNHURRIED, Direct, assert_refused, say_what_came, wire


class Recorded(asyncio.Transport):
    """Keeps each piece that is written, as a socket would be given it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [0, 9, PARTED_BYTES])
def test_nothing_of_a_reply_is_sent_before_all_of_it(size: int) -> None:
    """Callers try again when a connection ends, but not when it ends after a head."""
    endpoint = Direct(lambda request: Answer(200, b"x: y\r\n", b"z" * size))
    transport = Recorded()

    async def receive() -> None:
        connection = Connection(Connections(endpoint, UNHURRIED, RealWorld(), alone()))
        connection.connection_made(transport)
        connection.data_received(GET)
        connection.connection_lost(None)

    asyncio.run(receive())
    [reply] = transport.pieces
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"\r\n\r\n" + b"z" * size)


def test_who_sends_ahead_has_one_request_answered_each_turn_of_the_loop() -> None:
    transport = Recorded()
    after_each_turn: list[int] = []

    async def receive() -> None:
        connection = Connection(Connections(Direct(say_what_came), UNHURRIED, RealWorld(), alone()))
        connection.connection_made(transport)
        connection.data_received(GET * 3)
        for _ in range(3):
            after_each_turn.append(len(transport.pieces))
            await asyncio.sleep(0)
        connection.connection_lost(None)

    asyncio.run(receive())
    assert after_each_turn == [1, 2, 3]


@pytest.mark.parametrize(("version", "told"), [(b"1.1", 1), (b"1.0", 0)])
def test_an_old_caller_is_not_told_to_go_on(version: bytes, told: int) -> None:
    """A server sends no interim reply to HTTP/1.0: RFC 9110 section 10.1.1."""
    transport = Recorded()

    async def receive() -> None:
        connection = Connection(Connections(Direct(say_what_came), UNHURRIED, RealWorld(), alone()))
        connection.connection_made(transport)
        head = b"POST / HTTP/%b\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        connection.data_received(head % version + b"o")
        connection.data_received(b"k")
        connection.connection_lost(None)

    asyncio.run(receive())
    *interim, reply = transport.pieces
    assert interim == [b"HTTP/1.1 100 Continue\r\n\r\n"] * told
    assert reply.endswith(b"POST / 2")


def test_a_connection_that_comes_while_the_edge_drains_is_refused() -> None:
    transport = Recorded()

    async def come_late() -> None:
        connections = Connections(Direct(say_what_came), UNHURRIED, RealWorld(), alone())
        await connections.drain()
        connection = Connection(connections)
        connection.connection_made(transport)
        connection.data_received(GET)
        connection.connection_lost(None)

    asyncio.run(come_late())
    [reply] = transport.pieces
    assert_refused(reply, 503, "Unavailable")


@pytest.mark.parametrize("by_task", [False, True])
def test_an_endpoint_that_fails_is_no_answer_and_no_mistake_of_the_caller(by_task: bool) -> None:
    def fail(request: WireRequest) -> Answer:
        raise ZeroDivisionError("secret detail")

    endpoint = Direct(fail, by_task=by_task)
    with (
        pytest.raises(ZeroDivisionError) if not by_task else nullcontext(),
        running(endpoint, UNHURRIED) as where,
        wire(where) as client,
    ):
        client.send(GET)
        reply = client.read_to_end()
        assert b"secret" not in reply
        assert (reply == b"") is not by_task
        if by_task:
            assert_refused(reply, 500, "InternalError")


def test_a_bug_in_reading_a_request_is_no_mistake_of_the_caller() -> None:
    class Lost(Direct):
        def route(self, path: str) -> None:
            raise ZeroDivisionError

    with (
        pytest.raises(HttpParserCallbackError),
        running(Lost(say_what_came), UNHURRIED) as where,
        wire(where) as client,
    ):
        client.send(GET)
        assert client.read_to_end() == b""
