"""The store's clock: the only source of every persisted time. It never moves back.

A host's clock may be skewed, set back, or ahead for a while; leases, retention and due times must
not be affected. So the clock is a row. It holds an offset that an operator (or a test) may advance,
and a high-water mark: the highest moment ever handed out, below which no later transaction starts.
While the host's clock is behind the mark, each process counts on by its monotonic clock (`Pace`).

The row also counts the time that has *passed*: as far as a process saw it pass, or an operator said
so. The clock may move on without that, when its host's clock jumps or while nothing runs; `leaps`
keeps what such a leap would make expire.

An operator may freeze it, and let it go on from there. `switched` of the row counts both: what a
process counted on by its monotonic clock before such a switch is void after it.

On SQLite, where one connection writes, each transaction raises the mark. On PostgreSQL, where many
write, they would queue for that row, so `Pace` raises it between transactions instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
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
# the clock had never leapt; 0 until the first transaction. `leapt_us` is for `leaps`. `switched`
# counts how often the clock was stopped or set going again: while it is odd, the clock stands.
CLOCK = sa.Table(
    "store_clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("offset_us", sa.BigInteger, nullable=False),
    sa.Column("high_us", sa.BigInteger, nullable=False),
    sa.Column("passed_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("leapt_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("switched", sa.BigInteger, nullable=False, server_default="0"),
)


def _greater(one: sa.ColumnElement[int], other: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the greater of two: a function for it has another name on each database."""
    return sa.case((one < other, other), else_=one)


_CREATE = sa.insert(CLOCK)
_ROW = (CLOCK.c.offset_us, CLOCK.c.high_us, CLOCK.c.passed_us, CLOCK.c.switched)
_READ = sa.select(*_ROW)
_STANDS = CLOCK.c.switched % 2 == 1
# A process's own counts are of the time since the switch that it knows.
_KNOWN = CLOCK.c.switched == sa.bindparam("known")
# Used on SQLite only: its `max` of several values is `greatest` on other databases.
_WALL = CLOCK.c.offset_us + sa.bindparam("wall")
_TICK = (
    sa.update(CLOCK)
    .values(
        high_us=sa.case(
            (_STANDS, CLOCK.c.high_us),
            (_KNOWN, sa.func.max(CLOCK.c.high_us, _WALL, sa.bindparam("own"))),
            else_=sa.func.max(CLOCK.c.high_us, _WALL),
        ),
        passed_us=sa.case(
            (_STANDS, CLOCK.c.passed_us),
            (CLOCK.c.passed_us == 0, sa.func.max(CLOCK.c.high_us, _WALL)),
            (_KNOWN, sa.func.max(CLOCK.c.passed_us, sa.bindparam("own_passed"))),
            else_=CLOCK.c.passed_us,
        ),
    )
    .returning(*_ROW)
)
_ADVANCE = sa.update(CLOCK).values(
    offset_us=CLOCK.c.offset_us + sa.bindparam("by"),
    high_us=_greater(CLOCK.c.high_us, sa.bindparam("now")) + sa.bindparam("by"),
    passed_us=_greater(CLOCK.c.passed_us, sa.bindparam("passed")) + sa.bindparam("by"),
)
_FREEZE = (
    sa.update(CLOCK)
    .where(sa.not_(_STANDS))
    .values(
        high_us=_greater(CLOCK.c.high_us, sa.bindparam("now")),
        passed_us=_greater(CLOCK.c.passed_us, sa.bindparam("passed")),
        switched=CLOCK.c.switched + 1,
    )
)
_RESUME = (
    sa.update(CLOCK)
    .where(_STANDS)
    .values(offset_us=CLOCK.c.high_us - sa.bindparam("host"), switched=CLOCK.c.switched + 1)
)
_PUT_BACK = sa.update(CLOCK).values(
    high_us=sa.bindparam("high"),
    passed_us=sa.bindparam("passed"),
    leapt_us=sa.bindparam("leapt"),
    offset_us=sa.bindparam("offset"),
    switched=sa.bindparam("switches"),
)

# Written as text, so that it can be sent in one round trip with BEGIN. The server's start tells it
# from every other server.
READ_WITH_HOST = (
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, offset_us, high_us,"
    " passed_us, switched, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
    " FROM store_clock"
)
_RAISE_MARK = (
    sa.update(CLOCK)
    .values(
        high_us=sa.bindparam("moment"),
        passed_us=_greater(CLOCK.c.passed_us, sa.bindparam("passed")),
    )
    .where(CLOCK.c.high_us < sa.bindparam("moment"), _KNOWN)
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


# The key of `Tx.known` by which a transaction tells those of its commit that it set the clock.
SET = "store_clock.set"


class Reading(NamedTuple):
    """A moment of the clock, how much of it the clock has leapt over, and its switches until then.

    Rows may be put back to what they were before by a switch alone: `switched` is the life of what
    is kept by their versions.
    """

    now: datetime
    leapt: timedelta
    switched: int = 0


def create(connection: sa.Connection) -> None:
    """Insert the clock's row if it is missing."""
    if connection.execute(_READ).first() is None:
        connection.execute(_CREATE, {"id": 1, "offset_us": 0, "high_us": 0})


def read(connection: sa.Connection, pace: Pace) -> Reading:
    """Return the moment of a transaction that only reads, on SQLite."""
    row = connection.execute(_READ).one()
    return pace.read(pace.host_us(), *row)._replace(switched=row.switched)


def tick(connection: sa.Connection, pace: Pace) -> Reading:
    """Return the moment of a writing transaction; no later one will get an earlier moment."""
    host_us, own = pace.host_us(), pace.goes_on()
    values = {"wall": host_us, "own": own.moment_us, "own_passed": own.passed_us}
    row = connection.execute(_TICK, values | {"known": pace.switched}).one()
    pace.read(host_us, *row)
    pace.tell()
    return _reading(Count(row.high_us, row.passed_us))


def host_moment(row: Sequence[int]) -> datetime:
    """Return the moment for one who sees the clock once; `row` is what `READ_WITH_HOST` returns."""
    host_us, offset_us, high_us, _, switched = row[:5]
    return from_microseconds(high_us if _is_odd(switched) else max(host_us + offset_us, high_us))


def ahead_of_host(tx: Tx) -> timedelta:
    """Return how far the transaction's moment is ahead of what its host's clock says."""
    return tx.now - from_microseconds(_host_us(tx) + tx.execute(_READ).one().offset_us)


def host_offset(tx: Tx) -> timedelta:
    """Return how far the clock of the database's host is ahead of this process's."""
    return from_microseconds(_host_us(tx)) - tx.world.now()


def _host_us(tx: Tx) -> int:
    if tx.connection.dialect.name == POSTGRESQL:
        host_us: int = tx.connection.exec_driver_sql(READ_WITH_HOST).one()[0]
        return host_us
    return to_microseconds(tx.world.now())


def advance(tx: Tx, by: timedelta) -> None:
    """Move the store's clock forward, as if that time had passed. Never back: times already handed
    out must stay in the past.

    Raises `Misconfigured` when all advances together would exceed `ADVANCE_MAX`.
    """
    check_advance(tx, by)
    values = {
        "by": by // _MICROSECOND,
        "now": to_microseconds(tx.now),
        "passed": to_microseconds(tx.now - tx.leapt),
    }
    tx.execute(_ADVANCE, values)


def check_advance(tx: Tx, by: timedelta) -> None:
    """Raise `Misconfigured` unless the clock can be advanced by that much."""
    assert by >= timedelta(0), "the store's clock never moves back"
    offset = timedelta(microseconds=tx.execute(_READ).one().offset_us)
    if by > ADVANCE_MAX or offset + by > ADVANCE_MAX:
        raise Misconfigured(
            f"the store's clock cannot be advanced by {by}: {ADVANCE_MAX.days} days ahead, in "
            "all, is the most. Start with a new database."
        )


def stands(tx: Tx) -> bool:
    """Tell whether the clock is frozen."""
    return _is_odd(tx.execute(_READ).one().switched)


def freeze(tx: Tx) -> None:
    """Have the clock stand at this transaction's moment; nothing if it stands already.

    On PostgreSQL a transaction of another node that runs meanwhile may have a moment that is later
    by as long as both run together.
    """
    passed = to_microseconds(tx.now - tx.leapt)
    tx.execute(_FREEZE, {"now": to_microseconds(tx.now), "passed": passed})


def resume(tx: Tx) -> None:
    """Let the clock go on from where it stands, as if the time since had never been."""
    tx.execute(_RESUME, {"host": _host_us(tx)})


def put_back(tx: Tx, saved: Mapping[str, int]) -> None:
    """Set the clock to what a saved row of it tells, also back: all rows are of then, or gone.

    A switch, since what processes counted on is void. A clock that stood stands again.
    """
    now = tx.execute(_READ).one().switched
    same = _is_odd(now) == _is_odd(saved["switched"])
    values = {
        "high": saved["high_us"],
        "passed": saved["passed_us"],
        "leapt": saved["leapt_us"],
        "offset": saved["high_us"] - _host_us(tx),
        "switches": now + (2 if same else 1),
    }
    tx.execute(_PUT_BACK, values)
    tx.known[SET] = True


def _is_odd(switched: int) -> bool:
    return switched % 2 == 1


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
        # The switches that this process knows of, and the counts at which the clock stands since.
        self.switched = 0
        self._standing: Count | None = None
        self._mark_us = 0
        self._ahead_us = 0
        self._told_at: float | None = None

    def host_us(self) -> int:
        return to_microseconds(self.world.now())

    def goes_on(self) -> Count:
        """Return the counts of now, as far as this process knows."""
        if self._standing is not None:
            return self._standing
        elapsed_us = self._elapsed_us()
        moment_us, passed_us = self._lead
        return Count(
            moment_us + elapsed_us if moment_us else 0, passed_us + elapsed_us if passed_us else 0
        )

    def seconds(self) -> float:
        """Return the moment of now as far as this process knows, in seconds since 1970."""
        return self.goes_on().moment_us / 1e6

    def _elapsed_us(self) -> int:
        return round(self.world.monotonic() * 1e6)

    def read(
        self, host_us: int, offset_us: int, high_us: int, passed_us: int, switched: int
    ) -> Reading:
        """Return the moment of a transaction that reads the clock's row so."""
        with self._lock:
            if switched > self.switched:
                self.switched, self._lead, self._mark_us = switched, Count(0, 0), high_us
                self._standing = Count(high_us, passed_us) if _is_odd(switched) else None
            if self._standing is not None:
                self._ahead_us = 0
                # Advances move it on.
                self._standing = Count(
                    max(self._standing.moment_us, high_us), max(self._standing.passed_us, passed_us)
                )
                return _reading(self._standing)
            if switched < self.switched:
                # A snapshot of before the switch, which is still being read; or a switch that was
                # not committed.
                moment_us = high_us if _is_odd(switched) else max(host_us + offset_us, high_us)
                return _reading(Count(moment_us, passed_us or moment_us))
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
        return self.read(self.host_us() if self._is_host else row[0], *row[1:5])

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
            values = {"moment": now.moment_us, "passed": now.passed_us, "known": self.switched}
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
