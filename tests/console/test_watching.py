"""Samples are taken while somebody looks, once for all, and by nobody else."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from console.visitor import Visitor
from plane import Plane
from sametoken.console.watching import (
    SAMPLES_KEPT,
    STREAM_SAMPLES,
    WATCHERS_MAX,
    Sample,
    TooManyWatchers,
    Watching,
)
from sametoken.errors import Transient


class Taken:
    """Counts samples, each taken when a test lets time pass."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = 0
        self.over = False
        self.waiting = 0
        self._passes = asyncio.Semaphore(0)

    async def take(self) -> Sample | None:
        if self.fails:
            self.fails -= 1
            raise Transient("not now", ran=False)
        self.count += 1
        return None if self.over else {"at": self.count}

    async def pace(self) -> None:
        self.waiting += 1
        try:
            await self._passes.acquire()
        finally:
            self.waiting -= 1

    async def pass_time(self, times: int = 1) -> None:
        for _ in range(times):
            self._passes.release()
            for _ in range(10):
                await asyncio.sleep(0)


def run(test: Callable[[Taken, Watching], Any]) -> None:
    async def whole() -> None:
        taken = Taken()
        await test(taken, Watching(taken.take, taken.pace))

    asyncio.run(whole())


async def begun(watching: Watching) -> AsyncIterator[list[Sample]]:
    """Begin to watch, and let the first sample be taken."""
    samples = watching.watch()
    await anext(samples)
    for _ in range(10):
        await asyncio.sleep(0)
    return samples


def test_nobody_who_looks_costs_nothing() -> None:
    async def test(taken: Taken, watching: Watching) -> None:
        assert len(asyncio.all_tasks()) == 1
        samples = await begun(watching)
        assert await anext(samples) == [{"at": 1}]
        await samples.aclose()  # type: ignore[attr-defined]  # it is a generator
        await taken.pass_time(5)
        assert (taken.count, taken.waiting, watching.watchers) == (1, 0, 0)
        assert len(asyncio.all_tasks()) == 1

    run(test)


def test_one_sampler_feeds_all() -> None:
    async def test(taken: Taken, watching: Watching) -> None:
        several = [await begun(watching) for _ in range(WATCHERS_MAX)]
        assert await anext(several[0]) == [{"at": 1}]
        await taken.pass_time()
        assert taken.count == 2
        assert {str(await anext(one)) for one in several} == {"[{'at': 2}]"}
        with pytest.raises(TooManyWatchers):
            await begun(watching)
        await several.pop().aclose()  # type: ignore[attr-defined]  # it is a generator
        assert await anext(watching.watch()) == [{"at": 1}, {"at": 2}], "what came before"

    run(test)


def test_a_slow_watcher_gets_the_last_samples_and_holds_nobody_up() -> None:
    async def test(taken: Taken, watching: Watching) -> None:
        slow = await begun(watching)
        await taken.pass_time(SAMPLES_KEPT + 5)
        missed = await anext(slow)
        assert [one["at"] for one in missed] == list(range(7, SAMPLES_KEPT + 7))
        later = watching.watch()
        assert len(await anext(later)) == SAMPLES_KEPT

    run(test)


def test_a_sample_that_cannot_be_taken_is_left_out() -> None:
    async def test(taken: Taken, watching: Watching) -> None:
        samples = await begun(watching)
        assert await anext(samples) == [{"at": 1}]
        taken.fails = 2
        await taken.pass_time(3)
        assert await anext(samples) == [{"at": 2}]

    run(test)


def test_a_stream_ends_so_that_its_session_is_looked_at_again() -> None:
    async def test(taken: Taken, watching: Watching) -> None:
        samples = await begun(watching)
        for _ in range(STREAM_SAMPLES):
            await anext(samples)
            await taken.pass_time()
        with pytest.raises(StopAsyncIteration):
            await anext(samples)
        assert watching.watchers == 0

    run(test)


@pytest.mark.parametrize("how", ["told", "stopping"])
def test_all_streams_end_at_once(how: str) -> None:
    async def test(taken: Taken, watching: Watching) -> None:
        several = [await begun(watching) for _ in range(2)]
        if how == "told":
            watching.end()
        else:
            taken.over = True
            await taken.pass_time()
        for samples in several:
            with pytest.raises(StopAsyncIteration):
                await anext(samples)
        assert watching.watchers == 0

    run(test)


@contextmanager
def looking(plane: Plane, visitor: Visitor) -> Iterator[http.client.HTTPResponse]:
    place = urlsplit(plane.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    [(name, value)] = visitor.cookies.items()
    connection.request("GET", "/console/events", headers={"cookie": f"{name}={value}"})
    with closing(connection), closing(connection.getresponse()) as reply:
        yield reply


def test_of_too_many_watchers_one_is_refused_until_another_has_gone(
    dev: Plane, visitor: Visitor
) -> None:
    with ExitStack() as stack:
        for _ in range(WATCHERS_MAX):
            assert stack.enter_context(looking(dev, visitor)).status == 200
        assert stack.enter_context(looking(dev, visitor)).status == 503
        assert visitor.get("/console").status == 200
    statuses = list[int]()
    while not statuses or statuses[-1] != 200:
        # The server notices soon that they have gone.
        with looking(dev, visitor) as reply:
            statuses.append(reply.status)
        assert len(statuses) < 1000


def test_a_browser_hears_samples(dev: Plane, visitor: Visitor) -> None:
    with looking(dev, visitor) as reply:
        hears_samples(reply)


def hears_samples(reply: http.client.HTTPResponse) -> None:
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    heard: list[dict[str, Any]] = []
    while not heard:
        line = reply.readline().decode()
        if line.startswith("data: "):
            heard = json.loads(line.removeprefix("data: "))
    assert {"at", "backlog", "under_way", "strikes", "moves", "heard"} <= heard[0].keys()
