"""Writing for requests: what their stages ask of the node's one writer, and its jobs.

A node's requests may be read in other processes than the one that writes (`desks`). Bounds on all
of them together are kept here: how fast an account may ask, and how long its launches may wait.
`OwnWriter` is for requests of its own process; `far_writer` asks one that is elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from sametoken.ec2.kit.actions import Tokened
from sametoken.errors import Transient
from sametoken.idempotency import Engine
from sametoken.resources.network import default_vpc
from sametoken.server.admission import Admitted
from sametoken.server.execution import Executed, execute
from sametoken.server.job_counts import JobCounts
from sametoken.server.journal import Journal
from sametoken.server.throttling import Throttle
from sametoken.store.port import Broken, Store, Tx
from sametoken.workflow.backlog import Backlog
from sametoken.world import World

T = TypeVar("T")

# A third of the 60 s after which SDKs stop listening, so that they get a 503 and not silence.
ANSWER_SECONDS_MAX = 20.0


class Writer(Protocol):
    """The writer as a request's stages see it. Each method may raise `Transient`."""

    def spend(self, account: str, region: str, bucket: str) -> Awaitable[None] | None:
        """Take a request's token, at once or by what is returned.

        Raises `RequestLimitExceeded` if none is left.
        """
        ...

    async def execute(self, admitted: Admitted) -> Executed:
        """Execute a request in a transaction; returns after its COMMIT.

        After the time limit, or when it is cancelled, what has not begun never will.
        """
        ...

    async def seed(self, account: str, region: str) -> None:
        """Return once the account has its default VPC in the Region."""
        ...

    async def look(self) -> None:
        """Return if the writer lives and is whole."""
        ...


class Jobs:
    """Jobs of the store for requests, wherever they were read. Lives where the store is.

    `journal` gets the attempts that other processes of the node have answered.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        throttle: Throttle,
        backlog: Backlog,
        world: World,
        journal: Journal | None = None,
        counts: JobCounts | None = None,
    ) -> None:
        self.throttle = throttle
        self.journal = journal or Journal()
        self.counts = counts or JobCounts()
        self._store = store
        self._engine = engine
        self._backlog = backlog
        self._world = world

    def execute(self, admitted: Admitted, until: float) -> Future[Executed]:
        """Queue a request, to begin before the moment `until` of the monotonic clock, or never."""
        request = admitted.request
        if self._backlog.is_late(request.account):
            # Refused in the transaction, once the token is known to be new: a repeat is answered.
            admitted = replace(admitted, request=replace(request, launches_late=True))
        action = admitted.action
        charge = self.throttle.charge(request)
        job = self._submit(
            lambda tx: execute(tx, self._engine, admitted, charge),
            request.place,
            until,
            shares=isinstance(action, Tokened) and action.shares,
        )
        if charge is not None:
            job.add_done_callback(charge.end)
        job.add_done_callback(partial(self.counts.settled, action.name))
        return job

    def look(self) -> None:
        """Return if the store is whole. Raises `Transient`: this process is about to end."""
        try:
            self._store.check()
        except Broken as broken:
            raise Transient(str(broken), ran=False) from broken

    def seed(self, account: str, region: str, until: float) -> Future[None]:
        return self._submit(
            lambda tx: default_vpc.seed(tx, account, region), (account, region), until
        )

    def _submit(
        self, fn: Callable[[Tx], T], place: tuple[str, str], until: float, *, shares: bool = False
    ) -> Future[T]:
        """Queue `fn`, in the lane of an account's Region: changes there take turns anyway."""

        def in_time(tx: Tx) -> T:
            if self._world.monotonic() > until:
                raise Transient("its turn came too late", ran=False)
            return fn(tx)

        return self._store.submit(in_time, lane="/".join(place), shares=shares)


class OwnWriter:
    """`Writer` in the process of the requests."""

    def __init__(self, jobs: Jobs, world: World) -> None:
        self._jobs = jobs
        self._world = world

    def spend(self, account: str, region: str, bucket: str) -> None:
        self._jobs.throttle.spend(account, region, bucket)

    async def execute(self, admitted: Admitted) -> Executed:
        return await _in_time(self._jobs.execute(admitted, self._until()))

    async def seed(self, account: str, region: str) -> None:
        await _in_time(self._jobs.seed(account, region, self._until()))

    async def look(self) -> None:
        self._jobs.look()

    def _until(self) -> float:
        return self._world.monotonic() + ANSWER_SECONDS_MAX


async def _in_time(job: Future[T]) -> T:
    """Wait for a job; after the time limit take it back if it has not begun."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return await asyncio.wrap_future(job)
    except TimeoutError:
        raise Transient("no answer in time", ran=not job.cancelled()) from None
