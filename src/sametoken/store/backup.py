"""Back up a SQLite database that is in use: consistent, complete, and durable before it is named.

The source is read in one snapshot. Writers go on meanwhile, and their commits are not in the copy.
Only the source's log cannot be truncated until the copy is done.
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

# Pages copied between two calls of `progress`: 4 MB.
PAGES_AT_ONCE = 1024
# The ends of the names of all files that SQLite may leave: the database itself and three beside it.
_COMPANIONS = ("", "-journal", "-wal", "-shm")

# Called with the number of pages left and the number of all pages.
Progress = Callable[[int, int], None]


def back_up(path: Path, target: Path, progress: Progress) -> None:
    """Copy the database at `path` to `target`, which must not be there yet.

    Raises `Misconfigured` when it cannot be copied; `target` does not exist then.
    """
    if not path.exists():
        raise Misconfigured(f"there is no database at {path}")
    if not target.parent.is_dir():
        raise Misconfigured(f"there is no folder {target.parent} to put the copy in")
    if target.exists():
        raise Misconfigured(f"{target} is there already; a backup replaces no file")
    scratch = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        # Readable by the owner only, like the key file: the rows hold what callers sent.
        os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _reader(path) as source, closing(_plain(scratch)) as copy:
            source.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, *pages: progress(*pages))
            _check_whole(copy, path)
        # A link fails if another process has made the file meanwhile; a rename would replace it.
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
    """Yield a snapshot of the database. The gate is held only to open it and to close it."""
    gate = Gate(path)
    try:
        with gate.turn():
            source = connect(path)
        try:
            source.execute("PRAGMA query_only=ON")
            source.execute("BEGIN")
            # SQLite takes the snapshot at the first read, not at BEGIN.
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield source
        finally:
            # Closing the last connection to a database checkpoints its log, so the gate is held.
            with gate.turn():
                source.close()
    finally:
        gate.close()


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _check_whole(copy: sqlite3.Connection, path: Path) -> None:
    # Leave WAL mode, so that the copy is a single file. A server that opens it sets WAL mode again.
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
