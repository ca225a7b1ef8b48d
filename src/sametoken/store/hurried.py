"""Read a SQLite file at once or not at all, for a thread that must not wait.

A connection of its own, so that nobody else has it; it waits for no lock, and a statement that
takes long is given up. No setting bounds the disk: callers ask again for what was read a moment
ago, which the system has in memory.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar, cast

import sqlalchemy as sa

from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.port import WouldWait
from sametoken.store.statements import Straight

T = TypeVar("T")

# A read is given up after one to three times so many instructions of SQLite's, a few milliseconds.
# A page of 100 instances takes a quarter of them.
STEPS_MAX = 20_000


class HurriedReader:
    """The connection; `connect` opens it, without a wait for locks."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._is_free = threading.Lock()
        # Calls of SQLite's, each after so many instructions of a statement, that are let pass. Two
        # may come early, of the clock's statement and of the one that follows: they also count
        # instructions of a statement's earlier runs.
        self._calls_left = 0
        self._is_reading = False
        self._connection = Straight(engine_for(SQLITE, lambda: self._bounded(connect())))
        self._raw = cast(sqlite3.Connection, self._connection.connection.dbapi_connection)

    def read(self, fn: Callable[[sa.Connection], T]) -> T:
        """Run `fn` in a transaction that only reads. Raises `WouldWait` when it cannot be now."""
        if not self._is_free.acquire(blocking=False):
            raise WouldWait
        try:
            self._raw.execute("BEGIN")
            self._calls_left, self._is_reading = 2, True
            try:
                return fn(self._connection)
            finally:
                self._is_reading = False
                self._raw.execute("ROLLBACK")
        except DatabaseErrors as error:
            # In another thread it may wait, or tell what is wrong.
            raise WouldWait from error
        finally:
            self._is_free.release()

    def close(self) -> None:
        self._connection.close()

    def _bounded(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.set_progress_handler(self._takes_long, STEPS_MAX)
        return connection

    def _takes_long(self) -> bool:
        """Tell SQLite whether to give up. Never a ROLLBACK: the next read could not begin."""
        self._calls_left -= 1
        return self._is_reading and self._calls_left < 0
