"""A copy of a SQLite database that is in use: of one moment, whole, and on the disk once named.

The source is read as of one moment, so whoever writes goes on meanwhile, and what it commits is not
in the copy; only the log cannot be cut short before the copy is done.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.store.gate import Gate
from sametoken.store.sqlite import connect

# Between two tellings of how far it is: 4 MB.
PAGES_AT_ONCE = 1024
# What SQLite itself may leave beside a file that it writes.
_COMPANIONS = ("", "-journal", "-wal", "-shm")

# Told of the pages that are left, and of all.
Progress = Callable[[int, int], None]


def back_up(path: Path, target: Path, progress: Progress) -> None:
    """Copy the database at `path` to `target`, which must not be there yet.

    Raises `Misconfigured` when that cannot be; then there is no `target`.
    """
    if not path.exists():
        raise Misconfigured(f"there is no database at {path}")
    if not target.parent.is_dir():
        raise Misconfigured(f"there is no folder {target.parent} to put the copy in")
    if target.exists():
        raise Misconfigured(f"{target} is there already; a backup replaces no file")
    scratch = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        # As private as the key file: the rows tell what callers asked for.
        os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _reader(path) as source, closing(_plain(scratch)) as copy:
            source.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, *pages: progress(*pages))
            _check_whole(copy, path)
        # Fails when somebody else has made the file meanwhile; a rename would replace it.
        os.link(scratch, target)
        _sync(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise Misconfigured(f"{path} cannot be copied to {target}: {error}") from error
    finally:
        for companion in _COMPANIONS:
            scratch.with_name(scratch.name + companion).unlink(missing_ok=True)


@contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as of one moment. The gate is held only to open it and to close it."""
    gate = Gate(path)
    try:
        with gate.turn():
            source = connect(path)
        try:
            source.execute("PRAGMA query_only=ON")
            source.execute("BEGIN")
            # The moment is that of the first read.
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield source
        finally:
            # The last one to close a database folds its log.
            with gate.turn():
                source.close()
    finally:
        gate.close()


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _check_whole(copy: sqlite3.Connection, path: Path) -> None:
    # One file, which needs no log beside it to be read; the server that opens it makes its own.
    copy.execute("PRAGMA journal_mode=DELETE")
    found = copy.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise Misconfigured(f"{path} is damaged, and so is every copy of it: {found}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
