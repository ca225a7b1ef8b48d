"""Databases under a measurement: their durability, work that is left in them, a real PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from measure import Stopwatch, spread

from sametoken.settings import Database
from sametoken.store.sqlite import connect

# Import the server from a wheel, as the tests run it.
sys.path.append(str(Path(__file__).parent.parent / "tests"))
from store.servers import PostgresServer

DRAIN_SECONDS_MAX = 120.0
_POLL_SECONDS = 0.02
_UNDRIVEN = "SELECT count(*) FROM work WHERE due_at IS NOT NULL"


@contextmanager
def postgresql_server() -> Iterator[PostgresServer]:
    """Start a durable server in a folder of its own, which may need another owner than us."""
    with tempfile.TemporaryDirectory(prefix="sametoken-postgresql-") as name:
        server = PostgresServer(Path(name))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def postgresql_durability(server: PostgresServer) -> str:
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    shown = []
    with psycopg.connect(server.url()) as session:
        for name in names:
            [(value,)] = session.execute(f"SHOW {name}".encode()).fetchall()
            shown.append(f"{name}={value}")
    return "PostgreSQL: " + ", ".join(shown)


def sqlite_durability(folder: Path) -> str:
    """The settings of a connection of the store, as SQLite itself reports them."""
    with closing(connect(folder / "durability.db")) as connection:
        found = [
            f"{name}={connection.execute(f'PRAGMA {name}').fetchone()[0]}"
            for name in ("journal_mode", "synchronous", "fullfsync", "wal_autocheckpoint")
        ]
    return f"SQLite {sqlite3.sqlite_version}: {', '.join(found)} (synchronous=2 is FULL)"


def fsync_ms(folder: Path, *, times: int = 50) -> float:
    """Milliseconds that this disk takes to write a page durably."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            watch = Stopwatch()
            os.fsync(file.fileno())
            taken.append(1000 * watch.seconds)
    return spread(taken).median


def undriven(database: Database) -> int:
    """The number of launches that are not driven to their end yet."""
    with _counting(database) as count:
        return count()


def await_driven(database: Database) -> None:
    """Wait until every launch is driven to its end."""
    with _counting(database) as count:
        wait_until(lambda: count() == 0)


@contextmanager
def _counting(database: Database) -> Iterator[Callable[[], int]]:
    if database.file is None:
        with psycopg.connect(database.url, autocommit=True) as session:
            yield lambda: int(session.execute(_UNDRIVEN).fetchall()[0][0])
    else:
        address = f"file:{database.file}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=DRAIN_SECONDS_MAX)) as connection:
            yield lambda: int(connection.execute(_UNDRIVEN).fetchone()[0])


def wait_until(is_over: Callable[[], bool]) -> None:
    until = time.monotonic() + DRAIN_SECONDS_MAX
    while not is_over():
        if time.monotonic() > until:
            raise TimeoutError("the launches do not come to an end")
        time.sleep(_POLL_SECONDS)
