"""Nodes that serve a shared database: one row per node, renewed while the node runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from sametoken.store import clock
from sametoken.store.columns import Moment
from sametoken.store.port import Tx

metadata = sa.MetaData()

# `url` is where the node answers requests; NULL if it only works in the background.
NODE = sa.Table(
    "node",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("url", sa.String(300)),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("revision", sa.String(32), nullable=False),
    sa.Column("beat_at", Moment, nullable=False),
)

BEAT_SECONDS = 5.0
# Six beats. A node that was paused for longer counts as dead, and finds that out when it resumes.
FRESH = timedelta(seconds=30)

_FORGET = sa.delete(NODE).where(
    sa.or_(NODE.c.id == sa.bindparam("node"), NODE.c.beat_at < sa.bindparam("heard_of"))
)
_BEAT = sa.insert(NODE)
_LEAVE = sa.delete(NODE).where(NODE.c.id == sa.bindparam("node"))
_LIVING = (
    sa.select(NODE)
    .where(NODE.c.beat_at >= sa.bindparam("heard_of"))
    .order_by(NODE.c.beat_at.desc())
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A node's last report of itself."""

    id: str
    url: str | None
    version: str
    revision: str


def beat(tx: Tx, node: Heartbeat) -> None:
    """Record that `node` is alive, and remove nodes whose last beat is older than `FRESH`."""
    tx.execute(_FORGET, {"node": node.id, "heard_of": tx.now - FRESH})
    values = {name: getattr(node, name) for name in ("id", "url", "version", "revision")}
    tx.execute(_BEAT, {**values, "beat_at": tx.now})


def leave(tx: Tx, node: Heartbeat) -> None:
    """Remove `node`, which is shutting down."""
    tx.execute(_LEAVE, {"node": node.id})


def living(tx: Tx) -> list[Heartbeat]:
    """List the nodes whose last beat is within `FRESH`, the latest first."""
    return _heard_of(tx.connection, tx.now)


def answering(tx: Tx) -> int:
    """Count the living nodes that answer requests."""
    return sum(node.url is not None for node in living(tx))


def lock(connection: sa.Connection) -> list[Heartbeat]:
    """Like `living`, and locks the table: no node can beat until this transaction ends.

    PostgreSQL only. Used by schema changes: a node that beats meanwhile waits, and then finds the
    change, because it checks the schema after it has written its row.
    """
    connection.exec_driver_sql(f"LOCK TABLE {NODE.name} IN SHARE ROW EXCLUSIVE MODE")
    row = connection.exec_driver_sql(clock.READ_WITH_HOST).one()
    return _heard_of(connection, clock.host_moment(row))


def _heard_of(connection: sa.Connection, now: datetime) -> list[Heartbeat]:
    rows = connection.execute(_LIVING, {"heard_of": now - FRESH})
    return [Heartbeat(row.id, row.url, row.version, row.revision) for row in rows]
