"""The store on SQLite: one writer thread with group commit, a pool of snapshot readers.

WAL with synchronous=FULL (and fullfsync where the system has it): a commit that returned is on
the disk. The store sends BEGIN IMMEDIATE itself. The driver's own transaction handling is off,
because with it a savepoint can outlive its transaction's rollback.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from sametoken.errors import Misconfigured, Transient
from sametoken.store import clock
from sametoken.store.cache import Cache
from sametoken.store.channels import Channels
from sametoken.store.counts import CommitCounts
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.gate import Gate
from sametoken.store.gathering import Gathering
from sametoken.store.group_commit import DatabaseErrors, run_batch
from sametoken.store.hurried import HurriedReader
from sametoken.store.jobs import QUEUE_JOBS_MAX, Job, JobQueue
from sametoken.store.kept import Lives
from sametoken.store.oldest import check_sqlite
from sametoken.store.opened_file import OpenedFile, check_only_name
from sametoken.store.port import Tx
from sametoken.store.roll import begin, call
from sametoken.store.statements import Straight
from sametoken.world import World, mint_neighbourhood

T = TypeVar("T")

# Wait this long for another user of the file (a backup, a shell); then the callers get a 503.
BUSY_SECONDS = 5.0
# Checkpoint once the log has 16 MB. A checkpoint costs two more fsyncs. A launch in a large batch
# writes twenty pages, so SQLite's default of 1,000 would make a busy server checkpoint at every
# third commit. Every COMMIT is made with the gate held, so only the gate's holder checkpoints.
CHECKPOINT_PAGES = 4000
# Describes are limited by the interpreter, not by the disk; more readers would only queue for it.
READERS = 4
# Page caches, in KiB; 56 MiB for a server's six connections together. The writer keeps its pages
# from one commit to the next, and the ends of all indexes that it adds to fit. A reader drops its
# pages at its first read after any commit, since the pages may have changed: it needs room for a
# single answer, and what it reads again comes from the system's own cache of the file. No mmap_size
# instead: a read from a mapped file that fails is a signal which ends the process, not an error.
WRITER_CACHE_KIB = 47 * 1024
READER_CACHE_KIB = 2 * 1024
HURRIED_CACHE_KIB = 1024
_SETTINGS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "fullfsync=ON",
    "foreign_keys=ON",
    f"wal_autocheckpoint={CHECKPOINT_PAGES}",
)


def connect(
    path: Path,
    *,
    busy_seconds: float = BUSY_SECONDS,
    cache_kib: int = READER_CACHE_KIB,
    durable: bool = True,
) -> sqlite3.Connection:
    """Open the file at `path` in WAL mode. The caller begins and ends transactions.

    A commit that returned is on the disk, unless the file is not to be `durable`. Raises
    `Misconfigured` if this Python's SQLite is too old.
    """
    check_sqlite(sqlite3.sqlite_version_info)
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        settings = (*_SETTINGS, f"cache_size=-{cache_kib}")
        for setting in settings if durable else (*settings, "synchronous=OFF"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def dbapi(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's connection under SQLAlchemy's."""
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


class SqliteSession:
    """The only writing connection, reopened after a failure that may have damaged it."""

    def __init__(
        self,
        engine: sa.Engine,
        world: World,
        pace: clock.Pace,
        file: OpenedFile | None = None,
    ) -> None:
        self._engine = engine
        self._world = world
        self._file = file
        self.pace = pace
        self._connection: Gathering | None = None
        self._moment = clock.Reading(world.now(), timedelta(0))
        self._near = ""
        self._cache = Cache()
        self._stamps: dict[Hashable, str | None] = {}
        self._known: dict[Hashable, Any] = {}

    def begin(self) -> None:
        if self._file is not None and not self._file.is_there():
            raise sqlite3.OperationalError("the file is gone, or another has its name")
        if self._connection is None:
            self._connection = Gathering(self._engine, check=_check_transaction_stands)
        self._connection.start()
        self._stamps, self._known = {}, {}
        self.command("BEGIN IMMEDIATE")
        self._moment = clock.tick(self._connection, self.pace)
        # The whole batch shares the leading digits of its ids. In a store of 100,000 instances,
        # scattered ids would touch a separate page in each of ten indexes, for each launch, and
        # every touched page is logged whole.
        self._near = mint_neighbourhood(self._world)

    def transaction(self) -> Tx:
        assert self._connection is not None, "begin() comes first"
        if self._known.pop(clock.SET, False):
            # A member before has set the clock, perhaps back: its own moment is none any more.
            self._moment = clock.tick(self._connection, self.pace)
        return Tx(
            self._connection,
            self._moment.now,
            self._world,
            self._moment.leapt,
            near=self._near,
            cache=self._cache,
            stamps=self._stamps,
            known=self._known,
            only_writer=True,
        )

    def command(self, sql: str) -> None:
        assert self._connection is not None, "begin() comes first"
        if not sql.endswith(" member"):
            dbapi(self._connection).execute(sql)
            return
        self._connection.exec_driver_sql(sql)
        if sql.startswith("ROLLBACK"):
            # The member may have written what it read a stamp of, or knew.
            self._stamps.clear()
            self._known.clear()

    def flush(self) -> None:
        assert self._connection is not None, "begin() comes first"
        self._connection.flush()

    def in_transaction(self) -> bool:
        return self._connection is not None and dbapi(self._connection).in_transaction

    def met(self, error: Exception) -> None:
        if self._file is not None:
            self._file.met(error)

    def reopen(self) -> None:
        """Drop the connection and any uncommitted work on it; the next `begin` connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _check_transaction_stands(connection: sqlite3.Connection) -> None:
    """Refuse a statement outside a transaction: it would commit by itself.

    The history it prevents: the disk is full, and SQLite rolls everything back. A member swallows
    the error and goes on. Its next writes would commit one by one, even if its caller is told that
    it failed.
    """
    if not connection.in_transaction:
        raise sqlite3.OperationalError("the transaction was rolled back by the database")


class SqliteSnapshots:
    """Snapshots of a file that is served, each on a connection of a pool. See `reading.Snapshots`.

    Opened and closed with the gate held, as the file's last connection folds the log.
    """

    def __init__(
        self, path: Path, world: World, gate: Gate, pace: clock.Pace, *, readers: int = READERS
    ) -> None:
        self._path = path
        self._world = world
        self._pace = pace
        self.seconds = pace.seconds
        self._gate = gate
        self.file = OpenedFile(path)
        self._count = readers
        self._readers: queue.LifoQueue[sa.Connection] = queue.LifoQueue()
        self._lives = Lives()
        engine = engine_for(SQLITE, self._connect)
        with gate.turn():
            for _ in range(readers):
                self._readers.put(Straight(engine))
            self._hurried = HurriedReader(self._connect_hurried)

    def _connect(self) -> sqlite3.Connection:
        return _only_reading(connect(self._path))

    def _connect_hurried(self) -> sqlite3.Connection:
        return _only_reading(connect(self._path, busy_seconds=0, cache_kib=HURRIED_CACHE_KIB))

    def read(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self._snapshot() as connection:
                return fn(self._looking(connection))
        except DatabaseErrors as error:
            self.file.met(error)
            raise Transient(f"the database cannot be read: {error}", ran=False) from error

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        return self._hurried.read(lambda connection: fn(self._looking(connection, hurried=True)))

    def _looking(self, connection: sa.Connection, *, hurried: bool = False) -> Tx:
        """Return a transaction that only reads, begun on that connection."""
        moment = clock.read(connection, self._pace)
        kept = self._lives.of(moment.switched)
        return Tx(connection, moment.now, self._world, moment.leapt, kept=kept, hurried=hurried)

    @contextmanager
    def _snapshot(self) -> Iterator[sa.Connection]:
        connection = self._readers.get()
        try:
            raw = dbapi(connection)
            raw.execute("BEGIN")
            try:
                yield connection
            finally:
                raw.execute("ROLLBACK")
        finally:
            self._readers.put(connection)

    def check(self) -> None:
        self.file.check()

    def close(self) -> None:
        """Close every connection. The caller holds the gate."""
        for _ in range(self._count):
            self._readers.get().close()
        self._hurried.close()


@contextmanager
def snapshots(path: Path, world: World) -> Iterator[SqliteSnapshots]:
    """Snapshots of a file that another process writes to, for the block."""
    gate = Gate(path)
    opened = SqliteSnapshots(path, world, gate, clock.Pace(world))
    try:
        yield opened
    finally:
        with gate.turn():
            opened.close()
        gate.close()


class SqliteStore:
    """`Store` on a SQLite file. Only one process at a time may write. See `store.port`."""

    def __init__(
        self, path: Path, world: World, *, readers: int = READERS, durable: bool = True
    ) -> None:
        self._gate = Gate(path)
        self._world = world
        self.counts = CommitCounts()
        self._channels = Channels()
        self._jobs = JobQueue()
        engine = engine_for(
            SQLITE, lambda: connect(path, cache_kib=WRITER_CACHE_KIB, durable=durable)
        )
        # Shared, so that what is due for a reader is due for the writer too.
        pace = clock.Pace(world)
        self.seconds = pace.seconds
        self._snapshots = SqliteSnapshots(path, world, self._gate, pace, readers=readers)
        self._session = SqliteSession(engine, world, pace, self._snapshots.file)
        self._writer = threading.Thread(target=self._write_batches, name="sqlite-writer")
        begin([self._writer], self._jobs.close)

    def run(self, fn: Callable[[Tx], T]) -> T:
        job = Job(fn)
        self._jobs.put(job, is_own=True)
        result: T = job.future.result()
        return result

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "", shares: bool = False) -> Future[T]:
        # The single writer runs all jobs in turn, so lanes make no difference.
        job = Job(fn)
        self._jobs.put(job)
        return job.future

    def read(self, fn: Callable[[Tx], T]) -> T:
        return self._snapshots.read(fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        return self._snapshots.read_now(fn)

    def check(self) -> None:
        call([self._writer])
        self._snapshots.check()

    def listen(self, channel: str) -> threading.Event:
        return self._channels.listen(channel)

    def close(self) -> None:
        """Finish the queued jobs, then close. New jobs are refused from now on."""
        self._jobs.close()
        self._writer.join()
        # Closing the last connection checkpoints the log, so the gate must be held.
        with self._gate.turn():
            self._snapshots.close()
            self._session.reopen()
        self._gate.close()

    def _write_batches(self) -> None:
        # Take jobs only once the gate is held: until then, their callers may cancel them.
        batch: list[Job] = []
        try:
            while self._jobs.wait():
                with self._gate.turn():
                    batch = self._jobs.take()
                    began = self._world.monotonic()
                    commits = run_batch(self._session, batch, self._channels.announce)
                    self.counts.note(self._world.monotonic() - began, *commits)
        finally:
            # Jobs are left only if a bug of ours ends this thread. Fail them, so that no caller
            # waits for ever.
            self._jobs.close()
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(Transient("the writer broke down"))
            for job in self._jobs.take(QUEUE_JOBS_MAX):
                job.future.set_exception(Transient("the writer broke down", ran=False))


def _only_reading(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA query_only=ON")
    return connection


def change_schema(path: Path, change: Callable[[sa.Connection], None]) -> None:
    """Run `change` on the file at `path` in one durable transaction, with the gate held.

    Raises `Misconfigured` if the database refuses; it is left unchanged then.
    """
    gate = Gate(path)
    try:
        with gate.turn(), engine_for(SQLITE, lambda: connect(path)).connect() as connection:
            raw = dbapi(connection)
            raw.execute("BEGIN IMMEDIATE")
            change(connection)
            clock.create(connection)
            raw.execute("COMMIT")
    except DatabaseErrors as error:
        raise Misconfigured(f"{path} cannot be brought up to date: {error}") from error
    finally:
        gate.close()


def check_usable(path: Path) -> None:
    """Raise `Misconfigured`, saying what to do, if `path` cannot be used as the database."""
    check_sqlite(sqlite3.sqlite_version_info)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Readable by the owner only, because the rows hold what callers sent. SQLite gives the log
        # the same mode.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        check_only_name(path)
        connect(path).close()
    except (OSError, sqlite3.Error) as error:
        raise Misconfigured(
            f"cannot use {path} as the database: {error}. Name a file in a folder you may "
            "write with --database sqlite:///PATH or SAMETOKEN_DATABASE."
        ) from error
