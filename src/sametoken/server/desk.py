"""Desks: the writer's end of the line to each edge.

An answer is sent after the COMMIT of what was asked: it is made from the job's future, which the
store sets only then. An edge that dies takes back all that has not begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

from sametoken.counts import Told
from sametoken.ec2.protocol import refusals
from sametoken.errors import ServiceError, Transient
from sametoken.server.frames import (
    Answer,
    Ask,
    Count,
    CountAll,
    Counted,
    FromEdge,
    GiveUp,
    Noted,
    admitted_of,
    answer_of,
    answer_with,
    found_in,
    totals_of,
)
from sametoken.server.lines import LineEnd
from sametoken.server.writing import Jobs
from sametoken.world import World

log = logging.getLogger(__name__)


class Desk(LineEnd[FromEdge]):
    """Takes what one edge asks to the store, and tells it what came of it."""

    def __init__(
        self,
        jobs: Jobs,
        world: World,
        gone: Callable[[], None],
        count_all: Callable[[], Awaitable[Told]],
    ) -> None:
        super().__init__(FromEdge)
        self._count_all = count_all
        self._counting: set[asyncio.Task[None]] = set()
        self._jobs = jobs
        self._world = world
        self._gone = gone
        # Jobs that are not answered, by number: the oldest, and so the first to be late, first.
        self._due: dict[int, tuple[float, Future[Any]]] = {}
        self._settled: deque[tuple[int, Future[Any]]] = deque()
        self._is_woken = False
        self._timer: asyncio.TimerHandle | None = None
        # The counts of the edge as it told them last: they go on to count once it has died.
        self.counts: Told = {}
        self._has_counted = asyncio.Event()

    async def count(self) -> None:
        """Have the edge tell its counts, and wait until it has, or has died."""
        self._has_counted.clear()
        self.send(Count())
        if self.is_open:
            await self._has_counted.wait()

    def heard(self, message: FromEdge) -> None:
        if isinstance(message, Counted):
            self.counts = message.told()
            self._has_counted.set()
            return
        if isinstance(message, CountAll):
            task = self._loop.create_task(self._tell_all(message.number))
            self._counting.add(task)
            task.add_done_callback(self._counting.discard)
            return
        if isinstance(message, GiveUp):
            if (given_up := self._due.pop(message.number, None)) is not None:
                given_up[1].cancel()
            return
        if isinstance(message, Noted):
            self._jobs.journal.add(found_in(message))
            return
        self._answer(message.number, partial(self._begin, message))

    async def _tell_all(self, number: int) -> None:
        told = await self._count_all()
        if self.is_open:
            self.send(totals_of(number, told))

    def _answer(self, number: int, answer: Callable[[], Answer | None]) -> None:
        """Send the answer, if there is one already; an error of it is its caller's alone."""
        try:
            if (made := answer()) is not None:
                self.send(made)
        except (ServiceError, Transient) as error:
            self.send(answer_with(number, error))
        except Exception:
            log.exception("an edge's request: our bug")
            self.send(answer_with(number, refusals.internal_error()))

    def _begin(self, ask: Ask) -> Answer | None:
        job = self._queued(ask)
        if job is None:
            return Answer(ask.number)
        self._due[ask.number] = ask.until, job
        job.add_done_callback(partial(self.settle, ask.number))
        if self._timer is None:
            self._watch(ask.until)
        return None

    def _queued(self, ask: Ask) -> Future[Any] | None:
        """Queue a job; None if what was asked needs none, and is done."""
        match ask.verb:
            case "execute":
                return self._jobs.execute(admitted_of(ask), ask.until)
            case "seed":
                return self._jobs.seed(ask.account, ask.region, ask.until)
            case "spend":
                self._jobs.throttle.spend(ask.account, ask.region, ask.bucket)
                return None
            case _:
                assert ask.verb == "look", ask.verb
                self._jobs.look()
                return None

    def settle(self, number: int, job: Future[Any]) -> None:
        """Have a job answered that has ended. Called in the store's thread, after its COMMIT.

        All that end in one commit wake the loop once.
        """
        self._settled.append((number, job))
        if self.is_open and not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_woken = False
        while self._settled:
            number, job = self._settled.popleft()
            if self._due.pop(number, None) is not None:
                self._answer(number, partial(_outcome, number, job))

    def _watch(self, until: float) -> None:
        self._timer = self._loop.call_later(until - self._world.monotonic(), self._end_late)

    def _end_late(self) -> None:
        """Answer what is past its time limit: it is taken back, or its outcome is not known."""
        self._timer = None
        now = self._world.monotonic()
        for number, (until, job) in list(self._due.items()):
            if until > now:
                self._watch(until)
                return
            if not job.done() and not job.cancel():
                del self._due[number]
                self.send(_late(number, ran=True))

    def lost(self) -> None:
        self._has_counted.set()
        for task in self._counting:
            task.cancel()
        due, self._due = self._due, {}
        for _, job in due.values():
            job.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._gone()


def _late(number: int, *, ran: bool) -> Answer:
    return answer_with(number, Transient("no answer in time", ran=ran))


def _outcome(number: int, job: Future[Any]) -> Answer:
    """Return the answer of a job that has ended; raises what the job raised."""
    try:
        return answer_of(number, job.result())
    except CancelledError:
        return _late(number, ran=False)
