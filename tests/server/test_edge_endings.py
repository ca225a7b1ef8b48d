"""Endings of the HTTP edge: slow callers, crowds, a stop, an address in use; and TLS.

A wait here is always for an event on a socket. Limits are tiny where a test waits for them.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from time import monotonic

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.errors import Misconfigured
from sametoken.server.asgi import Message, Receive, Send, send_whole
from sametoken.server.edge import Edge, Listener
from sametoken.server.replies import Answer
from sametoken.server.turns import Endpoint
from server.running import EdgeThread, LoopFactory, running
from server.wire import (
    GET,
    HASTY,
    KIB,
    PATIENCE_SECONDS,
    POST,
    UNHURRIED,
    Asgi,
    Direct,
    Door,
    Wire,
    assert_refused,
    exchange,
    say_what_came,
    wire,
)

# For edges that answer nobody.
SILENT = Direct(say_what_came)

# Bytes that are too slow


def test_slow_headers_are_cut_although_bytes_keep_coming(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(b"GET / HTTP/1.1\r\nx: ")
        while not client.has_news(0.02):
            client.send(b"x")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_slow_body_is_cut_although_bytes_keep_coming(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(POST + b"content-length: 10000\r\n\r\n")
        while not client.has_news(0.02):
            client.send(b"x")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_connection_that_says_nothing_is_closed_without_a_word(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    assert exchange(loop_factory, echo, b"", HASTY) == b""


def test_a_connection_may_be_opened_long_before_its_first_request(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    bounds = replace(HASTY, idle_seconds_max=PATIENCE_SECONDS)
    with running(echo, bounds, loop_factory=loop_factory) as where, wire(where) as early:
        with wire(where) as slow:
            slow.send(b"GET / HT")
            assert_refused(slow.read_to_end(), 408, "RequestTimeoutException")
        early.send(GET)
        assert early.read_reply()[0] == 200


def test_blank_lines_do_not_keep_a_connection(loop_factory: LoopFactory, echo: Endpoint) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        client.read_reply()
        with suppress(ConnectionError):
            while not client.has_news(0.02):
                client.send(b"\r\n")
        assert client.read_to_end() == b""


def test_an_idle_connection_is_closed_after_its_reply(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    reply = exchange(loop_factory, echo, GET, HASTY)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert reply.endswith(b"GET / 0")


def test_a_later_request_has_its_own_time(loop_factory: LoopFactory, echo: Endpoint) -> None:
    bounds = replace(HASTY, idle_seconds_max=PATIENCE_SECONDS)
    with running(echo, bounds, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        assert client.read_reply()[0] == 200
        client.send(b"GET / HT")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_body_nobody_waits_for_is_still_bounded_in_time(loop_factory: LoopFactory) -> None:
    async def judge_early(scope: Message, receive: Receive, send: Send) -> None:
        await send_whole(send, 405, "text/plain", b"no")

    bounds = replace(HASTY, idle_seconds_max=PATIENCE_SECONDS)
    with (
        running(Asgi(judge_early), bounds, loop_factory=loop_factory) as where,
        wire(where) as client,
    ):
        client.send(POST + b"content-length: 10\r\n\r\n12345")
        assert client.read_reply()[0] == 405
        # The only reply was sent: a second one, for the late body, would answer nothing.
        assert client.read_to_end() == b""


def test_a_late_body_leaves_an_idle_connection_that_is_closed(loop_factory: LoopFactory) -> None:
    async def judge_early(scope: Message, receive: Receive, send: Send) -> None:
        await send_whole(send, 405, "text/plain", b"no")

    bounds = replace(HASTY, body_seconds_max=PATIENCE_SECONDS)
    with (
        running(Asgi(judge_early), bounds, loop_factory=loop_factory) as where,
        wire(where) as client,
    ):
        client.send(POST + b"content-length: 5\r\n\r\n")
        assert client.read_reply()[0] == 405
        client.send(b"12345")
        assert client.read_to_end() == b""


@pytest.mark.parametrize("by_task", [False, True])
def test_a_caller_that_never_reads_its_reply_is_cut(
    loop_factory: LoopFactory, by_task: bool
) -> None:
    endpoint = Direct(lambda request: Answer(200, b"", b"x" * 64 * KIB * KIB), by_task=by_task)
    bounds = replace(HASTY, connections_max=1)
    with running(endpoint, bounds, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        assert client.has_news(PATIENCE_SECONDS)
        assert_eventually_taken(where)
        assert len(client.read_to_end()) < 32 * KIB * KIB


def test_replies_wait_for_a_caller_that_does_not_read_those_before(
    loop_factory: LoopFactory,
) -> None:
    answered = 0

    def say_much(request: WireRequest) -> Answer:
        nonlocal answered
        answered += 1
        return Answer(200, b"", b"x" * 8 * KIB * KIB)

    edge = running(Direct(say_much), UNHURRIED, loop_factory=loop_factory)
    with edge as where, wire(where) as client:
        client.send(GET * 4)
        assert client.has_news(PATIENCE_SECONDS)
        with wire(where) as other:  # which gives the loop turns to begin another reply
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
    loop_factory: LoopFactory, sequel: bytes, answered: int, door: Door
) -> None:
    with running(door, UNHURRIED, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET + sequel)
        door.wait_until_entered()
        door.open()
        replies = client.read_to_end().split(b"HTTP/1.1 ")[1:]
    assert len(replies) == answered
    assert all(reply.startswith(b"200 OK") for reply in replies)


def test_bodies_sent_ahead_are_bounded_together(loop_factory: LoopFactory, door: Door) -> None:
    bounds = replace(UNHURRIED, body_bytes_max=64 * KIB)
    one = POST + b"content-length: 40000\r\n\r\n" + b"x" * 40_000
    with running(door, bounds, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        door.wait_until_entered()
        with suppress(ConnectionError):
            client.send(one * 3)
        door.open()
        assert client.read_to_end().count(b"HTTP/1.1 200") <= 2


def test_one_connection_too_many_gets_a_503_and_room_is_made_again(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    bounds = replace(UNHURRIED, connections_max=2)
    with running(echo, bounds, loop_factory=loop_factory) as where:
        with wire(where) as first, wire(where) as second:
            for client in (first, second):
                client.send(GET)
                assert client.read_reply()[0] == 200
            with wire(where) as third:
                assert_refused(third.read_to_end(), 503, "Unavailable")
        assert_eventually_taken(where)


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


def test_a_request_in_flight_is_finished_and_a_new_connection_refused(
    loop_factory: LoopFactory, door: Door
) -> None:
    edge = EdgeThread(door, UNHURRIED, loop_factory=loop_factory)
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


def test_a_kept_connection_without_a_request_is_closed_at_once_on_stop(
    loop_factory: LoopFactory, echo: Endpoint
) -> None:
    edge = EdgeThread(echo, UNHURRIED, loop_factory=loop_factory)
    with wire((edge.host, edge.port)) as client:
        client.send(GET)
        assert client.read_reply()[0] == 200
        edge.stop()
        assert client.read_to_end() == b""
    edge.join()


@pytest.mark.parametrize("is_asgi", [False, True])
def test_a_request_that_outlasts_the_drain_is_cut_off(
    loop_factory: LoopFactory, is_asgi: bool
) -> None:
    door = Door(is_asgi=is_asgi)
    edge = EdgeThread(door, replace(UNHURRIED, drain_seconds_max=0.1), loop_factory=loop_factory)
    with wire((edge.host, edge.port)) as client:
        client.send(GET)
        door.wait_until_entered()
        edge.stop()
        reply = client.read_to_end()
    door.open()
    edge.join()
    assert_refused(reply, 500, "InternalError")


# Binding and TLS


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with Edge(SILENT, Listener("127.0.0.1", 0)).bind() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"{port} .* in use .* choose another port"):
            Edge(SILENT, Listener("127.0.0.1", port)).bind()


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("no-such-host.invalid", 0, "cannot be resolved"),
        ("127.0.0.1", 70_000, "no port 70000"),
        ("192.0.2.1", 0, "not an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_is_named(host: str, port: int, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        Edge(SILENT, Listener(host, port)).bind()


def pem(
    key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sametoken test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(pem(key, serialization.NoEncryption()))
    return cert_path, key_path


def test_https_is_served_with_a_certificate(
    loop_factory: LoopFactory, certificate: tuple[Path, Path], echo: Endpoint
) -> None:
    cert, key = certificate
    trust = ssl.create_default_context(cafile=str(cert))
    with (
        running(echo, UNHURRIED, tls_cert=cert, tls_key=key, loop_factory=loop_factory) as where,
        wire(where) as client,
    ):
        client.socket = trust.wrap_socket(client.socket, server_hostname=where[0])
        with client.socket:
            client.send(POST + b"content-length: 2\r\n\r\nok")
            assert client.read_reply()[2] == b"POST / 2"
            client.send(b"\x00")
            assert_refused(client.read_to_end(), 400, "MalformedHttpRequestException")


def test_a_caller_that_never_shakes_hands_is_cut(
    loop_factory: LoopFactory, certificate: tuple[Path, Path], echo: Endpoint
) -> None:
    cert, key = certificate
    with (
        running(echo, HASTY, tls_cert=cert, tls_key=key, loop_factory=loop_factory) as where,
        wire(where) as client,
    ):
        assert client.read_to_end() == b""


def test_a_certificate_that_cannot_be_used_is_named(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    cert, key = certificate
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        pem(
            ec.generate_private_key(ec.SECP256R1()),
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    absent = tmp_path / "absent"
    for tls_cert, tls_key in [(absent, key), (key, cert), (cert, locked), (None, key)]:
        with pytest.raises(Misconfigured, match="certificate"):
            Edge(SILENT, Listener("127.0.0.1", 0, tls_cert, tls_key)).bind()
    with pytest.raises(Misconfigured, match="Name its key with --tls-key"):
        Edge(SILENT, Listener("127.0.0.1", 0, cert, None)).bind()
