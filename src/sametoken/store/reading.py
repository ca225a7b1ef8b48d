"""Reading a SQLite file and changing nothing: not the file, its log, or what lies beside it.

SQLite itself makes a log and an index of it beside a file in WAL mode, also for a connection that
only reads. So how a file is opened depends on what is there:

1. No log: no process has it open, and all is in the file. It is read as one that nobody changes.
   Should a server start meanwhile, its log or the file's new time tells so, and what was read
   (it may be torn) is read again.
2. A log and its index: a server has it open, or was killed. Both are read where they lie, and
   the index is not written to. SQLite refuses that while a server is about to make the index; it
   is then used as any reader beside a server does, which leaves a mark in it.
3. A log alone: only a connection that writes can make the index. Refused.

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
from sametoken.store.port import Tx
from sametoken.store.sqlite import BUSY_SECONDS, dbapi
from sametoken.world import World

T = TypeVar("T")

# Tries of one read. A server that starts or stops meanwhile costs one of them.
TRIES_MAX = 5
_AT_REST = "mode=ro&immutable=1"
_IN_USE = ("mode=ro&readonly_shm=1", "mode=ro")

# Raises `Misconfigured` for a database that is not to be read.
Check = Callable[[sa.Connection], None]


class Reads(Protocol):
    """The half of `store.port.Store` that changes nothing."""

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot of what has committed."""
        ...


def told(error: Exception) -> str:
    """A database's error as one clause, without SQLAlchemy's statement and advice."""
    return " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".?")


class FileReader:
    """`Reads` of the file at `path`, which `check` has passed at the start of every read."""

    def __init__(self, path: Path, world: World, check: Check) -> None:
        self._path = path
        self._world = world
        self._check = check

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Raises `Misconfigured` when it cannot be read, or `Transient` when it never rests."""
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
                now = clock.read(connection, self._world.now())
                return fn(Tx(connection, now, self._world))
        except DatabaseErrors as error:
            raise Misconfigured(
                f"cannot use {self._path} as the database: {told(error)}. Name another with "
                "--database sqlite:///PATH or SAMETOKEN_DATABASE."
            ) from error


def _at_rest(path: Path) -> tuple[int, ...] | None:
    """Identifies the content of a file that no process has open; None where there is a log.

    Raises `Misconfigured` when the file cannot be looked at, or its log lacks its index.
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
    """A connection in a transaction that has its moment, opened in the first of `ways` that can."""
    *others, last = ways
    connection = next((one for way in others if (one := _begun(path, way))), None)
    connection = connection or _begun(path, last)
    assert connection is not None, "the last way may write to the index"
    try:
        yield connection
    finally:
        connection.close()


def _begun(path: Path, way: str) -> sa.Connection | None:
    """None where the log's index must be written to before it can be read."""
    uri = f"{path.as_uri()}?{way}"
    connection = engine_for(
        SQLITE,
        lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None),
    ).connect()
    try:
        raw = dbapi(connection)
        raw.execute("BEGIN")
        # The moment is that of the first read.
        raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_CANTINIT:
            return None
        raise
    return connection
