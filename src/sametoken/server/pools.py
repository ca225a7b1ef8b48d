"""Threads for work that would hold up the event loop: readers and preparers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sametoken.errors import Transient
from sametoken.server.writing import ANSWER_SECONDS_MAX

T = TypeVar("T")

# Reads are bound by the interpreter's lock: more threads add nothing, and behind one alone short
# reads queue for long ones.
READ_THREADS = 2
# Only key pairs are prepared, which takes CPU: two threads fill two cores.
PREPARE_THREADS = 2


class Pools:
    """The threads in which one process's requests read and compute."""

    def __init__(self) -> None:
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

    def close(self) -> None:
        """End the threads that read and prepare. Call it after the last request."""
        self._readers.shutdown()
        self._preparers.shutdown()
