"""Read a SQLite file without changing it, its log, or any other file beside it.

In WAL mode, SQLite makes a log (`-wal`) and its index (`-shm`) beside the file, even for a
connection that only reads. So the way to open a file depends on the files that are there:

1. No log: no process has the file open, and it is complete. It is opened as immutable. If a server
   starts meanwhile, a log appears or the file's time changes; the read may then be torn, and is
   made again.
2. A log and its index: a server has the file open, or was killed. Both are read as they are, and
   the index is not written to. SQLite refuses that while a server is about to make the index; the
   index is then opened in the usual way, which leaves a read mark in it.
3. A log without an index: only a connection that writes can make the index. The read is refused.

No lock of `store.gate` is needed: a reader neither commits nor checkpoints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import sqlalchemy as sa

from sametoken.errors import Misconfigured, Transient
from sametoken.store import clock
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.oldest import check_sqlite
from sametoken.store.port import Tx
from sametoken.store.sqlite import BUSY_SECONDS, dbapi
from sametoken.world import World

T = TypeVar("T")

# Tries of one read. A server that starts or stops meanwhile uses up one of them.
TRIES_MAX = 5
_AT_REST = "mode=ro&immutable=1"
_IN_USE = ("mode=ro&readonly_shm=1", "mode=ro")

# A function that raises `Misconfigured` if the database must not be read.
Check = Callable[[sa.Connection], None]


class Reads(Protocol):
    """The part of `store.port.Store` that only reads."""

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot of the committed data."""
        ...


class Snapshots(Reads, Protocol):
    """`Reads` of a database that is served, for the process that answers requests."""

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` at once, or raise `WouldWait`. See `store.port.Store`."""
        ...

    def seconds(self) -> float:
        """Return the clock's moment as this process knows it. See `store.port.Store`."""
        ...

    def check(self) -> None:
        """Raise `Broken` if the database is not what it was. See `store.port.Store`."""
        ...


def told(error: Exception) -> str:
    """Return a database's error as one clause, without the statement that SQLAlchemy appends."""
    return " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".?")


class FileReader:
    """`Reads` for the file at `path`; every read first runs `check` on it."""

    def __init__(self, path: Path, world: World, check: Check) -> None:
        self._path = path
        self._world = world
        self._check = check

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot of the file.

        Raises `Misconfigured` if it cannot be read, or `Transient` if it changes during every try.
        """
        for _ in range(TRIES_MAX):
            before = _at_rest(self._path)
            try:
                value = self._read(fn, _IN_USE if before is None else (_AT_REST,))
            except Exception:
                if before is not None and _at_rest(self._path) != before:
                    continue
                raise
            if before is None or _at_rest(self._path) == before:
                return value
        raise Transient(f"{self._path} changes while it is read", ran=False)

    def _read(self, fn: Callable[[Tx], T], ways: tuple[str, ...]) -> T:
        try:
            with _snapshot(self._path, ways) as connection:
                self._check(connection)
                moment = clock.read(connection, clock.Pace(self._world))
                return fn(Tx(connection, moment.now, self._world, moment.leapt))
        except DatabaseErrors as error:
            raise Misconfigured(
                f"cannot use {self._path} as the database: {told(error)}. Name another with "
                "--database sqlite:///PATH or SAMETOKEN_DATABASE."
            ) from error


def _at_rest(path: Path) -> tuple[int, ...] | None:
    """Identify the content of a file that no process has open. None if its log has an index.

    Raises `Misconfigured` if the file cannot be accessed, or if its log has no index.
    """
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    try:
        found = path.stat()
        if index.exists():
            return None
        if log.exists() and log.stat().st_size:
            raise Misconfigured(
                f"{log} has not been folded into {path.name}, and cannot be read without writing. "
                "Start and stop the program that wrote it once (`sametoken serve`)."
            )
    except (FileNotFoundError, NotADirectoryError):
        raise Misconfigured(
            f"there is no database at {path}. Name another with --database or SAMETOKEN_DATABASE, "
            "or make it with `sametoken serve`."
        ) from None
    except OSError as error:
        raise Misconfigured(f"cannot use {path} as the database: {error}") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _snapshot(path: Path, ways: tuple[str, ...]) -> Iterator[sa.Connection]:
    """Open a snapshot of the file in the first of `ways` that works."""
    *others, last = ways
    connection = next((one for way in others if (one := _begun(path, way))), None)
    connection = connection or _begun(path, last)
    assert connection is not None, "the last way may write to the index"
    try:
        yield connection
    finally:
        connection.close()


def _begun(path: Path, way: str) -> sa.Connection | None:
    """Open the file and take a snapshot. None if the log's index would have to be written first."""
    check_sqlite(sqlite3.sqlite_version_info)
    uri = f"{path.as_uri()}?{way}"
    connection = engine_for(
        SQLITE,
        lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None),
    ).connect()
    try:
        raw = dbapi(connection)
        raw.execute("BEGIN")
        # SQLite takes the snapshot at the first read, not at BEGIN.
        raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_CANTINIT:
            return None
        raise
    return connection
