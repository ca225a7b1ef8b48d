"""The engine in a transaction of somebody else's: their connection, their commit."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.idempotency import tables
from sametoken.store.dialects import POSTGRESQL
from sametoken.store.port import Tx
from sametoken.world import RealWorld, World

_CLOCK = sa.select(sa.func.clock_timestamp())


def create_tables(connection: sa.Connection) -> None:
    """Make the engine's tables in the connection's database, those that are not there yet."""
    tables.metadata.create_all(connection)


def join(connection: sa.Connection, *, world: World | None = None) -> Tx:
    """The connection's open transaction, for the engine to act in.

    Nothing is begun, committed or closed here: the caller owns the transaction, and commits it
    before calling `get()` on an answer. Times come from PostgreSQL's clock, where it is the
    database; else from `world`, by default this machine's.
    """
    world = world or RealWorld()
    now = world.now()
    if connection.dialect.name == POSTGRESQL:
        now = connection.execute(_CLOCK).scalar_one()
    return Tx(connection, now, world)
