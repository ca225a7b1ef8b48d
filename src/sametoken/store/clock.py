"""The store's clock: the one source of every persisted time. It never moves back.

A node's own clock may be skewed or be set back; leases, retention and due times must not notice.
So the clock is a row: an offset that an operator (or a test) may advance, and the highest moment
ever handed out, below which no later transaction starts. Where one connection writes (SQLite) each
transaction raises that mark; where many do (PostgreSQL) they would queue for the row, and `Pace`
keeps it instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from sametoken.errors import Misconfigured
from sametoken.store.columns import from_microseconds, to_microseconds

metadata = sa.MetaData()

# One row, id 1. `offset_us` is added to the database host's clock; `high_us` is the latest moment
# that a writing transaction was given.
CLOCK = sa.Table(
    "store_clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("offset_us", sa.BigInteger, nullable=False),
    sa.Column("high_us", sa.BigInteger, nullable=False),
)

_CREATE = sa.insert(CLOCK)
_READ = sa.select(CLOCK.c.offset_us, CLOCK.c.high_us)
# In SQLite, where `max` of two values is what other databases call `greatest`.
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

# By hand, so that it can travel with the BEGIN before it.
READ_WITH_HOST = (
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, offset_us, high_us"
    " FROM store_clock"
)
_RAISE_MARK = (
    sa.update(CLOCK)
    .values(high_us=sa.bindparam("moment"))
    .where(CLOCK.c.high_us < sa.bindparam("moment"))
)
# Once a second costs nothing, and no lease or retention is counted in less.
MARK_US = 1_000_000

# In all. Retention and leases need days; far beyond this no `datetime` could hold the moment, and
# a store whose moment cannot be read cannot be opened again.
ADVANCE_MAX = timedelta(days=365_000)


def create(connection: sa.Connection) -> None:
    """Put the one row there, when it is not."""
    if connection.execute(_READ).first() is None:
        connection.execute(_CREATE, {"id": 1, "offset_us": 0, "high_us": 0})


def read(connection: sa.Connection, wall: datetime) -> datetime:
    """The moment of a transaction that only reads. `wall` is the database host's clock."""
    row = connection.execute(_READ).one()
    return from_microseconds(max(to_microseconds(wall) + row.offset_us, row.high_us))


def tick(connection: sa.Connection, wall: datetime) -> datetime:
    """The moment of a writing transaction; no later one will be given an earlier moment."""
    moment: int = connection.execute(_TICK, {"wall": to_microseconds(wall)}).scalar_one()
    return from_microseconds(moment)


def advance(connection: sa.Connection, by: timedelta) -> None:
    """Move the store's clock on. Only forward: time that has passed cannot be taken back.

    Raises `Misconfigured` when it would be more than `ADVANCE_MAX` in all.
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
    """Moments for many writers at once, none of which writes the clock's row.

    The mark is raised between transactions, at most every `MARK_US`. So after a failover to a host
    whose clock is behind, up to that much time may be handed out again, and no more. Nothing rests
    on less: leases are fenced by generations, and repeated time only lengthens a retention.
    """

    def __init__(self, wall: Callable[[], datetime] | None = None) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._latest_us = 0
        self._mark_us = 0

    def moment(self, read: Sequence[int]) -> datetime:
        """The moment of a transaction that has just `read` what `READ_WITH_HOST` tells."""
        host_us, offset_us, high_us = read
        if self._wall is not None:
            host_us = to_microseconds(self._wall())
        with self._lock:
            self._mark_us = max(self._mark_us, high_us)
            self._latest_us = max(self._latest_us, host_us + offset_us, high_us)
            return from_microseconds(self._latest_us)

    def keep(self, connection: sa.Connection, *, at_once: bool = False) -> None:
        """Raise the mark, if it is time to. `connection` is between two transactions."""
        with self._lock:
            latest_us, mark_us = self._latest_us, self._mark_us
            if latest_us - mark_us < (1 if at_once else MARK_US):
                return
            self._mark_us = latest_us
        try:
            connection.execute(_RAISE_MARK, {"moment": latest_us})
        except sa.exc.SQLAlchemyError:
            with self._lock:
                self._mark_us = min(self._mark_us, mark_us)
            raise
