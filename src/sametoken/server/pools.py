"""Threads for work that would hold up the event loop: readers, preparers, and the writer.

The writer belongs to the store; `Pools` only bounds how long a request waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sametoken.errors import Transient
from sametoken.store.port import Store, Tx

T = TypeVar("T")

# A third of the 60 s after which SDKs stop listening, so that they get a 503 and not silence.
ANSWER_SECONDS_MAX = 20.0
# Reads are bound by the interpreter's lock: more threads add nothing, and behind one alone short
# reads queue for long ones.
READ_THREADS = 2
# Only key pairs are prepared, which takes CPU: two threads fill two cores.
PREPARE_THREADS = 2


class Pools:
    """The threads in which one node's requests wait and compute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers = ThreadPoolExecutor(READ_THREADS, "reader")
        self._preparers = ThreadPoolExecutor(PREPARE_THREADS, "preparer")

    async def read(self, fn: Callable[[], T]) -> T:
        """Run `fn`, which may read the store, in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, fn)

    async def prepare(self, fn: Callable[[], T]) -> T:
        """Run `fn`, which computes for long. After the time limit it is not begun any more."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await loop.run_in_executor(self._preparers, fn)
        except TimeoutError:
            raise Transient("not prepared in time", ran=False) from None

    async def write(
        self, fn: Callable[[Tx], T], place: tuple[str, str], *, shares: bool = False
    ) -> T:
        """Run `fn` in a transaction; after the time limit take the job back if it has not begun.

        `place` is an account and a Region. Changes in one of them run one after another anyway
        (`regions.lock_region`), so `place` is their lane in the store. `shares` is as there.
        """
        job = self._store.submit(fn, lane="/".join(place), shares=shares)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise Transient("no answer in time", ran=not job.cancelled()) from None

    def close(self) -> None:
        """End the threads that read and prepare. Call it after the last request."""
        self._readers.shutdown()
        self._preparers.shutdown()
