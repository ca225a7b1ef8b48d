"""A client that costs little: requests signed beforehand, over kept-alive connections.

A single event loop on bare protocols. In a closed loop each connection has one request at a time,
as an SDK's pool does it; in an open one requests are sent at their moments, however slow the
answers. Loopback only.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import uvloop
from measure import Run, Stopwatch, Unmeasured

Address = tuple[str, int]
# Limit of a round beside its own seconds: a server that does not answer is not waited for.
PATIENCE_SECONDS = 30.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
# The open loop looks this often for requests whose moment has come.
_TICK_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; `seconds` count from the moment at which its request was to be sent."""

    status: int
    seconds: float
    body: bytes


class Caller:
    """A kept-alive connection; made again when the server closes it, as moto does each time."""

    def __init__(
        self, address: Address, answered: Callable[[Caller, Answer], None],
        broken: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        self.address = address
        self.answered, self.broken = answered, broken
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None

    def send(self, request: bytes, due_at: float) -> None:
        if self._link is None or self._link.is_closed:
            self._connecting = asyncio.ensure_future(self._connect(request, due_at))
        else:
            self._link.send(request, due_at)

    async def _connect(self, request: bytes, due_at: float) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, self._link = await loop.create_connection(lambda: _Link(self), *self.address)
        except OSError as error:
            self.broken(error)
        else:
            self._link.send(request, due_at)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()


class _Link(asyncio.Protocol):
    """A connection of a caller, from its opening to its close."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._due_at = 0.0
        self._is_asking = False
        self._head = b""
        self._status = 0
        self._missing = 0
        self._body: list[bytes] = []
        # Set when the server closes after this answer.
        self._ends = False
        self.is_closed = False

    def send(self, request: bytes, due_at: float) -> None:
        self._due_at, self._is_asking = due_at, True
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        if self._is_asking:
            self._caller.broken(error or ConnectionError("closed in the middle of an exchange"))

    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._head += data
            head, end, data = self._head.partition(_HEAD_END)
            if not end:
                return
            self._read_head(head.lower())
        self._missing -= len(data)
        self._body.append(data)
        if self._missing == 0:
            seconds = time.perf_counter() - self._due_at
            answer = Answer(self._status, seconds, b"".join(self._body))
            self._head, self._status, self._body, self._is_asking = b"", 0, [], False
            if self._ends:
                self.close()
            self._caller.answered(self._caller, answer)

    def _read_head(self, head: bytes) -> None:
        at = head.index(_LENGTH) + len(_LENGTH)
        self._status = int(head[9:12])
        self._missing = int(head[at:].split(b"\r\n", 1)[0])
        self._ends = b"\r\nconnection: close" in head

    def close(self) -> None:
        self.is_closed = True
        self._transport.close()


def exchange(address: Address, request: bytes) -> str:
    """Send one request and return the body of its answer, which must be a 200."""
    kept: list[bytes] = []
    _closed({address: iter([request])}, 1, 0.0, kept.append)
    return kept[0].decode()


def send(address: Address, requests: Iterable[bytes], *, connections: int, seconds: float) -> Run:
    """Send until `requests` or `seconds` are over. Raises Unmeasured when one is not a 200."""
    return send_to_each({address: requests}, connections=connections, seconds=seconds)


def send_to_each(
    requests: Mapping[Address, Iterable[bytes]], *, connections: int, seconds: float
) -> Run:
    """Send to several servers, each with requests of its own and an equal share of connections."""
    shared = {address: iter(found) for address, found in requests.items()}
    return _closed(shared, connections, seconds, lambda body: None)


def _closed(
    shared: Mapping[Address, Iterator[bytes]],
    connections: int,
    seconds: float,
    keep: Callable[[bytes], None],
) -> Run:
    latencies_ms: list[float] = []
    watch = Stopwatch()

    async def run() -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until, left = time.perf_counter() + seconds, connections
        is_first = dict.fromkeys(shared, True)

        def fail(error: Exception) -> None:
            if not over.done():
                over.set_exception(Unmeasured(f"{type(error).__name__}: {error}"))

        def next_one(caller: Caller) -> None:
            nonlocal left
            now = time.perf_counter()
            request = None
            # Each server gets one request at least.
            if now < until or is_first[caller.address]:
                request = next(shared[caller.address], None)
            is_first[caller.address] = False
            if request is not None:
                caller.send(request, now)
                return
            caller.close()
            left -= 1
            if left == 0 and not over.done():
                over.set_result(None)

        def answered(caller: Caller, answer: Answer) -> None:
            if answer.status != HTTPStatus.OK:
                fail(Unmeasured(f"{answer.status} {answer.body[:300].decode()}"))
                return
            latencies_ms.append(1000 * answer.seconds)
            keep(answer.body)
            next_one(caller)

        for address in itertools.islice(itertools.cycle(shared), connections):
            next_one(Caller(address, answered, fail))
        await _patiently(over, seconds)

    _on_a_loop(run)
    took = watch.stop(len(latencies_ms))
    return Run(
        took.done, took.seconds, 0.0,
        client_cpu_seconds=took.cpu_seconds, latencies_ms=tuple(latencies_ms),
    )  # fmt: skip


def send_at_rate(
    address: Address,
    requests: list[bytes],
    *,
    rate: float,
    connections: int,
    at_end: Callable[[], None],
) -> tuple[list[Answer], int]:
    """Send `requests` at a steady `rate` a second; return every answer, of any status, in order.

    Also returns how many there were once the moment of the last request had come; `at_end` is
    called then. A request whose moment has come waits for a free connection, and that wait counts.
    """
    answers: list[Answer] = []
    by_then = 0

    async def run() -> None:
        nonlocal by_then
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting: deque[tuple[bytes, float]] = deque()

        def fail(error: Exception) -> None:
            if not over.done():
                over.set_exception(Unmeasured(f"{type(error).__name__}: {error}"))

        def answered(caller: Caller, answer: Answer) -> None:
            answers.append(answer)
            free.append(caller)
            dispatch()
            if len(answers) == len(requests) and not over.done():
                over.set_result(None)

        def dispatch() -> None:
            while free and waiting:
                free.pop().send(*waiting.popleft())

        free = [Caller(address, answered, fail) for _ in range(connections)]
        began, sent = time.perf_counter(), 0
        while sent < len(requests) and not over.done():
            due = min(len(requests), 1 + int(rate * (time.perf_counter() - began)))
            waiting.extend((requests[at], began + at / rate) for at in range(sent, due))
            sent = due
            dispatch()
            await asyncio.sleep(_TICK_SECONDS)
        by_then = len(answers)
        at_end()
        await _patiently(over, 0.0)
        for caller in free:
            caller.close()

    _on_a_loop(run)
    return answers, by_then


async def _patiently(over: asyncio.Future[None], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            await over
    except TimeoutError as error:
        raise Unmeasured(f"no answer within {PATIENCE_SECONDS:.0f} s") from error


def _on_a_loop(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
