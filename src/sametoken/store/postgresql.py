"""The store on PostgreSQL: for any number of processes at once.

READ COMMITTED with explicit row locks (docs/decisions/0009): each API request first locks its
account's Region, so that requests there take turns as they do on SQLite's one writer; what runs
beside them locks the rows it changes, and a row that changed between read and write is `Stale`.
Jobs of one lane share a commit (`store.group_commit`); lanes go side by side.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from sametoken.errors import Misconfigured, Transient
from sametoken.store import clock
from sametoken.store.channels import Channels
from sametoken.store.group_commit import DatabaseErrors, run_batch
from sametoken.store.jobs import Job
from sametoken.store.lanes import Lanes
from sametoken.store.news import News
from sametoken.store.pgconnect import connect, is_unusable
from sametoken.store.port import Tx
from sametoken.world import World, mint_neighbourhood

T = TypeVar("T")

# Threads that write for requests. More would only queue for the interpreter and the disk.
WRITERS = 8
# Connections of a process, but for the two that carry news: the writers', the runners', and some
# for reads. PostgreSQL allows 100 in all by default: four nodes.
SESSIONS = 20
# Whoever finds no free connection within this long is told that nothing ran.
SESSION_SECONDS = 10.0
# A savepoint that writes is a subtransaction, and PostgreSQL slows down beyond 64 of them; each
# create has two.
BATCH_JOBS_MAX = 24
# Names the lock under which one node at a time changes the schema. Any number nobody else uses.
_SCHEMA_LOCK = 0x5A3E70C3

_COMMIT_UNSURE = "the commit is not known to be safe on the standby"


def engine_for(creator: Callable[[], psycopg.Connection[Any]]) -> sa.Engine:
    """An engine whose connections never begin, commit or pool by themselves.

    Its errors do not repeat parameters: they reach logs, and callers' secrets are among them.
    """
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=creator,
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )


class PostgresqlSession:
    """One connection, reopened after a failure that may have damaged it."""

    def __init__(self, engine: sa.Engine, world: World, pace: clock.Pace) -> None:
        self._engine = engine
        self._world = world
        self._pace = pace
        self._connection: sa.Connection | None = None
        self._now = world.now()
        self._warned = False
        self._near = ""

    def begin(self, mode: str = "ISOLATION LEVEL READ COMMITTED READ WRITE") -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._raw.add_notice_handler(self._heed)
        self.command(f"BEGIN {mode}")
        try:
            self._now = self._pace.moment(self._connection)
        except DatabaseErrors:
            self.reopen()
            raise
        self._near = mint_neighbourhood(self._world)

    @property
    def _raw(self) -> psycopg.Connection[Any]:
        assert self._connection is not None, "begin() comes first"
        return cast("psycopg.Connection[Any]", self._connection.connection.dbapi_connection)

    def _heed(self, notice: psycopg.errors.Diagnostic) -> None:
        self._warned = self._warned or notice.severity_nonlocalized == "WARNING"

    def transaction(self) -> Tx:
        assert self._connection is not None, "begin() comes first"
        return Tx(self._connection, self._now, self._world, near=self._near)

    def command(self, sql: str) -> None:
        """Run a command of transaction control. Raises the errors of SQLAlchemy."""
        self._warned = False
        try:
            done = self._raw.execute(sql)
        except psycopg.Error as error:
            raise sa.exc.OperationalError(sql, None, error) from error
        if sql == "COMMIT":
            self._check_commit(done.statusmessage)

    def _check_commit(self, status: str | None) -> None:
        """A COMMIT that returned may still not be one: each such case is an unknown outcome."""
        if status != "COMMIT":
            raise sa.exc.OperationalError("COMMIT", None, Exception(f"it answered {status}"))
        if self._warned:
            # With a synchronous standby, a wait that is cancelled answers with success and a
            # warning: what committed here may be gone after a failover.
            raise sa.exc.OperationalError("COMMIT", None, Exception(_COMMIT_UNSURE))

    def in_transaction(self) -> bool:
        if self._connection is None:
            return False
        status = self._raw.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def keep_clock(self, *, at_once: bool = False) -> None:
        """Between two transactions: raise the clock's mark, if it is time to."""
        if self._connection is not None and not self.in_transaction():
            self._pace.keep(self._connection, at_once=at_once)

    def end(self) -> None:
        """Give up the transaction of a read; the connection stays."""
        if self.in_transaction():
            self.command("ROLLBACK")

    def reopen(self) -> None:
        """Drop the connection, and with it whatever was uncommitted; the next begin connects."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


class PostgresqlStore:
    """`Store` on a PostgreSQL database. See `store.port`.

    `wall` is the clock of the database's host; only tests give another.
    """

    def __init__(
        self, url: str, world: World, *, wall: Callable[[], datetime] | None = None
    ) -> None:
        self._channels = Channels()
        self._lanes = Lanes()
        self._pace = clock.Pace(wall)
        engine = engine_for(lambda: connect(url))
        self._sessions: queue.LifoQueue[PostgresqlSession] = queue.LifoQueue()
        for _ in range(SESSIONS):
            self._sessions.put(PostgresqlSession(engine, world, self._pace))
        self._closing = threading.Event()
        self._news = News(url, world, self._channels)
        self._writers = [
            threading.Thread(target=self._write_lanes, name=f"writer-{number}")
            for number in range(WRITERS)
        ]
        for writer in self._writers:
            writer.start()

    def run(self, fn: Callable[[Tx], T]) -> T:
        """In the caller's own thread: it would only wait for another."""
        job = Job(fn)
        job.future.set_running_or_notify_cancel()
        if self._closing.is_set():
            raise Transient("the store is closing", ran=False)
        self._run_jobs([job])
        value: T = job.future.result()
        return value

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "") -> Future[T]:
        job = Job(fn)
        self._lanes.put(job, lane)
        return job.future

    def read(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self._session() as session:
                session.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")
                try:
                    return fn(session.transaction())
                finally:
                    session.end()
        except DatabaseErrors as error:
            raise Transient(f"the database cannot be read: {error}", ran=False) from error

    def listen(self, channel: str) -> threading.Event:
        return self._channels.listen(channel)

    def close(self) -> None:
        """Finish what is queued, then close. Nothing can be submitted any more."""
        self._lanes.close()
        for writer in self._writers:
            writer.join()
        self._closing.set()
        self._news.close()
        # The one used last is the one most likely to be connected.
        with suppress(*DatabaseErrors), self._session() as session:
            session.keep_clock(at_once=True)
        for _ in range(SESSIONS):
            self._sessions.get().reopen()

    def _write_lanes(self) -> None:
        while (taken := self._lanes.take(BATCH_JOBS_MAX)) is not None:
            lane, jobs = taken
            try:
                self._run_jobs(jobs)
            finally:
                self._lanes.done(lane)

    def _run_jobs(self, jobs: list[Job]) -> None:
        try:
            with self._session() as session:
                run_batch(session, jobs, self._announce)
                session.keep_clock()
        except Transient as busy:
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(busy)

    def _announce(self, channels: set[str]) -> None:
        self._channels.announce(channels)
        self._news.tell(channels)

    @contextmanager
    def _session(self) -> Iterator[PostgresqlSession]:
        """A free connection, dropped afterwards if an error has left it in doubt."""
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


def change_schema(url: str, change: Callable[[sa.Connection], None]) -> None:
    """Run `change` in one durable transaction, one node at a time.

    Raises `Misconfigured` when the database cannot be reached or refuses; nothing is changed then.
    """
    try:
        engine = engine_for(lambda: connect(url, bounded=False))
        with engine.connect() as connection:
            begin = connection.exec_driver_sql
            begin("BEGIN")
            begin(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
            change(connection)
            clock.create(connection)
            begin("COMMIT")
    except DatabaseErrors as error:
        raise Misconfigured(f"the database cannot be brought up to date: {error}") from error
