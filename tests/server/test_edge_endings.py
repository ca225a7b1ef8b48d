"""Endings of the HTTP edge: slow callers, crowds, a stop, an address in use; and TLS.

A wait here is always for an event on a socket. Limits are tiny where a test waits for them.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sametoken.errors import Misconfigured
from sametoken.server.edge import Edge, Listener, Message, Receive, Send, read_body
from server.running import EdgeThread, LoopFactory, running
from server.wire import (
    GET,
    HASTY,
    IDLE,
    KIB,
    LOOPS,
    PATIENCE_SECONDS,
    POST,
    UNHURRIED,
    Door,
    Wire,
    answer,
    assert_refused,
    echo,
    exchange,
    wire,
)


@pytest.fixture(params=LOOPS)
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    factory: LoopFactory = request.param
    return factory


# Bytes that are too slow


def test_slow_headers_are_cut_although_bytes_keep_coming(loop_factory: LoopFactory) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(b"GET / HTTP/1.1\r\nx: ")
        while not client.has_news(0.02):
            client.send(b"x")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_slow_body_is_cut_although_bytes_keep_coming(loop_factory: LoopFactory) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(POST + b"content-length: 10000\r\n\r\n")
        while not client.has_news(0.02):
            client.send(b"x")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_connection_that_says_nothing_is_closed_without_a_word(loop_factory: LoopFactory) -> None:
    assert exchange(loop_factory, b"", IDLE) == b""


def test_a_connection_may_be_opened_long_before_its_first_request(
    loop_factory: LoopFactory,
) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as early:
        with wire(where) as slow:
            slow.send(b"GET / HT")
            assert_refused(slow.read_to_end(), 408, "RequestTimeoutException")
        early.send(GET)
        assert early.read_reply()[0] == 200


def test_blank_lines_do_not_keep_a_connection(loop_factory: LoopFactory) -> None:
    # The first byte of a blank line already begins the time of the next request's head.
    bounds = replace(IDLE, header_seconds_max=0.2)
    with running(echo, bounds, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        client.read_reply()
        with suppress(ConnectionError):
            while not client.has_news(0.02):
                client.send(b"\r\n")
        assert client.read_to_end() == b""


def test_an_idle_connection_is_closed_after_its_reply(loop_factory: LoopFactory) -> None:
    reply = exchange(loop_factory, GET, IDLE)
    assert reply.startswith(b"HTTP/1.1 200 OK")
    assert reply.endswith(b"GET / 0")


def test_a_later_request_has_its_own_time(loop_factory: LoopFactory) -> None:
    with running(echo, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        assert client.read_reply()[0] == 200
        client.send(b"GET / HT")
        assert_refused(client.read_to_end(), 408, "RequestTimeoutException")


def test_a_body_nobody_waits_for_is_still_bounded_in_time(loop_factory: LoopFactory) -> None:
    async def judge_early(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, 405, b"no")

    with running(judge_early, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(POST + b"content-length: 10\r\n\r\n12345")
        assert client.read_reply()[0] == 405
        # The only reply was sent: a second one, for the late body, would answer nothing.
        assert client.read_to_end() == b""


def test_a_late_body_leaves_an_idle_connection_that_is_closed(loop_factory: LoopFactory) -> None:
    async def judge_early(scope: Message, receive: Receive, send: Send) -> None:
        await answer(send, 405, b"no")

    with running(judge_early, IDLE, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(POST + b"content-length: 5\r\n\r\n")
        assert client.read_reply()[0] == 405
        client.send(b"12345")
        assert client.read_to_end() == b""


def test_a_caller_that_never_reads_its_reply_is_cut(loop_factory: LoopFactory) -> None:
    ended = threading.Event()

    async def talk(scope: Message, receive: Receive, send: Send) -> None:
        await read_body(receive, KIB)
        headers = [(b"content-length", str(64 * KIB * KIB).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for left in range(64 * KIB * KIB, 0, -64 * KIB):
            body = b"x" * 64 * KIB
            more = left > 64 * KIB
            await send({"type": "http.response.body", "body": body, "more_body": more})
        ended.set()

    with running(talk, HASTY, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        assert ended.wait(PATIENCE_SECONDS), "the application waits for a reader that never comes"
        assert len(client.read_to_end()) < 32 * KIB * KIB


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
    loop_factory: LoopFactory, sequel: bytes, answered: int
) -> None:
    door = Door()
    with running(door, UNHURRIED, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET + sequel)
        door.wait_until_entered()
        door.open()
        replies = client.read_to_end().split(b"HTTP/1.1 ")[1:]
    assert len(replies) == answered
    assert all(reply.startswith(b"200 OK") for reply in replies)


def test_bodies_sent_ahead_are_bounded_together(loop_factory: LoopFactory) -> None:
    door = Door()
    bounds = replace(UNHURRIED, body_bytes_max=64 * KIB)
    one = POST + b"content-length: 40000\r\n\r\n" + b"x" * 40_000
    with running(door, bounds, loop_factory=loop_factory) as where, wire(where) as client:
        client.send(GET)
        door.wait_until_entered()
        with suppress(ConnectionError):
            client.send(one * 3)
        door.open()
        assert client.read_to_end().count(b"HTTP/1.1 200") in (1, 2)


def test_one_connection_too_many_gets_a_503_and_room_is_made_again(
    loop_factory: LoopFactory,
) -> None:
    bounds = replace(UNHURRIED, connections_max=2)
    with running(echo, bounds, loop_factory=loop_factory) as where:
        with wire(where) as first, wire(where) as second:
            for client in (first, second):
                client.send(GET)
                assert client.read_reply()[0] == 200
            with wire(where) as third:
                assert_refused(third.read_to_end(), 503, "Unavailable")
        assert_eventually_served(where)


def assert_eventually_served(where: tuple[str, int]) -> None:
    """Try until served: the server notices closed connections in its own time."""
    for _ in range(1000):
        with wire(where) as client, suppress(ConnectionError, EOFError):
            client.send(GET)
            if client.read_reply()[0] == 200:
                return
    pytest.fail("no room was made")


# Stopping


def test_a_request_in_flight_is_finished_and_a_new_connection_refused(
    loop_factory: LoopFactory,
) -> None:
    door = Door()
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
    loop_factory: LoopFactory,
) -> None:
    edge = EdgeThread(echo, UNHURRIED, loop_factory=loop_factory)
    with wire((edge.host, edge.port)) as client:
        client.send(GET)
        assert client.read_reply()[0] == 200
        edge.stop()
        assert client.read_to_end() == b""
    edge.join()


def test_a_request_that_outlasts_the_drain_is_cut_off(loop_factory: LoopFactory) -> None:
    entered = threading.Event()

    async def never(scope: Message, receive: Receive, send: Send) -> None:
        entered.set()
        await asyncio.Event().wait()

    bounds = replace(UNHURRIED, drain_seconds_max=0.1)
    edge = EdgeThread(never, bounds, loop_factory=loop_factory)
    with wire((edge.host, edge.port)) as client:
        client.send(GET)
        assert entered.wait(PATIENCE_SECONDS)
        edge.stop()
        reply = client.read_to_end()
    edge.join()
    assert reply.startswith(b"HTTP/1.1 500 ")


# Binding and TLS


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with Edge(echo, Listener("127.0.0.1", 0)).bind() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"{port} .* in use .* choose another port"):
            Edge(echo, Listener("127.0.0.1", port)).bind()


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("no-such-host.invalid", 0, "cannot be resolved"),
        ("127.0.0.1", 65_536, "no port 65536"),
        ("192.0.2.1", 0, "not an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_is_named(host: str, port: int, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        Edge(echo, Listener(host, port)).bind()


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
    loop_factory: LoopFactory, certificate: tuple[Path, Path]
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
    loop_factory: LoopFactory, certificate: tuple[Path, Path]
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
            Edge(echo, Listener("127.0.0.1", 0, tls_cert, tls_key)).bind()
    with pytest.raises(Misconfigured, match="Name its key with --tls-key"):
        Edge(echo, Listener("127.0.0.1", 0, cert, None)).bind()
