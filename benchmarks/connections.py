"""A client that costs little: signed requests made beforehand, sent over kept-alive connections.

One event loop, each connection one request at a time, as an SDK's pool does it. Loopback only.
"""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from measure import Run, Stopwatch

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
# A server that does not answer is not measured for ever.
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


class _Connection(asyncio.Protocol):
    """Sends the next request of the shared list once the last one is answered."""

    def __init__(
        self, requests: Iterator[bytes], until: float, latencies: list[float], closed: asyncio.Event
    ) -> None:
        self._requests = requests
        self._until = until
        self._latencies = latencies
        self._closed = closed
        self._answer = b""
        self._sent_at = 0.0
        self.failure: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(_HEAD_END)
        if not end:
            return
        at = head.lower().index(_LENGTH) + len(_LENGTH)
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        if not head.startswith(b"HTTP/1.1 200"):
            self.failure = self._answer
            self._transport.close()
            return
        self._answer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    def _next(self) -> None:
        request = next(self._requests, None)
        self._sent_at = time.perf_counter()
        if request is None or self._sent_at > self._until:
            self._transport.close()
        else:
            self._transport.write(request)


def exchange(address: tuple[str, int], request: bytes) -> str:
    """Send one request and return the body of its answer, which must be a 200."""
    with socket.create_connection(address, timeout=ROUND_SECONDS_MAX) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection)
        answer.begin()
        body = answer.read().decode()
    if answer.status != HTTPStatus.OK:
        raise AssertionError(f"not answered 200: {answer.status} {body}")
    return body


def send(
    address: tuple[str, int], requests: Iterable[bytes], *, connections: int, seconds: float
) -> Run:
    """Send `requests` until they or `seconds` are over. Raises when one is not answered 200."""

    async def run() -> Run:
        loop = asyncio.get_running_loop()
        shared, latencies = iter(requests), list[float]()
        events = [asyncio.Event() for _ in range(connections)]
        until = time.perf_counter() + seconds
        watch = Stopwatch()
        made: Sequence[Any] = await asyncio.gather(
            *(
                loop.create_connection(
                    partial(_Connection, shared, until, latencies, closed), *address
                )
                for closed in events
            )
        )
        async with asyncio.timeout(ROUND_SECONDS_MAX):
            await asyncio.gather(*(closed.wait() for closed in events))
        measured = watch.stop(len(latencies))
        for _, protocol in made:
            if protocol.failure is not None:
                raise AssertionError(f"not answered 200: {protocol.failure.decode()}")
        return Run(
            measured.done,
            measured.seconds,
            measured.cpu_seconds,
            tuple(1000 * latency for latency in latencies),
        )

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
