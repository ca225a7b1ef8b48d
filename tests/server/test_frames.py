"""Edges ask the writer in frames: what is asked, what is answered, and when."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

import pytest

from admitting import admit
from plane import IMAGE
from sametoken import faults
from sametoken.counts import Told
from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import listings
from sametoken.server import far_writer
from sametoken.server.admission import Admitted
from sametoken.server.credentials import Principal
from sametoken.server.desk import Desk
from sametoken.server.execution import Executed, execute
from sametoken.server.far_writer import FarWriter
from sametoken.server.frames import (
    Answer,
    Ask,
    FromEdge,
    FromWriter,
    Splitter,
    Stop,
    admitted_of,
    answer_of,
    answer_with,
    framed,
)
from sametoken.server.rates import Rate
from sametoken.server.throttling import Throttle
from sametoken.server.writing import Jobs
from sametoken.settings import database_of
from sametoken.store.port import Store, Tx
from sametoken.workflow.backlog import Backlog
from sametoken.world import RealWorld
from sdk import REGION

T = TypeVar("T")
# So long that only a hang reaches it.
SECONDS_MAX = 60.0
ACCOUNT = "000000000001"
RATES = {"RunInstances": Rate(0.0001, 3)}


@dataclass
class Joined:
    """A writer's desk and an edge's far writer, at the two ends of one line, in one loop."""

    desk: Desk
    far: FarWriter
    stops: list[bool] = field(default_factory=list)
    is_gone: bool = False


@dataclass
class Place:
    """A store with its jobs."""

    store: Store
    engine: Engine
    jobs: Jobs
    _numbers: Iterator[int] = field(default_factory=count)

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[Joined]:
        loop, stops = asyncio.get_running_loop(), list[bool]()
        ours, theirs = socket.socketpair()

        async def no_counts() -> Told:
            return {}

        def gone() -> None:
            made.is_gone = True

        def stop(*, drain: bool) -> None:
            stops.append(drain)

        _, desk = await loop.create_connection(
            lambda: Desk(self.jobs, RealWorld(), gone, no_counts), sock=ours
        )
        _, far = await loop.create_connection(lambda: FarWriter(RealWorld(), stop), sock=theirs)
        made = Joined(desk, far, stops)
        try:
            yield made
        finally:
            far.end()
            desk.end()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def launch(self, token: str, **more: str) -> Admitted:
        form = {"Action": "RunInstances", "Version": "2016-11-15", "ImageId": IMAGE}
        form |= {"MinCount": "1", "MaxCount": "1", "ClientToken": token, **more}
        principal = Principal("AKIAFRAMES", ACCOUNT, "full", "secret")
        return admit(form, principal, REGION, f"request-{next(self._numbers)}")

    def count(self) -> int:
        """How many instances there are."""
        return len(self.store.read(lambda tx: listings.every(tx, INSTANCE, ACCOUNT, REGION)))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the writer busy for the block."""
        begun, end = threading.Event(), threading.Event()

        def wait(tx: Tx) -> None:
            begun.set()
            assert end.wait(SECONDS_MAX)

        job = self.store.submit(wait)
        try:
            assert begun.wait(SECONDS_MAX)
            yield
        finally:
            end.set()
            job.result(SECONDS_MAX)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    database = database_of(tmp_path_factory.mktemp("frames") / "frames.db")
    world = RealWorld()
    with open_store(database, world) as store:
        engine = prepared(store, database, world)
        jobs = Jobs(store, engine, Throttle(RATES, world.monotonic), Backlog(world), world)
        made = Place(store, engine, jobs)
        made.jobs.seed(ACCOUNT, REGION, world.monotonic() + SECONDS_MAX).result(SECONDS_MAX)
        yield made


def together(place: Place, act: Callable[[Joined], Awaitable[T]]) -> T:
    """Run `act` with both ends of a line."""

    async def run() -> T:
        async with asyncio.timeout(SECONDS_MAX), place.joined() as joined:
            return await act(joined)

    return asyncio.run(run())


def test_what_is_asked_far_away_is_done_as_it_is_here(place: Place) -> None:
    admitted = place.launch("far")

    async def act(joined: Joined) -> tuple[Executed, Executed]:
        return await joined.far.execute(admitted), await joined.far.execute(admitted)

    first, again = together(place, act)
    assert (first.attempt, again.attempt) == ("new", "replay")
    until = RealWorld().monotonic() + SECONDS_MAX
    here = place.jobs.execute(admitted, until).result(SECONDS_MAX)
    assert again.result == here.result
    assert admitted.codec.render(again.result or {}, "r") == admitted.codec.render(
        here.result or {}, "r"
    )


def test_a_refusal_comes_as_it_was_raised_and_a_committed_one_with_its_attempt(
    place: Place,
) -> None:
    async def act(joined: Joined) -> Executed:
        with pytest.raises(ServiceError) as refused:
            await joined.far.execute(place.launch("absent", SubnetId="subnet-0123456789abcdef0"))
        assert (refused.value.code, refused.value.http_status) == ("InvalidSubnetID.NotFound", 400)
        await joined.far.execute(place.launch("twice"))
        return await joined.far.execute(place.launch("twice", InstanceType="m5.large"))

    executed = together(place, act)
    assert executed.attempt == "mismatch" and executed.differing == ("InstanceType",)
    assert executed.error is not None and executed.error.code == "IdempotentParameterMismatch"


def test_a_bug_at_the_writer_is_a_500_and_the_line_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(joined: Joined) -> str:
        with monkeypatch.context() as patched:
            patched.setattr(place.jobs, "execute", lambda admitted, until: 1 // 0)
            with pytest.raises(ServiceError) as failed:
                await joined.far.execute(place.launch("bug"))
        await joined.far.execute(place.launch("bug"))
        return failed.value.code

    assert together(place, act) == "InternalError"


async def hears_of_what_is_not_there(place: Place, joined: Joined, token: str) -> bool:
    """Ask for a launch whose COMMIT fails. Is it answered as if it had been made?"""
    before, failed = place.count(), threading.Event()

    def fail(point: Point) -> None:
        if point is Point.STORE_BEFORE_COMMIT:
            failed.set()
            raise sqlite3.OperationalError("disk I/O error")

    faults.install(fail)
    try:
        await joined.far.execute(place.launch(token))
    except Transient as unknown:
        assert unknown.ran
        return False
    finally:
        # The answer may come before the COMMIT is tried.
        assert failed.wait(SECONDS_MAX)
        faults.install(None)
    assert place.count() == before, "the COMMIT failed"
    return True


def test_what_is_not_committed_is_never_answered(place: Place) -> None:
    assert not together(place, lambda joined: hears_of_what_is_not_there(place, joined, "unkept"))
    # The token is free, as nothing was kept.
    assert together(place, lambda one: one.far.execute(place.launch("unkept"))).attempt == "new"


@contextmanager
def answers_before_the_commit(place: Place) -> Iterator[None]:
    """The mutant: a desk that answers when the work is done, not when it is durable."""
    heard = Desk.heard

    def early(self: Desk, message: FromEdge) -> None:
        if not isinstance(message, Ask) or message.verb != "execute":
            heard(self, message)
            return
        loop = asyncio.get_running_loop()

        def run(tx: Tx) -> None:
            executed = execute(tx, place.engine, admitted_of(message))
            loop.call_soon_threadsafe(self.send, answer_of(message.number, executed))

        place.store.submit(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "heard", early)
        yield


def test_an_answer_before_the_commit_would_be_found(place: Place) -> None:
    with answers_before_the_commit(place):
        assert together(place, lambda one: hears_of_what_is_not_there(place, one, "too early"))


def test_who_gives_up_takes_back_what_has_not_begun(place: Place) -> None:
    before = place.count()

    async def act(joined: Joined) -> None:
        with place.held():
            asked = asyncio.create_task(joined.far.execute(place.launch("given up")))
            await joined.far.look()
            asked.cancel()
            with suppress(asyncio.CancelledError):
                await asked
            # The line keeps the order, so the writer has heard it once it answers this.
            await joined.far.look()

    together(place, act)
    place.store.run(lambda tx: None)
    assert place.count() == before


def test_a_request_whose_turn_does_not_come_did_not_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far_writer, "ANSWER_SECONDS_MAX", 0.05)
    before = place.count()

    async def act(joined: Joined) -> bool:
        with place.held():
            with pytest.raises(Transient) as late:
                await joined.far.execute(place.launch("late"))
            return late.value.ran

    assert together(place, act) is False
    place.store.run(lambda tx: None)
    assert place.count() == before


def test_a_job_that_begins_after_its_limit_does_nothing(place: Place) -> None:
    """A writer that stood still may come to it before its loop does."""
    before = place.count()
    with place.held():
        job = place.jobs.execute(place.launch("overdue"), RealWorld().monotonic())
    with pytest.raises(Transient) as late:
        job.result(SECONDS_MAX)
    assert not late.value.ran
    assert place.count() == before


def test_a_writer_that_says_nothing_is_not_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far_writer, "ANSWER_SECONDS_MAX", 0.05)
    monkeypatch.setattr(far_writer, "SILENCE_SECONDS_MAX", 0.05)
    monkeypatch.setattr(Desk, "heard", lambda self, message: None)

    async def act(joined: Joined) -> bool:
        with pytest.raises(Transient) as silent:
            await joined.far.execute(place.launch("silence"))
        return silent.value.ran

    assert together(place, act) is True


def test_when_the_writer_dies_all_that_wait_are_told_that_nobody_knows(place: Place) -> None:
    async def act(joined: Joined) -> tuple[bool, bool]:
        with place.held():
            asked = asyncio.create_task(joined.far.execute(place.launch("orphan")))
            await joined.far.look()
            joined.desk.end()
            with pytest.raises(Transient) as unknown:
                await asked
        assert joined.stops == [False]
        with pytest.raises(Transient) as later:
            await joined.far.execute(place.launch("orphan"))
        return unknown.value.ran, later.value.ran

    assert together(place, act) == (True, False)


def test_an_edge_that_dies_takes_back_what_has_not_begun(place: Place) -> None:
    before = place.count()

    async def act(joined: Joined) -> None:
        with place.held():
            asked = asyncio.create_task(joined.far.execute(place.launch("dead")))
            await joined.far.look()
            joined.far.end()
            while not joined.is_gone:
                await asyncio.sleep(0)
            with suppress(Transient):
                await asked

    together(place, act)
    place.store.run(lambda tx: None)
    assert place.count() == before


def test_edges_together_get_the_rate_of_one_node(place: Place) -> None:
    async def act() -> list[bool]:
        async with place.joined() as one, place.joined() as other:
            heard = []
            for far in (one.far, other.far) * 3:
                try:
                    await far.spend(ACCOUNT, "eu-west-1", "RunInstances")
                    heard.append(True)
                except ServiceError as refused:
                    assert refused.code == "RequestLimitExceeded"
                    heard.append(False)
            return heard

    assert asyncio.run(act()) == [True, True, True, False, False, False]


def test_the_word_to_stop_says_whether_to_drain(place: Place) -> None:
    async def act(joined: Joined) -> list[bool]:
        joined.desk.send(Stop(drains=True))
        while not joined.stops:
            await asyncio.sleep(0)
        return list(joined.stops)

    assert together(place, act) == [True]


@pytest.mark.parametrize("size", [1, 3, 7, 4096])
def test_frames_are_whole_however_their_bytes_come(size: int) -> None:
    told = [Answer(1, "new", {"At": datetime(2026, 1, 2, tzinfo=UTC), "Raw": b"\x00\xff"})]
    told += [answer_with(2, Transient("busy", ran=False)), Answer(3)]
    sent = b"".join(map(framed, told))
    splitter: Splitter[FromWriter] = Splitter(FromWriter)
    heard = [one for at in range(0, len(sent), size) for one in splitter.feed(sent[at : at + size])]
    assert heard == told


def test_what_no_frame_can_hold_fails_alone(place: Place) -> None:
    async def act(joined: Joined) -> str:
        unheard: Any = {"Number": 1 << 70}
        with pytest.raises(OverflowError):
            joined.desk.send(Answer(1, "new", unheard))
        return (await joined.far.execute(place.launch("after it"))).attempt

    assert together(place, act) == "new"
