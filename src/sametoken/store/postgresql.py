"""The store on PostgreSQL: for any number of processes at once.

READ COMMITTED with explicit row locks (docs/decisions/0009): each API request first locks its
account's Region, so that its requests take turns, as they do on SQLite's single writer. Other
transactions, such as the runners', lock the rows they change, and a row that changed between read
and write is `Stale`. `store.pgsession` runs a single transaction.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa

from sametoken.errors import Misconfigured, Transient
from sametoken.store import clock
from sametoken.store.cache import Cache
from sametoken.store.channels import Channels
from sametoken.store.counts import CommitCounts
from sametoken.store.engines import POSTGRESQL, engine_for
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.jobs import Job
from sametoken.store.kept import Lives
from sametoken.store.lanes import Lanes
from sametoken.store.news import News
from sametoken.store.pgconnect import connect, is_unusable
from sametoken.store.pgsession import PostgresqlSession, run_alone, run_shared
from sametoken.store.port import Broken, Tx, WouldWait
from sametoken.store.roll import begin, call
from sametoken.world import World

T = TypeVar("T")

# Threads that write for requests. More would only queue for the interpreter and the disk.
WRITERS = 8
# Connections of a process, without the two that carry news: for the writers, the runners and
# reads. PostgreSQL allows 100 by default, which is enough for four nodes.
SESSIONS = 20
# Connections of a process that only reads, for another one of its node: as many as on SQLite.
READERS = 4
# A call that finds no free connection within this time fails, and is told that it did not run.
SESSION_SECONDS = 10.0
# A schema change waits so long for a table that is in use (a backup reads it for minutes). Requests
# wait behind it meanwhile, so it then gives way to them and tries again.
SCHEMA_LOCK_SECONDS = 2
SCHEMA_TRIES_MAX = 5
# SQLSTATEs: a deadlock with requests, and a lock that was not granted in time.
_IN_THE_WAY = frozenset({"40P01", "55P03"})
# The advisory lock that lets one node at a time change the schema. An arbitrary number.
_SCHEMA_LOCK = 0x5A3E70C3


class PostgresqlSnapshots:
    """Snapshots of a database, each in a session of a pool. See `reading.Snapshots`.

    `host` stands for the database's host, whose clock it replaces, in tests only.
    """

    def __init__(
        self,
        url: str,
        world: World,
        *,
        sessions: int = READERS,
        host: World | None = None,
    ) -> None:
        self._count = sessions
        self._sessions: queue.LifoQueue[PostgresqlSession] = queue.LifoQueue()
        engine = engine_for(POSTGRESQL, lambda: connect(url))
        pace = clock.Pace(host or world, is_host=host is not None)
        self.seconds = pace.seconds
        cache, self._lives = Cache(), Lives()
        for _ in range(sessions):
            self._sessions.put(PostgresqlSession(engine, world, pace, cache))

    def read(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self._session() as session:
                tx = session.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")
                tx.kept = self._lives.of(session.life)
                try:
                    return fn(tx)
                finally:
                    session.end_read()
        except DatabaseErrors as error:
            raise Transient(f"the database cannot be read: {error}", ran=False) from error

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        # A round trip to the server waits for it, however short it is.
        raise WouldWait

    @contextmanager
    def _session(self) -> Iterator[PostgresqlSession]:
        """Borrow a session; its connection is dropped if the block's error makes it unusable."""
        try:
            session = self._sessions.get(timeout=SESSION_SECONDS)
        except queue.Empty:
            raise Transient("every connection to the database is busy", ran=False) from None
        try:
            yield session
        except DatabaseErrors as error:
            if is_unusable(error):
                session.reopen()
            raise
        finally:
            self._sessions.put(session)

    def check(self) -> None:
        """Return: nothing here can break for good."""

    def close(self) -> None:
        """Close every connection."""
        for _ in range(self._count):
            self._sessions.get().reopen()


class PostgresqlStore(PostgresqlSnapshots):
    """`Store` on a PostgreSQL database. See `store.port`."""

    def __init__(self, url: str, world: World, *, host: World | None = None) -> None:
        super().__init__(url, world, sessions=SESSIONS, host=host)
        self._world = world
        self.counts = CommitCounts()
        self._channels = Channels()
        self._lanes = Lanes()
        self._closing = threading.Event()
        self._news = News(url, world, self._channels)
        self._writers = [
            threading.Thread(target=self._write_lanes, name=f"writer-{number}")
            for number in range(WRITERS)
        ]
        try:
            begin(self._writers, self._lanes.close)
        except Broken:
            self._news.close()
            raise

    def run(self, fn: Callable[[Tx], T]) -> T:
        # Run in the caller's own thread, which would otherwise only wait for a writer's.
        if self._closing.is_set():
            raise Transient("the store is closing", ran=False)
        with self._session() as session, self._counted(1):
            value = run_alone(session, fn, self._announce)
            session.keep_clock()
            return value

    @contextmanager
    def _counted(self, jobs: int) -> Iterator[None]:
        """Count the block, and the commit of so many jobs that it makes unless it raises."""
        began, commits = self._world.monotonic(), [jobs]
        try:
            yield
        except BaseException:
            commits = []
            raise
        finally:
            self.counts.note(self._world.monotonic() - began, *commits)

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "", shares: bool = False) -> Future[T]:
        job = Job(fn, shares=shares)
        self._lanes.put(job, lane)
        return job.future

    def check(self) -> None:
        call([*self._writers, *self._news.threads])

    def listen(self, channel: str) -> threading.Event:
        return self._channels.listen(channel)

    def close(self) -> None:
        """Finish the queued jobs, then close. New jobs are refused from now on."""
        self._lanes.close()
        for writer in self._writers:
            writer.join()
        self._closing.set()
        self._news.close()
        # The queue hands out the session used last, which is most likely to be connected.
        with self._session() as session:
            session.keep_clock(at_once=True)
        super().close()

    def _write_lanes(self) -> None:
        while (taken := self._lanes.take()) is not None:
            lane, jobs = taken
            try:
                if len(jobs) == 1 or not self._run_shared(jobs):
                    for job in jobs:
                        self._run_job(job)
            finally:
                self._lanes.done(lane)

    def _run_shared(self, jobs: Sequence[Job]) -> bool:
        """Run jobs in one transaction and settle them. False if that cannot be: none ran then."""
        try:
            began = self._world.monotonic()
            with self._session() as session:
                values = run_shared(session, [job.fn for job in jobs], self._announce)
                session.keep_clock()
            commits = [] if values is None else [len(jobs)]
            self.counts.note(self._world.monotonic() - began, *commits)
        except BaseException as error:  # noqa: BLE001 - it is the callers', whatever it is
            for job in jobs:
                job.future.set_exception(error)
            return True
        if values is None:
            return False
        for job, value in zip(jobs, values, strict=True):
            job.future.set_result(value)
        return True

    def _run_job(self, job: Job) -> None:
        try:
            job.future.set_result(self.run(job.fn))
        except BaseException as error:  # noqa: BLE001 - it is its caller's, whatever it is
            job.future.set_exception(error)

    def _announce(self, channels: set[str]) -> None:
        if channels:
            self._channels.announce(channels)
            self._news.tell(channels)


def change_schema(url: str, change: Callable[[sa.Connection], None]) -> None:
    """Run `change` in one durable transaction, one node at a time; retry while others block it.

    Raises `Misconfigured` if the database cannot be reached or refuses; it is left unchanged then.
    """
    try:
        with engine_for(POSTGRESQL, lambda: connect(url, bounded=False)).connect() as connection:
            tries = 1
            while not _changed(connection, change, is_last=tries == SCHEMA_TRIES_MAX):
                tries += 1
    except DatabaseErrors as error:
        raise Misconfigured(f"the database cannot be brought up to date: {error}") from error


def _changed(
    connection: sa.Connection, change: Callable[[sa.Connection], None], *, is_last: bool
) -> bool:
    """Did `change` commit? False if others blocked it. Raises instead if `is_last`."""
    begin = connection.exec_driver_sql
    begin("BEGIN")
    try:
        # Nodes that start together wait here for the first of them, however long it takes.
        begin(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
        begin(f"SET LOCAL lock_timeout = '{SCHEMA_LOCK_SECONDS}s'")
        change(connection)
        clock.create(connection)
        begin("COMMIT")
    except DatabaseErrors as error:
        if is_last or getattr(getattr(error, "orig", None), "sqlstate", None) not in _IN_THE_WAY:
            raise
        begin("ROLLBACK")
        return False
    return True
