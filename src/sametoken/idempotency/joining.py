"""Use the engine in an application's own transaction: its connection, its commit."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.idempotency import tables
from sametoken.store.dialects import POSTGRESQL, SQLITE
from sametoken.store.oldest import check_sqlite
from sametoken.store.port import Tx
from sametoken.world import RealWorld, World

_CLOCK = sa.select(sa.func.clock_timestamp())


def create_tables(connection: sa.Connection) -> None:
    """Make those of the engine's tables that the connection's database lacks.

    Raises `Misconfigured`, as `join` does, if the connection's SQLite is too old.
    """
    _check(connection)
    tables.metadata.create_all(connection)


def join(connection: sa.Connection, *, world: World | None = None) -> Tx:
    """Wrap the connection's open transaction, so that the engine can act in it.

    The caller owns the transaction: begins it, commits it before calling `get()` on an answer, and
    closes the connection. On PostgreSQL, times come from the server's clock; elsewhere from
    `world`, by default this machine's clock.
    """
    _check(connection)
    world = world or RealWorld()
    now = world.now()
    if connection.dialect.name == POSTGRESQL:
        now = connection.execute(_CLOCK).scalar_one()
    return Tx(connection, now, world)


def _check(connection: sa.Connection) -> None:
    if connection.dialect.name == SQLITE and connection.dialect.server_version_info is not None:
        check_sqlite(connection.dialect.server_version_info)
