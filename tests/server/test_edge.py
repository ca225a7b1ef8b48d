"""Raw bytes against the HTTP edge: honest ones are served, too many or wrong ones get a 4xx.

No reply holds a traceback, and what the server takes before it cuts a caller off is bounded. A
wait here is always for an event on a socket.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace

import pytest

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.asgi import Message, Receive, Send
from sametoken.server.replies import Answer
from sametoken.server.turns import Endpoint
from server.running import running
from server.wire import (
    GET,
    KIB,
    PATIENCE_SECONDS,
    POST,
    UNHURRIED,
    Asgi,
    Direct,
    assert_refused,
    exchange,
    read_body,
    say_what_came,
    wire,
)

# Honest callers


def test_a_kept_connection_carries_many_requests(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        for number in range(3):
            client.send(b"POST /%d HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello" % number)
            status, head, body = client.read_reply()
            assert (status, body) == (200, b"POST /%d 5" % number)
            assert b"server: sametoken" in head
            assert b"\r\ndate: " in head


def test_a_request_may_arrive_byte_by_byte(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in POST + b"content-length: 2\r\n\r\nok":
            client.send(bytes([byte]))
        assert client.read_reply()[2] == b"POST / 2"


def test_ten_requests_sent_ahead_are_answered_in_order(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(10)))
        assert [client.read_reply()[2] for _ in range(10)] == [b"GET /%d 0" % n for n in range(10)]


@pytest.mark.parametrize("asked", [b"", b"connection: keep-alive\r\n"])
def test_http_1_0_is_answered_and_closed(echo: Endpoint, asked: bytes) -> None:
    reply = exchange(echo, b"GET /old HTTP/1.0\r\n" + asked + b"\r\n")
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nconnection: close\r\n" in reply
    assert reply.endswith(b"GET /old 0")


def test_methods_are_the_applications_to_judge(echo: Endpoint) -> None:
    reply = exchange(echo, b"DELETE / HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    assert reply.endswith(b"DELETE / 0")


def test_a_chunked_body_is_read_and_its_trailers_become_no_headers() -> None:
    seen: list[bytes] = []

    def note_headers(request: WireRequest) -> Answer:
        seen.extend(name for name, _ in request.headers)
        return say_what_came(request)

    chunked = b"5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n"
    with (
        running(Direct(note_headers), UNHURRIED) as where,
        wire(where) as client,
    ):
        client.send(POST + b"transfer-encoding: chunked\r\n\r\n" + chunked)
        assert client.read_reply()[2] == b"POST / 5"
        client.send(GET)
        assert client.read_reply()[0] == 200
    assert seen == [b"host", b"transfer-encoding", b"host"]


def test_head_is_answered_without_a_body(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        client.send(b"HEAD /x HTTP/1.1\r\n\r\n" + GET)
        replies = client.read_heads(2)
    assert [head.split(b"\r\n")[0] for head in replies] == [b"HTTP/1.1 200 OK"] * 2
    assert b"content-length: 9" in replies[0]


def test_a_caller_that_waits_to_be_told_to_send_its_body_is_told(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        for _ in range(2):
            client.send(POST + b"content-length: 2\r\nexpect: 100-Continue\r\n\r\n")
            assert client.read_heads(1) == [b"HTTP/1.1 100 Continue"]
            client.send(b"ok")
            assert client.read_reply()[2] == b"POST / 2"


def test_nobody_is_told_to_send_a_body_that_is_too_large(echo: Endpoint) -> None:
    length = UNHURRIED.body_bytes_max + 1
    head = POST + b"content-length: %d\r\nexpect: 100-continue\r\n\r\n" % length
    reply = exchange(echo, head)
    assert_refused(reply, 413, "RequestEntityTooLargeException")


def test_the_largest_allowed_request_is_answered(echo: Endpoint) -> None:
    bounds = UNHURRIED
    path = b"/" + b"a" * (bounds.url_bytes_max - 1)
    head = b"POST " + path + b" HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % bounds.body_bytes_max
    with running(echo, bounds) as where, wire(where) as client:
        client.send(head + b"b" * bounds.body_bytes_max)
        status, _, body = client.read_reply()
        assert (status, body.split()[-1]) == (200, str(bounds.body_bytes_max).encode())


# Bytes that are too many


def test_endless_headers_are_cut(echo: Endpoint) -> None:
    bounds = replace(UNHURRIED, headers_max=10_000_000)
    with running(echo, bounds) as where, wire(where) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        sent = client.send_until_cut(b"x-padding: padding\r\n" * 100, 64 * KIB * KIB)
        reply = client.read_to_end()
    assert sent < 16 * KIB * KIB
    if reply:
        assert_refused(reply, 431, "MalformedHttpRequestException")


def test_one_endless_header_is_cut(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        client.send(b"GET / HTTP/1.1\r\nx-padding: ")
        sent = client.send_until_cut(b"p" * 64 * KIB, 64 * KIB * KIB)
        reply = client.read_to_end()
    assert sent < 16 * KIB * KIB
    if reply:
        assert_refused(reply, 431, "MalformedHttpRequestException")


def test_a_url_of_64_mib_is_cut(echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        client.send(b"GET /")
        sent = client.send_until_cut(b"a" * 64 * KIB, 64 * KIB * KIB)
        reply = client.read_to_end()
    assert sent < 16 * KIB * KIB
    if reply:
        assert_refused(reply, 414, "MalformedHttpRequestException")


def test_a_url_just_over_the_limit_is_refused_in_words(echo: Endpoint) -> None:
    url = b"/" + b"a" * UNHURRIED.url_bytes_max
    reply = exchange(echo, b"GET " + url + b" HTTP/1.1\r\n\r\n")
    assert_refused(reply, 414, "MalformedHttpRequestException")


def test_headers_just_over_the_limit_are_refused_in_words(echo: Endpoint) -> None:
    padding = b"x: " + b"a" * UNHURRIED.header_bytes_max
    assert_refused(
        exchange(echo, b"GET / HTTP/1.1\r\n" + padding + b"\r\n\r\n"),
        431,
        "MalformedHttpRequestException",
    )


def test_too_many_headers_are_refused(echo: Endpoint) -> None:
    many = b"a: b\r\n" * (UNHURRIED.headers_max + 1)
    reply = exchange(echo, b"GET / HTTP/1.1\r\n" + many + b"\r\n")
    assert_refused(reply, 431, "MalformedHttpRequestException")


@pytest.mark.parametrize("requests", [0, 1])
def test_endless_blank_lines_are_cut(requests: int, echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        for _ in range(requests):
            client.send(GET)
            assert client.read_reply()[0] == 200
        sent = client.send_until_cut(b"\r\n" * 32 * KIB, 64 * KIB * KIB)
        client.read_to_end()
    assert sent < 16 * KIB * KIB


def test_a_content_length_over_the_limit_is_refused_before_any_body(echo: Endpoint) -> None:
    length = UNHURRIED.body_bytes_max + 1
    reply = exchange(echo, POST + b"content-length: %d\r\n\r\n" % length)
    assert_refused(reply, 413, "RequestEntityTooLargeException")


def test_a_client_that_sends_its_whole_body_first_still_reads_the_413(echo: Endpoint) -> None:
    # The body is larger than the sockets' buffers, so that the send only ends if the server reads
    # on.
    body = b"x" * 32 * KIB * KIB
    bounds = replace(UNHURRIED, linger_bytes_max=len(body), linger_seconds_max=PATIENCE_SECONDS)
    head = POST + b"content-length: %d\r\n\r\n" % len(body)
    assert_refused(exchange(echo, head + body, bounds), 413, "RequestEntityTooLargeException")


def test_a_refused_caller_that_sends_on_is_cut(echo: Endpoint) -> None:
    bounds = replace(UNHURRIED, linger_seconds_max=PATIENCE_SECONDS)
    with running(echo, bounds) as where, wire(where) as client:
        client.send(POST + b"content-length: 99999999\r\n\r\n")
        assert client.read_reply()[0] == 413
        with pytest.raises(ConnectionError):
            client.send(b"x" * 64 * KIB * KIB)


def test_a_chunked_body_just_over_the_limit_is_refused_in_words(echo: Endpoint) -> None:
    chunk = b"%x\r\n" % 1001 + b"x" * 1001 + b"\r\n0\r\n\r\n"
    reply = exchange(
        echo,
        POST + b"transfer-encoding: chunked\r\n\r\n" + chunk,
        replace(UNHURRIED, body_bytes_max=1000),
    )
    assert_refused(reply, 413, "RequestEntityTooLargeException")


def test_a_chunked_body_over_the_limit_is_cut_and_the_application_is_told() -> None:
    gone = threading.Event()

    async def wait_for_body(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await read_body(receive)
        except asyncio.CancelledError:
            gone.set()
            raise

    bounds = replace(
        UNHURRIED, linger_seconds_max=2 * PATIENCE_SECONDS, linger_bytes_max=128 * KIB * KIB
    )
    edge = running(Asgi(wait_for_body), bounds)
    with edge as where, wire(where) as client:
        client.send(POST + b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 64 * KIB + b"\r\n"
        sent = client.send_until_cut(chunk, 64 * KIB * KIB)
        assert gone.wait(PATIENCE_SECONDS), "it is told while the caller is still there"
        reply = client.read_to_end()
    assert sent < 16 * KIB * KIB
    if reply:
        assert_refused(reply, 413, "RequestEntityTooLargeException")


@pytest.mark.parametrize("framing", [b"1;" + b"e" * 64 * KIB, b"0\r\nx: " + b"t" * 64 * KIB])
def test_endless_framing_of_a_small_body_is_cut(framing: bytes, echo: Endpoint) -> None:
    with running(echo, UNHURRIED) as where, wire(where) as client:
        client.send(POST + b"transfer-encoding: chunked\r\n\r\n" + framing)
        sent = client.send_until_cut(b"e" * 64 * KIB, 64 * KIB * KIB)
        client.read_to_end()
    assert sent < 16 * KIB * KIB


# Bytes that are not HTTP, or not the HTTP we speak


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\xff\xfe\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS handshake
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nx: \x00\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        POST + b"content-length: nine\r\n\r\n",
        POST + b"content-length: -1\r\n\r\n",
        POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        POST + b"content-length: 99999999999999999999999999\r\n\r\n",
        POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n: nameless\r\n\r\n",
    ],
)
def test_garbage_gets_a_400_and_a_closed_connection(garbage: bytes, echo: Endpoint) -> None:
    assert_refused(exchange(echo, garbage), 400, "MalformedHttpRequestException")


def test_an_upgrade_is_refused_and_its_body_never_read_as_a_request(echo: Endpoint) -> None:
    reply = exchange(
        echo,
        POST + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 28\r\n\r\n" + GET,
    )
    assert_refused(reply, 400, "MalformedHttpRequestException")
    assert reply.count(b"\r\ncontent-length: ") == 1
