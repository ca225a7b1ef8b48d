"""Databases that the conformance suite runs on, and helpers that its tests share.

A test may open a database any number of times, each time with a world of its choice. To run the
suite on another database, write a `Database` for it and name it in `DATABASES`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from sametoken import faults
from sametoken.faults import Point
from sametoken.store import postgresql
from sametoken.store.port import Store, Tx
from sametoken.store.postgresql import PostgresqlStore
from sametoken.store.sqlite import SqliteStore
from sametoken.world import RealWorld, World
from store import servers
from store.worlds import SetWorld

T = TypeVar("T")

metadata = sa.MetaData()

# A table for the tests, to count the effects of transactions. `twin` refers to another note; this
# reference is checked only when the transaction commits.
NOTE = sa.Table(
    "test_note",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("twin", sa.ForeignKey("test_note.name", deferrable=True, initially="DEFERRED")),
)


class Database(Protocol):
    """A migrated database with the tests' own tables, empty at first."""

    def open(self, world: World) -> AbstractContextManager[Store]: ...

    def end(self) -> None:
        """Remove everything that is not in the test's own folder."""


@cache
def _migrated_file() -> bytes:
    """Return an empty database's file, to copy: migrating takes longer than most tests."""
    # Imported here, so that the processes of `store.processes` do not load the whole control plane.
    from sametoken.operate.opening import open_store
    from sametoken.settings import database_of

    with TemporaryDirectory() as folder:
        path = Path(folder) / "plane.db"
        with open_store(database_of(path), SetWorld()) as store:
            store.run(lambda tx: metadata.create_all(tx.connection))
        return path.read_bytes()


class SqliteDatabase:
    """A file in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "plane.db"
        self.path.write_bytes(_migrated_file())

    @contextmanager
    def open(self, world: World) -> Iterator[SqliteStore]:
        store = SqliteStore(self.path, world)
        try:
            yield store
        finally:
            store.close()

    def end(self) -> None:
        """Leave the file, which is removed with its folder."""


@cache
def _migrated_template() -> str:
    """Return the name of a PostgreSQL database to copy: 25 ms, where migrating takes 100."""
    from sametoken.migrations.upgrade import upgrade

    url = servers.new_database()

    def change(connection: sa.Connection) -> None:
        upgrade(connection)
        metadata.create_all(connection)

    postgresql.change_schema(url, change)
    return url.rsplit("/", 1)[1]


def migrated_database() -> str:
    """Make a migrated database on this process's PostgreSQL server; return its URL."""
    return servers.new_database(_migrated_template())


class PostgresqlDatabase:
    """A database for a single test, on this process's server."""

    def __init__(self, folder: Path) -> None:
        self.url = migrated_database()

    @contextmanager
    def open(self, world: World) -> Iterator[PostgresqlStore]:
        store = PostgresqlStore(self.url, world, host=world)
        try:
            yield store
        finally:
            store.close()

    def end(self) -> None:
        servers.drop_database(self.url)


@contextmanager
def opened(url: str, world: SetWorld | None = None) -> Iterator[PostgresqlStore]:
    """Open a PostgreSQL store with the clock of `world`, but with real waits."""
    store = PostgresqlStore(url, RealWorld(), host=world or SetWorld())
    try:
        yield store
    finally:
        store.close()


DATABASES: Mapping[str, Callable[[Path], Database]] = {
    "sqlite": SqliteDatabase,
    "postgresql": PostgresqlDatabase,
}


def write(name: str, *, body: str = "", twin: str | None = None) -> Callable[[Tx], str]:
    """Make a transaction that writes a note and returns its name."""

    def run(tx: Tx) -> str:
        tx.execute(sa.insert(NOTE), {"name": name, "body": body, "twin": twin})
        return name

    return run


def notes(tx: Tx) -> list[str]:
    """List the names of all notes, sorted."""
    return [row.name for row in tx.execute(sa.select(NOTE.c.name).order_by(NOTE.c.name))]


@contextmanager
def at(point: Point, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` each time `point` is reached, during the block."""

    def injector(reached: Point) -> None:
        if reached is point:
            act()

    faults.install(injector)
    try:
        yield
    finally:
        faults.install(None)


# Longer than any of these tests takes; only a hang reaches it.
HANG_SECONDS = 120.0


def together(count: int, run: Callable[[int], T]) -> list[T | Exception]:
    """Run `run(0)`, `run(1)`, … in threads that start at the same moment; return their results."""
    ready = threading.Barrier(count)
    results: list[Any] = [None] * count

    def one(number: int) -> None:
        ready.wait(HANG_SECONDS)
        try:
            results[number] = run(number)
        except Exception as error:  # noqa: BLE001 - the test judges what its thread raised
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive(), "a thread hangs"
    return results
