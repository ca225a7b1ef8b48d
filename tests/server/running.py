"""Runs an `Edge` in a thread, on a free port of the loopback, for the length of a `with`.

An error that the event loop would only have logged (an exception that was never awaited) is raised
at the end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sametoken.server.bounds import DEFAULT_BOUNDS, Bounds
from sametoken.server.edge import Edge, Listener, bind
from sametoken.server.turns import Endpoint

# JOIN_SECONDS is the longest drain of any test, and slack; a thread that takes longer is stuck.
JOIN_SECONDS = 30.0


class EdgeThread:
    """The edge and its thread. `stop` only asks; `join` waits and raises what failed."""

    def __init__(
        self,
        endpoint: Endpoint,
        bounds: Bounds = DEFAULT_BOUNDS,
        *,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
    ) -> None:
        bound = bind(Listener("127.0.0.1", 0, tls_cert, tls_key))
        self._edge = Edge(endpoint, bound, bounds)
        self.host, self.port = bound.socket.getsockname()[:2]
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._failures: list[BaseException] = []
        self._ready = threading.Event()
        executor = ThreadPoolExecutor(1, thread_name_prefix="edge")
        self._ended = executor.submit(self._run)
        executor.shutdown(wait=False)
        assert self._ready.wait(JOIN_SECONDS), "the event loop did not start"

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        self._ended.result(JOIN_SECONDS)
        if self._failures:
            raise self._failures[0]

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._note)
        self._stop = asyncio.Event()
        self._ready.set()
        await self._edge.serve(self._stop)

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failures.append(context.get("exception") or AssertionError(context["message"]))


@contextmanager
def running(
    endpoint: Endpoint,
    bounds: Bounds = DEFAULT_BOUNDS,
    *,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> Iterator[tuple[str, int]]:
    """Run `endpoint` behind an edge; yields (host, port)."""
    thread = EdgeThread(endpoint, bounds, tls_cert=tls_cert, tls_key=tls_key)
    try:
        yield thread.host, thread.port
    finally:
        if thread.alive:
            thread.stop()
        thread.join()
