"""Where the HTTP edge listens: addresses in use, addresses that are none; and TLS."""

from __future__ import annotations

import socket
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

from sametoken.errors import Misconfigured
from sametoken.server.edge import Listener, bind
from sametoken.server.turns import Endpoint
from server.running import running
from server.wire import (
    GET,
    HASTY,
    PATIENCE_SECONDS,
    POST,
    UNHURRIED,
    Direct,
    assert_refused,
    say_what_came,
    wire,
)

# For edges that answer nobody.
SILENT = Direct(say_what_came)


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with bind(Listener("127.0.0.1", 0)).socket as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"{port} .* in use .* choose another port"):
            bind(Listener("127.0.0.1", port))


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
        bind(Listener(host, port))


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


def test_https_is_served_with_a_certificate(certificate: tuple[Path, Path], echo: Endpoint) -> None:
    cert, key = certificate
    trust = ssl.create_default_context(cafile=str(cert))
    with (
        running(echo, UNHURRIED, tls_cert=cert, tls_key=key) as where,
        wire(where) as client,
    ):
        client.socket = trust.wrap_socket(client.socket, server_hostname=where[0])
        with client.socket:
            client.send(POST + b"content-length: 2\r\n\r\nok")
            assert client.read_reply()[2] == b"POST / 2"
            client.send(b"\x00")
            assert_refused(client.read_to_end(), 400, "MalformedHttpRequestException")


def test_a_caller_that_never_shakes_hands_is_cut(
    certificate: tuple[Path, Path], echo: Endpoint
) -> None:
    cert, key = certificate
    with (
        running(echo, HASTY, tls_cert=cert, tls_key=key) as where,
        wire(where) as client,
    ):
        assert client.read_to_end() == b""


def test_a_socket_counts_while_its_handshake_is_not_done(
    echo: Endpoint, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    bounds = replace(UNHURRIED, connections_max=1, spare_connections_max=1)
    with running(echo, bounds, tls_cert=cert, tls_key=key) as where:
        with wire(where), wire(where), wire(where) as third:
            assert third.read_to_end() == b""
        trusting = ssl.create_default_context(cafile=str(cert))
        until = monotonic() + PATIENCE_SECONDS
        while monotonic() < until:
            with (
                suppress(OSError),
                socket.create_connection(where) as link,
                trusting.wrap_socket(link, server_hostname=where[0]) as secure,
            ):
                secure.sendall(GET)
                if secure.recv(64).startswith(b"HTTP/1.1 200 "):
                    return
        pytest.fail("no room was made")


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
            bind(Listener("127.0.0.1", 0, tls_cert, tls_key))
    with pytest.raises(Misconfigured, match="Name its key with --tls-key"):
        bind(Listener("127.0.0.1", 0, cert, None))
