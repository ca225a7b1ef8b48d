"""The store's clock: the only source of every persisted time. It never moves back.

A node's own clock may be skewed or set back; leases, retention and due times must not be affected.
So the clock is a row. It holds an offset that an operator (or a test) may advance, and a high-water
mark: the highest moment ever handed out, below which no later transaction starts. On SQLite, where
one connection writes, each transaction raises the mark. On PostgreSQL, where many write, they would
queue for that row, so `Pace` raises it between transactions instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from sametoken.errors import Misconfigured
from sametoken.store.columns import from_microseconds, to_microseconds

metadata = sa.MetaData()

# CLOCK has a single row, id 1. `offset_us` is added to the database host's clock; `high_us` is the
# latest moment that a writing transaction was given.
CLOCK = sa.Table(
    "store_clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("offset_us", sa.BigInteger, nullable=False),
    sa.Column("high_us", sa.BigInteger, nullable=False),
)

_CREATE = sa.insert(CLOCK)
_READ = sa.select(CLOCK.c.offset_us, CLOCK.c.high_us)
# Used on SQLite only: its `max` of two values is `greatest` on other databases.
_TICK = (
    sa.update(CLOCK)
    .values(high_us=sa.func.max(CLOCK.c.high_us, CLOCK.c.offset_us + sa.bindparam("wall")))
    .returning(CLOCK.c.high_us)
)
_ADVANCE = (
    sa.update(CLOCK)
    .values(offset_us=CLOCK.c.offset_us + sa.bindparam("by"))
    .where(CLOCK.c.offset_us + sa.bindparam("by") <= sa.bindparam("most"))
)

# Written as text, so that it can be sent in one round trip with BEGIN. The server's start tells it
# from every other server.
READ_WITH_HOST = (
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, offset_us, high_us,"
    " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint FROM store_clock"
)
_RAISE_MARK = (
    sa.update(CLOCK)
    .values(high_us=sa.bindparam("moment"))
    .where(CLOCK.c.high_us < sa.bindparam("moment"))
)
# Raise the mark once a second: that costs nothing, and every lease and retention is longer.
MARK_US = 1_000_000

# The bound on all advances together. Retention and leases need days. Far beyond this bound, no
# `datetime` could hold the moment, and a store whose moment cannot be read cannot be opened again.
ADVANCE_MAX = timedelta(days=365_000)


def create(connection: sa.Connection) -> None:
    """Insert the clock's row if it is missing."""
    if connection.execute(_READ).first() is None:
        connection.execute(_CREATE, {"id": 1, "offset_us": 0, "high_us": 0})


def read(connection: sa.Connection, wall: datetime) -> datetime:
    """Return the moment of a transaction that only reads. `wall` is the database host's clock."""
    offset_us, high_us = connection.execute(_READ).one()
    return from_microseconds(max(to_microseconds(wall) + offset_us, high_us))


def tick(connection: sa.Connection, wall: datetime) -> datetime:
    """Return the moment of a writing transaction; no later one will get an earlier moment."""
    moment: int = connection.execute(_TICK, {"wall": to_microseconds(wall)}).scalar_one()
    return from_microseconds(moment)


def advance(connection: sa.Connection, by: timedelta) -> None:
    """Move the store's clock forward, never back: times already handed out must stay in the past.

    Raises `Misconfigured` when all advances together would exceed `ADVANCE_MAX`.
    """
    assert by >= timedelta(0), "the store's clock never moves back"
    microsecond = timedelta(microseconds=1)
    values = {"by": by // microsecond, "most": ADVANCE_MAX // microsecond}
    if by > ADVANCE_MAX or connection.execute(_ADVANCE, values).rowcount == 0:
        raise Misconfigured(
            f"the store's clock cannot be advanced by {by}: {ADVANCE_MAX.days} days ahead, in "
            "all, is the most. Start with a new database."
        )


class Pace:
    """Hand out moments to many writers at once, without a write to the clock's row in each.

    The mark is raised between transactions, at most every `MARK_US`. So after a failover to a host
    whose clock is behind, at most that much time may be handed out a second time. That is harmless:
    leases are fenced by generations, and repeated time only lengthens a retention.
    """

    def __init__(self, wall: Callable[[], datetime] | None = None) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._latest_us = 0
        self._mark_us = 0

    def moment(self, read: Sequence[int]) -> datetime:
        """Return a transaction's moment; `read` is the row that `READ_WITH_HOST` returned to it."""
        host_us, offset_us, high_us, _ = read
        if self._wall is not None:
            host_us = to_microseconds(self._wall())
        with self._lock:
            self._mark_us = max(self._mark_us, high_us)
            self._latest_us = max(self._latest_us, host_us + offset_us, high_us)
            return from_microseconds(self._latest_us)

    def keep(self, connection: sa.Connection, *, at_once: bool = False) -> None:
        """Raise the mark if it is due (`at_once`: if it is behind at all).

        `connection` must be between two transactions.
        """
        with self._lock:
            latest_us, mark_us = self._latest_us, self._mark_us
            if latest_us - mark_us < (1 if at_once else MARK_US):
                return
            self._mark_us = latest_us
        try:
            raised = connection.execute(_RAISE_MARK, {"moment": latest_us}).rowcount
            assert raised <= 1, "the clock has one row"
        except sa.exc.SQLAlchemyError:
            with self._lock:
                self._mark_us = min(self._mark_us, mark_us)
            raise
