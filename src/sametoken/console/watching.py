"""Watching a node: a sample each second for all who look, and none while nobody does.

A single task takes the samples while there is a watcher, and ends with the last one. A watcher that
reads slowly gets several at a time, or misses them; it never holds another one up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from sametoken.errors import ServiceError, Transient

# Each watcher holds a connection. Beyond it a page shows what it showed when it was loaded.
WATCHERS_MAX = 16
# Seconds between two samples.
SAMPLE_SECONDS = 1.0
# Samples that are kept while somebody watches, for those who come later: two minutes.
SAMPLES_KEPT = 120
# Samples after which a stream ends, so that its browser has to show its session again.
STREAM_SAMPLES = 300

Sample = dict[str, Any]


class TooManyWatchers(Exception):
    """There is no place for another watcher now."""


class Watching:
    """The samples of a node. `take` takes one; it returns None once there are no more.

    `pace` waits from one sample to the next. For use in the event loop alone.
    """

    def __init__(
        self,
        take: Callable[[], Awaitable[Sample | None]],
        pace: Callable[[], Awaitable[None]],
    ) -> None:
        self._take = take
        self._pace = pace
        self.watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._kept: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._taken = 0
        self._over = False

    async def watch(self) -> AsyncIterator[list[Sample]]:
        """Yield the samples that are kept, and from then on each new one.

        Raises `TooManyWatchers` at once if there are as many as may be.
        """
        if self.watchers >= WATCHERS_MAX:
            raise TooManyWatchers
        self.watchers += 1
        if self._task is None:
            self._over = False
            self._task = asyncio.get_running_loop().create_task(self._sample())
        try:
            seen = self._taken
            until = seen + STREAM_SAMPLES
            yield list(self._kept)
            while seen < until:
                while self._taken == seen and not self._over:
                    await self._news.wait()
                if self._over:
                    return
                missed, seen = self._taken - seen, self._taken
                yield list(self._kept)[-missed:]
        finally:
            self.watchers -= 1
            if not self.watchers:
                self._stop()

    def end(self) -> None:
        """End all streams: whoever still may look comes back."""
        self._over = True
        self._wake()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._kept.clear()

    async def _sample(self) -> None:
        try:
            while True:
                # The node is busy: there is a hole in the plots.
                with suppress(Transient, ServiceError):
                    sample = await self._take()
                    if sample is None:
                        return
                    self._kept.append(sample)
                    self._taken += 1
                    self._wake()
                await self._pace()
        finally:
            self.end()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


async def pause() -> None:
    """Wait from one sample to the next."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SAMPLE_SECONDS):
            await asyncio.Event().wait()
