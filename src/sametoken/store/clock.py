"""The store's clock: the only source of every persisted time. It neither moves back nor stands.

A host's clock may be skewed, set back, or ahead for a while; leases, retention and due times must
not be affected. So the clock is a row. It holds an offset that an operator (or a test) may advance,
and a high-water mark: the highest moment ever handed out, below which no later transaction starts.
While the host's clock is behind the mark, each process counts on by its monotonic clock (`Pace`).

The row also counts the time that has *passed*: as far as a process saw it pass, or an operator said
so. The clock may move on without that, when its host's clock jumps or while nothing runs; `leaps`
keeps what such a leap would make expire.

On SQLite, where one connection writes, each transaction raises the mark. On PostgreSQL, where many
write, they would queue for that row, so `Pace` raises it between transactions instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from sametoken.errors import Misconfigured
from sametoken.store.columns import from_microseconds, to_microseconds
from sametoken.store.dialects import POSTGRESQL
from sametoken.store.port import Tx
from sametoken.world import World

log = logging.getLogger(__name__)

metadata = sa.MetaData()

# CLOCK has a single row, id 1. `offset_us` is added to the database host's clock; `high_us` is the
# latest moment that a writing transaction was given. `passed_us` is what that moment would be if
# the clock had never leapt; 0 until the first transaction. `leapt_us` is for `leaps`.
CLOCK = sa.Table(
    "store_clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("offset_us", sa.BigInteger, nullable=False),
    sa.Column("high_us", sa.BigInteger, nullable=False),
    sa.Column("passed_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("leapt_us", sa.BigInteger, nullable=False, server_default="0"),
)


def _greater(one: sa.ColumnElement[int], other: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the greater of two: a function for it has another name on each database."""
    return sa.case((one < other, other), else_=one)


_CREATE = sa.insert(CLOCK)
_READ = sa.select(CLOCK.c.offset_us, CLOCK.c.high_us, CLOCK.c.passed_us)
# Used on SQLite only: its `max` of several values is `greatest` on other databases.
_WALL = CLOCK.c.offset_us + sa.bindparam("wall")
_TICK = (
    sa.update(CLOCK)
    .values(
        high_us=sa.func.max(CLOCK.c.high_us, _WALL, sa.bindparam("own")),
        passed_us=sa.case(
            (CLOCK.c.passed_us == 0, sa.func.max(CLOCK.c.high_us, _WALL)),
            else_=sa.func.max(CLOCK.c.passed_us, sa.bindparam("own_passed")),
        ),
    )
    .returning(CLOCK.c.offset_us, CLOCK.c.high_us, CLOCK.c.passed_us)
)
_ADVANCE = (
    sa.update(CLOCK)
    .values(
        offset_us=CLOCK.c.offset_us + sa.bindparam("by"),
        high_us=_greater(CLOCK.c.high_us, sa.bindparam("now")) + sa.bindparam("by"),
        passed_us=_greater(CLOCK.c.passed_us, sa.bindparam("passed")) + sa.bindparam("by"),
    )
    .where(CLOCK.c.offset_us + sa.bindparam("by") <= sa.bindparam("most"))
)

# Written as text, so that it can be sent in one round trip with BEGIN. The server's start tells it
# from every other server.
READ_WITH_HOST = (
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, offset_us, high_us,"
    " passed_us, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
    " FROM store_clock"
)
_RAISE_MARK = (
    sa.update(CLOCK)
    .values(
        high_us=sa.bindparam("moment"),
        passed_us=_greater(CLOCK.c.passed_us, sa.bindparam("passed")),
    )
    .where(CLOCK.c.high_us < sa.bindparam("moment"))
)
# Raise the mark once a second: that costs nothing, and every lease and retention is longer.
MARK_US = 1_000_000

# The bound on all advances together. Retention and leases need days. Far beyond this bound, no
# `datetime` could hold the moment, and a store whose moment cannot be read cannot be opened again.
ADVANCE_MAX = timedelta(days=365_000)

# A clock that is ahead of its host's by so much is told of in the log, so often.
AHEAD_TOLD = timedelta(seconds=10)
_TELL_SECONDS = 600.0

_MICROSECOND = timedelta(microseconds=1)


class Reading(NamedTuple):
    """A moment of the clock, and how much of it the clock has leapt over since it began."""

    now: datetime
    leapt: timedelta


def create(connection: sa.Connection) -> None:
    """Insert the clock's row if it is missing."""
    if connection.execute(_READ).first() is None:
        connection.execute(_CREATE, {"id": 1, "offset_us": 0, "high_us": 0})


def read(connection: sa.Connection, pace: Pace) -> Reading:
    """Return the moment of a transaction that only reads, on SQLite."""
    return pace.read(pace.host_us(), *connection.execute(_READ).one())


def tick(connection: sa.Connection, pace: Pace) -> Reading:
    """Return the moment of a writing transaction; no later one will get an earlier moment."""
    host_us, own = pace.host_us(), pace.goes_on()
    values = {"wall": host_us, "own": own.moment_us, "own_passed": own.passed_us}
    offset_us, high_us, passed_us = connection.execute(_TICK, values).one()
    pace.read(host_us, offset_us, high_us, passed_us)
    pace.tell()
    return _reading(Count(high_us, passed_us))


def host_moment(row: Sequence[int]) -> datetime:
    """Return the moment for one who sees the clock once; `row` is what `READ_WITH_HOST` returns."""
    host_us, offset_us, high_us = row[:3]
    return from_microseconds(max(host_us + offset_us, high_us))


def ahead_of_host(tx: Tx) -> timedelta:
    """Return how far the transaction's moment is ahead of what its host's clock says."""
    if tx.connection.dialect.name == POSTGRESQL:
        host_us, offset_us = tx.connection.exec_driver_sql(READ_WITH_HOST).one()[:2]
    else:
        host_us = to_microseconds(tx.world.now())
        offset_us = tx.execute(_READ).one()[0]
    return tx.now - from_microseconds(host_us + offset_us)


def advance(tx: Tx, by: timedelta) -> None:
    """Move the store's clock forward, as if that time had passed. Never back: times already handed
    out must stay in the past.

    Raises `Misconfigured` when all advances together would exceed `ADVANCE_MAX`.
    """
    assert by >= timedelta(0), "the store's clock never moves back"
    values = {
        "by": by // _MICROSECOND,
        "most": ADVANCE_MAX // _MICROSECOND,
        "now": to_microseconds(tx.now),
        "passed": to_microseconds(tx.now - tx.leapt),
    }
    if by > ADVANCE_MAX or tx.connection.execute(_ADVANCE, values).rowcount == 0:
        raise Misconfigured(
            f"the store's clock cannot be advanced by {by}: {ADVANCE_MAX.days} days ahead, in "
            "all, is the most. Start with a new database."
        )


class Count(NamedTuple):
    """A moment, and what it would be if the clock had never leapt; 0 while nothing is known."""

    moment_us: int
    passed_us: int


class Pace:
    """The clock as one process sees it: it hands out moments to any number of threads at once.

    Both counts go on by the world's monotonic clock, and only ever move forward: the moment to what
    the host or the mark says, the time that has passed to what another process saw pass.

    On PostgreSQL the mark is raised between transactions, at most every `MARK_US`. So after a
    failover to a host whose clock is behind, at most that much time may be handed out a second
    time, to a process that starts then. That is harmless: leases are fenced by generations, and
    repeated time only lengthens a retention.

    `world` says what the host's clock is where the database has none, as on SQLite; in tests that
    have it stand for the database's host (`is_host`), on PostgreSQL too.
    """

    def __init__(self, world: World, *, is_host: bool = False) -> None:
        self.world = world
        self._is_host = is_host
        self._lock = threading.Lock()
        # By how much both counts are ahead of the monotonic clock; 0 while nothing is known.
        self._lead = Count(0, 0)
        self._mark_us = 0
        self._ahead_us = 0
        self._told_at: float | None = None

    def host_us(self) -> int:
        return to_microseconds(self.world.now())

    def goes_on(self) -> Count:
        """Return the counts of now, as far as this process knows."""
        elapsed_us = self._elapsed_us()
        moment_us, passed_us = self._lead
        return Count(
            moment_us + elapsed_us if moment_us else 0, passed_us + elapsed_us if passed_us else 0
        )

    def _elapsed_us(self) -> int:
        return round(self.world.monotonic() * 1e6)

    def read(self, host_us: int, offset_us: int, high_us: int, passed_us: int) -> Reading:
        """Return the moment of a transaction that reads the clock's row so."""
        with self._lock:
            elapsed_us = self._elapsed_us()
            self._mark_us = max(self._mark_us, high_us)
            moment_us = max(host_us + offset_us, high_us)
            self._lead = Count(
                max(self._lead.moment_us, moment_us - elapsed_us),
                max(self._lead.passed_us, (passed_us or moment_us) - elapsed_us),
            )
            now = self.goes_on()
            self._ahead_us = now.moment_us - host_us - offset_us
            return _reading(now)

    def moment(self, row: Sequence[int]) -> Reading:
        """Return a transaction's moment on PostgreSQL; `READ_WITH_HOST` returned `row` to it."""
        return self.read(self.host_us() if self._is_host else row[0], *row[1:4])

    def keep(self, connection: sa.Connection, *, at_once: bool = False) -> None:
        """Raise the mark if it is due (`at_once`: if it is behind at all).

        `connection` must be between two transactions.
        """
        with self._lock:
            now, mark_us = self.goes_on(), self._mark_us
            if now.moment_us - mark_us < (1 if at_once else MARK_US):
                return
            self._mark_us = now.moment_us
        try:
            values = {"moment": now.moment_us, "passed": now.passed_us}
            raised = connection.execute(_RAISE_MARK, values).rowcount
            assert raised <= 1, "the clock has one row"
        except sa.exc.SQLAlchemyError:
            with self._lock:
                self._mark_us = min(self._mark_us, mark_us)
            raise
        self.tell()

    def tell(self) -> None:
        """Log, now and then, that the clock is ahead of its host's."""
        ahead = timedelta(microseconds=self._ahead_us)
        now = self.world.monotonic()
        if ahead < AHEAD_TOLD or (self._told_at is not None and now < self._told_at):
            return
        self._told_at = now + _TELL_SECONDS
        log.warning(
            "the store's clock is %s ahead of its host's, which was ahead before or is behind now; "
            "it goes on from there, and no token expires early (see `sametoken clock`)", ahead,
        )  # fmt: skip


def _reading(count: Count) -> Reading:
    leapt_us = max(0, count.moment_us - count.passed_us)
    return Reading(from_microseconds(count.moment_us), timedelta(microseconds=leapt_us))
