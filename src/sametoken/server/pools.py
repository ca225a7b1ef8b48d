"""Threads for work that would hold up the event loop: readers, look-ups and preparers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sametoken.errors import Transient
from sametoken.patience import Patience
from sametoken.server.readers import Readers
from sametoken.server.writing import ANSWER_SECONDS_MAX
from sametoken.store.roll import call
from sametoken.world import World

T = TypeVar("T")

# A list of all that an account has takes seconds where there are a hundred thousand; a read that
# takes longer holds up others.
READ_SECONDS_MAX = 10.0
# Keys are looked up, and probes look, in a thread that no listing ever holds: a caller without a
# key must not wait, nor make anybody wait.
LOOK_UP_THREADS = 1
# Only key pairs are prepared, which takes CPU: two threads fill two cores.
PREPARE_THREADS = 2


class Pools:
    """The threads in which one process's requests read and compute."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._readers = Readers()
        self._look_ups = ThreadPoolExecutor(LOOK_UP_THREADS, "look-up")
        self._preparers = ThreadPoolExecutor(PREPARE_THREADS, "preparer")

    async def read(self, account: str, fn: Callable[[], T]) -> T:
        """Run `fn`, which may read for long, in a reader's thread, in the account's turn.

        To cancel it ends the read. Raises `Transient` when it takes too long.
        """
        patience = Patience(self._world, self._world.monotonic() + READ_SECONDS_MAX)
        future = self._readers.submit(account, fn, patience)
        try:
            found: T = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            patience.gone = True
            raise
        return found

    async def look_up(self, fn: Callable[[], T]) -> T:
        """Run `fn`, which reads a row or two, in a thread that only does such."""
        return await asyncio.get_running_loop().run_in_executor(self._look_ups, fn)

    async def prepare(self, fn: Callable[[], T]) -> T:
        """Run `fn`, which computes for long. After the time limit it is not begun any more."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await loop.run_in_executor(self._preparers, fn)
        except TimeoutError:
            raise Transient("not prepared in time", ran=False) from None

    def check(self) -> None:
        """Raise `Broken` if a reader has died."""
        call(self._readers.threads)

    def close(self) -> None:
        """End the threads that read and prepare. Call it after the last request."""
        self._readers.close()
        self._look_ups.shutdown()
        self._preparers.shutdown()
