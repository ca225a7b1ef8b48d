"""Endings of the HTTP edge: slow callers, crowds, a stop.

A wait here is always for an event on a socket. Limits are tiny where a test waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.asgi import Application, Message, Receive, Send, send_whole
from sametoken.server.connections import Connections
from sametoken.server.replies import Answer
from sametoken.server.tally import alone
from sametoken.server.turns import Endpoint
from sametoken.world import RealWorld
from server.running import EdgeThread, running
from server.wire import (
    GET,
    HASTY,
    IDLE,
    KIB,
    PATIENCE_SECONDS,
    POST,
    UNHURRIED,
    Asgi,
    Direct,
    Door,
    Wire,
    assert_refused,
    echo_by_asgi,
    exchange,
    wire,
)

# Bytes that are too slow


def test_slow_headers_are_cut_although_bytes_keep_coming(echo: Endpoint) -> None:
    with running(echo, HASTY) as where, wire(where) as client:
        client.send(b"GET / HTTP/1.1\r\nx: ")
        while not client.has_news(0.02):
            client.send(b"x")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_slow_body_is_cut_although_bytes_keep_coming(echo: Endpoint) -> None:
    with running(echo, HASTY) as where, wire(where) as client:
        client.send(POST + b"content-length: 10000\r\n\r\n")
        while not client.has_news(0.02):
            client.send(b"x")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_connection_that_says_nothing_is_closed_without_a_word(echo: Endpoint) -> None:
    assert exchange(echo, b"", IDLE) == b""


def test_a_connection_may_be_opened_long_before_its_first_request(echo: Endpoint) -> None:
    with running(echo, HASTY) as where, wire(where) as early:
        with wire(where) as slow:
            slow.send(b"GET / HT")
            assert_refused(slow.read_to_end(), 408, "RequestTimeoutException")
        early.send(GET)
        assert early.read_reply()[0] == 200


def test_blank_lines_do_not_keep_a_connection(echo: Endpoint) -> None:
    # The first byte of a blank line already begins the time of the next request's head.
    bounds = replace(IDLE, header_seconds_max=0.2)
    with running(echo, bounds) as where, wire(where) as client:
        client.send(GET)
        client.read_reply()
        with suppress(ConnectionError):
            while not client.has_news(0.02):
                client.send(b"\r\n")
        assert client.read_to_end() == b""


def test_blank_lines_after_a_request_do_not_cost_its_reply(door: Door) -> None:
    """Old clients send a line end after a POST: RFC 9112 section 2.2."""
    with running(door, HASTY) as where, wire(where) as client:
        client.send(GET)
        door.wait_until_entered()
        client.send(b"\r\n")
        with wire(where) as slow:  # its time for headers is over later than the client's
            slow.send(b"GET / HT")
            assert_refused(slow.read_to_end(), 408, "RequestTimeoutException")
        door.open()
        assert client.read_reply()[0] == 200
        client.send(GET)
        assert client.read_reply()[0] == 200


def test_an_idle_connection_is_closed_after_its_reply(echo: Endpoint) -> None:
    reply = exchange(echo, GET, IDLE)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert reply.endswith(b"GET / 0")


def test_a_later_request_has_its_own_time(echo: Endpoint) -> None:
    with running(echo, HASTY) as where, wire(where) as client:
        client.send(GET)
        assert client.read_reply()[0] == 200
        client.send(b"GET / HT")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_body_nobody_waits_for_is_still_bounded_in_time() -> None:
    async def judge_early(scope: Message, receive: Receive, send: Send) -> None:
        await send_whole(send, 405, "text/plain", b"no")

    with (
        running(Asgi(judge_early), HASTY) as where,
        wire(where) as client,
    ):
        client.send(POST + b"content-length: 10\r\n\r\n12345")
        assert client.read_reply()[0] == 405
        # The only reply was sent: a second one, for the late body, would answer nothing.
        assert client.read_to_end() == b""


def test_a_late_body_leaves_an_idle_connection_that_is_closed() -> None:
    async def judge_early(scope: Message, receive: Receive, send: Send) -> None:
        await send_whole(send, 405, "text/plain", b"no")

    with (
        running(Asgi(judge_early), IDLE) as where,
        wire(where) as client,
    ):
        client.send(POST + b"content-length: 5\r\n\r\n")
        assert client.read_reply()[0] == 405
        client.send(b"12345")
        assert client.read_to_end() == b""


@pytest.mark.parametrize("by_task", [False, True])
def test_a_caller_that_never_reads_its_reply_is_cut(by_task: bool) -> None:
    endpoint = Direct(lambda request: Answer(200, b"", b"x" * 64 * KIB * KIB), by_task=by_task)
    bounds = replace(HASTY, connections_max=1)
    with running(endpoint, bounds) as where, wire(where) as client:
        client.send(GET)
        assert client.has_news(PATIENCE_SECONDS)
        assert_eventually_taken(where)
        assert len(client.read_to_end()) < 32 * KIB * KIB


def test_replies_wait_for_a_caller_that_does_not_read_those_before() -> None:
    answered = 0

    def say_much(request: WireRequest) -> Answer:
        nonlocal answered
        answered += 1
        return Answer(200, b"", b"x" * 8 * KIB * KIB)

    edge = running(Direct(say_much), UNHURRIED)
    with edge as where, wire(where) as client:
        client.send(GET * 4)
        assert client.has_news(PATIENCE_SECONDS)
        with wire(where) as other:  # gives the loop turns to begin another reply
            other.send(b"\x00")
            assert_refused(other.read_to_end(), 400, "MalformedHttpRequestException")
        assert answered == 1
        lengths = [len(client.read_reply()[2]) for _ in range(4)]
    assert lengths == [8 * KIB * KIB] * 4


# Several at once


@pytest.mark.parametrize(
    ("sequel", "answered"),
    [
        (b"\x00 garbage", 1),
        (POST + b"content-length: 9999999\r\n\r\n", 1),
        (GET + POST + b"transfer-encoding: chunked\r\n\r\nzz", 2),
        (GET * 100, UNHURRIED.pipelined_max),
    ],
)
def test_a_bad_sequel_never_takes_the_place_of_an_earlier_reply(
    sequel: bytes, answered: int, door: Door
) -> None:
    with running(door, UNHURRIED) as where, wire(where) as client:
        client.send(GET + sequel)
        door.wait_until_entered()
        door.open()
        replies = client.read_to_end().split(b"HTTP/1.1 ")[1:]
    assert len(replies) == answered
    assert all(reply.startswith(b"200 OK") for reply in replies)


def test_a_request_sent_ahead_in_part_is_read_to_its_end(door: Door) -> None:
    with running(door, UNHURRIED) as where, wire(where) as client:
        client.send(GET + POST + b"content-length: 10\r\n\r\n12345")
        door.wait_until_entered()
        door.open()
        assert client.read_reply()[0] == 200
        client.send(b"67890")
        assert client.read_reply()[0] == 200


def test_bodies_sent_ahead_are_bounded_together(door: Door) -> None:
    bounds = replace(UNHURRIED, body_bytes_max=64 * KIB)
    one = POST + b"content-length: 40000\r\n\r\n" + b"x" * 40_000
    with running(door, bounds) as where, wire(where) as client:
        client.send(GET)
        door.wait_until_entered()
        with suppress(ConnectionError):
            client.send(one * 3)
        door.open()
        assert client.read_to_end().count(b"HTTP/1.1 200") in (1, 2)


def test_one_connection_too_many_gets_a_503_and_room_is_made_again(echo: Endpoint) -> None:
    bounds = replace(UNHURRIED, connections_max=2, spare_seconds_max=0.1)
    with running(echo, bounds) as where:
        with wire(where) as first, wire(where) as second:
            for client in (first, second):
                client.send(GET)
                assert client.read_reply()[0] == 200
            with wire(where) as third:
                assert_refused(third.read_to_end(), 503, "Unavailable")
        assert_eventually_taken(where)


class Probed:
    """An endpoint that answers by itself, and has an application at one path."""

    def route(self, path: str) -> Application | None:
        return echo_by_asgi if path == "/health" else None

    def answer(self, request: WireRequest, reply: Callable[[Answer], None]) -> None:
        reply(Answer(200, b"", b"whole"))


def test_a_probe_is_answered_in_a_full_house_and_nobody_else() -> None:
    full = replace(UNHURRIED, connections_max=1, spare_connections_max=2)
    probe = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    with running(Probed(), full) as where, wire(where) as first:
        first.send(GET)
        assert first.read_reply()[0] == 200
        for _ in range(3):
            with wire(where) as spare:
                spare.send(probe)
                assert spare.read_reply()[0] == 200
                assert spare.read_to_end() == b"", "a spare connection is for one request"
        with wire(where) as other:
            other.send(GET)
            assert_refused(other.read_to_end(), 503, "Unavailable")


def test_spare_connections_are_bounded() -> None:
    full = replace(UNHURRIED, connections_max=1, spare_connections_max=1)
    with running(Probed(), full) as where, wire(where) as first:
        first.send(GET)
        assert first.read_reply()[0] == 200
        with wire(where), wire(where) as third:
            assert_refused(third.read_to_end(), 503, "Unavailable")


def test_a_socket_that_has_said_nothing_for_long_makes_room_for_a_caller(echo: Endpoint) -> None:
    full = replace(UNHURRIED, connections_max=2, spare_seconds_max=0.0)
    with running(echo, full) as where, wire(where) as known:
        known.send(GET)
        assert known.read_reply()[0] == 200
        with wire(where) as silent, wire(where) as caller:
            caller.send(GET)
            assert caller.read_reply()[0] == 200
            assert silent.read_to_end() == b""
        known.send(GET)
        assert known.read_reply()[0] == 200


def test_a_socket_that_came_just_now_keeps_its_place(echo: Endpoint) -> None:
    full = replace(UNHURRIED, connections_max=1, spare_connections_max=0)
    with running(echo, full) as where, wire(where) as silent, wire(where) as caller:
        assert_refused(caller.read_to_end(), 503, "Unavailable")
        silent.send(GET)
        assert silent.read_reply()[0] == 200


class Unread:
    """A connection, and how many bytes its caller has not read."""

    def __init__(self, unsent: int) -> None:
        self.unsent = unsent
        self.is_cut = False
        self.transport: Any = self

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.is_cut = True

    def shut_down(self) -> None:
        raise AssertionError("nobody stops the edge")


def test_those_who_read_least_make_room_for_a_reply() -> None:
    bounds = replace(UNHURRIED, unsent_bytes_max=100)
    open = Connections(Probed(), bounds, RealWorld(), alone())
    members = [Unread(unsent) for unsent in (40, 10, 0, 50)]
    for member in members:
        open.add(member)
    open.make_room(0, members[2])
    assert not any(one.is_cut for one in members)
    open.make_room(30, members[2])
    assert [one.is_cut for one in members] == [False, False, False, True]
    open.make_room(200, members[0])
    assert [one.is_cut for one in members] == [False, True, False, True]


def assert_eventually_taken(where: tuple[str, int]) -> None:
    """Try until a connection is taken: the server notices closed ones in its own time."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        with wire(where) as client, suppress(ConnectionError):
            client.send(b"\x00")
            if client.read_to_end().startswith(b"HTTP/1.1 400 "):
                return
    pytest.fail("no room was made")


# Stopping


def test_a_request_in_flight_is_finished_and_a_new_connection_refused(door: Door) -> None:
    edge = EdgeThread(door, UNHURRIED)
    where = (edge.host, edge.port)
    with wire(where) as busy, wire(where) as idle:
        busy.send(GET)
        door.wait_until_entered()
        edge.stop()
        assert idle.read_to_end() == b""
        with pytest.raises(ConnectionRefusedError):
            Wire(where)
        door.open()
        status, head, body = busy.read_reply()
        assert (status, body) == (200, b"through the door")
        assert busy.read_to_end() == b""
    edge.join()
    assert b"date: " in head
    assert b"connection: close" in head


def test_a_kept_connection_without_a_request_is_closed_at_once_on_stop(echo: Endpoint) -> None:
    edge = EdgeThread(echo, UNHURRIED)
    with wire((edge.host, edge.port)) as client:
        client.send(GET)
        assert client.read_reply()[0] == 200
        edge.stop()
        assert client.read_to_end() == b""
    edge.join()


@pytest.mark.parametrize("is_asgi", [False, True])
def test_a_request_that_outlasts_the_drain_is_cut_off(is_asgi: bool) -> None:
    door = Door(is_asgi=is_asgi)
    edge = EdgeThread(door, replace(UNHURRIED, drain_seconds_max=0.1))
    with wire((edge.host, edge.port)) as client:
        client.send(GET)
        door.wait_until_entered()
        edge.stop()
        reply = client.read_to_end()
    door.open()
    edge.join()
    assert_refused(reply, 500, "InternalError")
