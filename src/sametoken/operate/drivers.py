"""Choosing the store of a database. PostgreSQL's needs a driver, which not all have installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.settings import Database
from sametoken.store import sqlite
from sametoken.store.port import CountingStore
from sametoken.store.reading import Check, FileReader, Reads, Snapshots
from sametoken.world import World


@contextmanager
def store_of(database: Database, world: World) -> Iterator[CountingStore]:
    """The store of a database whose schema is this program's; closed after the block."""
    store: Any
    if database.file is not None:
        store = sqlite.SqliteStore(database.file, world, durable=database.durable)
    else:
        with _needing_the_driver():
            from sametoken.store.postgresql import PostgresqlStore
        store = PostgresqlStore(database.url, world)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def snapshots_of(database: Database, world: World) -> Iterator[Snapshots]:
    """Snapshots of a database that another process of this node has opened; for the block."""
    if database.file is not None:
        with sqlite.snapshots(database.file, world) as opened:
            yield opened
        return
    with _needing_the_driver():
        from sametoken.store.postgresql import PostgresqlSnapshots
    sessions = PostgresqlSnapshots(database.url, world)
    try:
        yield sessions
    finally:
        sessions.close()


def reader_of(database: Database, world: World, check: Check) -> Reads:
    """A reader of the database, which changes nothing. `check` is called first in every read."""
    if database.file is not None:
        return FileReader(database.file, world, check)
    with _needing_the_driver():
        from sametoken.store.pgreading import PostgresqlReader
    return PostgresqlReader(database.url, world, check, name=str(database))


def change_schema(database: Database, change: Callable[[Any], None]) -> None:
    """Run `change` on a connection to the database, which is made if it is a file.

    In one durable transaction: raises `Misconfigured`, nothing changed, when the database refuses.
    """
    if database.file is not None:
        sqlite.check_usable(database.file)
        sqlite.change_schema(database.file, change)
    else:
        with _needing_the_driver():
            from sametoken.store import postgresql
        postgresql.change_schema(database.url, change)


@contextmanager
def _needing_the_driver() -> Iterator[None]:
    """Raise `Misconfigured`, saying what to install, when an import in the block fails."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise Misconfigured(
            f"PostgreSQL needs {missing.name}: pip install 'sametoken[postgresql]'"
        ) from None
