"""Turns at one SQLite file between processes: two small lock files beside it.

The *gate* is held for one batch (begin, commit, checkpoint), and only its holder checkpoints:
SQLite before 3.51.3 can corrupt its write-ahead log when one connection commits while another
checkpoints. The *turnstile* makes it fair: a process holds the turnstile while it waits for the
gate, so a loaded server cannot take the gate again ahead of a waiting `accounts create`.
The *node lock* is held for a server's life; a second `serve` on the file is refused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sametoken.errors import Misconfigured


class LockFile:
    """An advisory lock on a file of its own. The system frees it when the process ends or dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def lock(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def write(self, text: str) -> None:
        """Replace the file's text, for others to read: a server's lock file holds its URL."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def close(self) -> None:
        os.close(self._descriptor)


class Gate:
    """The gate of one database file, as one process uses it."""

    def __init__(self, database: Path) -> None:
        self._turnstile = LockFile(database.with_name(database.name + "-turn"))
        self._gate = LockFile(database.with_name(database.name + "-gate"))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the gate and hold it for the block."""
        self._turnstile.lock()
        try:
            self._gate.lock()
        finally:
            self._turnstile.unlock()
        try:
            yield
        finally:
            self._gate.unlock()

    def close(self) -> None:
        self._turnstile.close()
        self._gate.close()


def register_node(database: Path) -> LockFile:
    """Register as the only server of `database`. Raises `Misconfigured` if there is one already."""
    lock = LockFile(database.with_name(database.name + "-node"))
    if not lock.try_lock():
        lock.close()
        raise Misconfigured(
            f"another sametoken server already runs on {database}. Stop it first, give this one "
            "a file of its own with --database, or use PostgreSQL for several nodes."
        )
    return lock


def node_url(database: Path) -> str | None:
    """Return the URL of the current or last server of `database`; None if there never was one."""
    try:
        return database.with_name(database.name + "-node").read_text() or None
    except FileNotFoundError:
        return None
