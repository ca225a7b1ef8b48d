"""A client that costs little: requests signed beforehand, sent over kept-alive connections.

A single event loop; each connection has one request at a time, as an SDK's pool does it. Loopback
only.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from measure import Run, Stopwatch

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
# Limit of a round: a server that does not answer must not be measured for ever.
ROUND_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Signer:
    """Writes whole HTTP requests of one access key to one endpoint."""

    address: tuple[str, int]
    access_key_id: str
    secret: str
    region: str = "us-east-1"
    version: str = "2016-11-15"

    def request(self, action: str, fields: Mapping[str, Any], *, service: str = "ec2") -> bytes:
        version = self.version if service == "ec2" else "2011-06-15"
        body = urllib.parse.urlencode({"Action": action, "Version": version, **fields})
        url = f"http://{self.address[0]}:{self.address[1]}/"
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest("POST", url, headers=headers, data=body)
        credentials = Credentials(self.access_key_id, self.secret)
        SigV4Auth(credentials, service, self.region).add_auth(request)
        lines = [
            "POST / HTTP/1.1",
            f"Host: {self.address[0]}:{self.address[1]}",
            *(f"{name}: {value}" for name, value in request.headers.items()),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + _HEAD_END + body.encode()


class _Connection:
    """A kept-alive connection; made again when the server closes it, as moto does each time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the answer's status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(_HEAD_END)).lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        body = await reader.readexactly(int(head[at:].split(b"\r\n", 1)[0]))
        if b"\r\nconnection: close\r\n" in head:
            self.close()
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def exchange(address: tuple[str, int], request: bytes) -> str:
    """Send one request and return the body of its answer, which must be a 200."""

    async def run() -> str:
        connection = _Connection(address)
        body = await _ask(connection, request)
        connection.close()
        return body.decode()

    return asyncio.run(run())


async def _ask(connection: _Connection, request: bytes) -> bytes:
    status, body = await connection.ask(request)
    if status != HTTPStatus.OK:
        raise AssertionError(f"not answered 200: {status} {body.decode()}")
    return body


def send(
    address: tuple[str, int], requests: Iterable[bytes], *, connections: int, seconds: float
) -> Run:
    """Send `requests` until they or `seconds` are over. Raises when one is not answered 200."""
    return send_to_each({address: requests}, connections=connections, seconds=seconds)


def send_to_each(
    requests: Mapping[tuple[str, int], Iterable[bytes]], *, connections: int, seconds: float
) -> Run:
    """Send to several servers, each with requests of its own and an equal share of connections."""
    shared = {address: iter(found) for address, found in requests.items()}
    latencies_ms = list[float]()

    async def client(address: tuple[str, int], until: float) -> None:
        connection = _Connection(address)
        for request in shared[address]:
            sent_at = time.perf_counter()
            if sent_at > until:
                break
            await _ask(connection, request)
            latencies_ms.append(1000 * (time.perf_counter() - sent_at))
        connection.close()

    async def run() -> Run:
        watch = Stopwatch()
        until = time.perf_counter() + seconds
        async with asyncio.timeout(ROUND_SECONDS_MAX), asyncio.TaskGroup() as group:
            for address in itertools.islice(itertools.cycle(shared), connections):
                group.create_task(client(address, until))
        return replace(watch.stop(len(latencies_ms)), latencies_ms=tuple(latencies_ms))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
