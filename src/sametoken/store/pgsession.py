"""A session on PostgreSQL: a connection, and the transaction on it: begin, undo, commit, retry.

The rules, and the histories they prevent:

1. No result, replay or refusal is handed out before COMMIT has returned.
2. A refusal waits, as a COMMIT does, until a synchronous standby has everything the transaction
   read. (A delete commits, but its wait for the standby is cancelled; its caller gets a 503 and
   asks again. If that were answered "does not exist", the caller would stop asking. Then the
   standby, which never received the delete, takes over, and the resource is back.)
3. A COMMIT has an unknown outcome if it fails, returns another status, or warns that a standby may
   not have it. The connection is then dropped.
4. A transaction runs again if it loses a race, or loses its connection before the COMMIT. Its
   effects have been undone, and the next run sees the rows that won the race.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from sametoken import faults
from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.store import clock
from sametoken.store.cache import Cache
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.pgconnect import is_unusable
from sametoken.store.port import Stale, Tx
from sametoken.store.statements import Straight
from sametoken.world import World, mint_neighbourhood

log = logging.getLogger(__name__)
T = TypeVar("T")

# SQLSTATEs of races lost to another transaction: a serialization failure, a deadlock, and a key
# that the other one inserted first, or a counter of which it took the last.
_RACES = frozenset({"40001", "40P01", "23505", "23502"})
# Runs of one transaction. Each lost race means that another one committed. After this many, the
# rows are too contended, and the caller gets a retryable 503.
TRIES_MAX = 5
# _STANDBYS reads the names of the synchronous standbys ("" for none). _MARK writes a WAL record
# that changes no data; committing it waits for those standbys, as every commit does.
_STANDBYS = "SELECT current_setting('synchronous_standby_names', true)"
_MARK = "SELECT pg_logical_emit_message(true, 'sametoken', '')"
_COMMIT_UNSURE = "the commit is not known to be safe on the standby"


class PostgresqlSession:
    """A connection to the server, reopened after a failure that may have damaged it."""

    def __init__(self, engine: sa.Engine, world: World, pace: clock.Pace, cache: Cache) -> None:
        self._engine = engine
        self._world = world
        self._pace = pace
        self._cache = cache
        # The start of the server that the last transaction was begun on. See `kept.Lives`.
        self.life = 0
        self._connection: sa.Connection | None = None
        # The driver's connection. SQLAlchemy no longer hands it out once it has seen it break.
        self._raw: psycopg.Connection[Any] | None = None
        self._warned = False

    def begin(self, mode: str = "ISOLATION LEVEL READ COMMITTED READ WRITE") -> Tx:
        """Open a transaction, on a new connection if the kept one no longer works.

        Raises the database's errors; no statement has run then.
        """
        kept = self._connection is not None
        try:
            return self._begin(mode)
        except DatabaseErrors:
            self.reopen()
            if not kept:
                raise
            # The server may have restarted by now, or another may have replaced it.
            return self._begin(mode)

    def _begin(self, mode: str) -> Tx:
        if self._connection is None:
            self._connection = Straight(self._engine)
            raw = self._connection.connection.dbapi_connection
            self._raw = cast("psycopg.Connection[Any]", raw)
            self._raw.add_notice_handler(self._heed)
        told = self._command(f"BEGIN {mode}; {clock.READ_WITH_HOST}")
        told.nextset()
        read = told.fetchone()
        assert read is not None, "the clock has its row"
        now = self._pace.moment(read)
        near = mint_neighbourhood(self._world)
        self.life = read[3]
        return Tx(self._connection, now, self._world, near=near, cache=self._cache)

    def _heed(self, notice: psycopg.errors.Diagnostic) -> None:
        self._warned = self._warned or notice.severity_nonlocalized == "WARNING"

    def check_stands(self) -> None:
        """Raise if the connection broke and the function that used it swallowed the error."""
        if not self.in_transaction():
            lost = psycopg.OperationalError("the connection was lost")
            raise sa.exc.OperationalError("-", None, lost)

    def commit(self) -> None:
        """Commit. Raises unless the commit is known to be durable; its outcome is then unknown."""
        self._check_commit(self._command("COMMIT").statusmessage)

    def confirm(self) -> None:
        """After `undo`: wait until a synchronous standby has all that the transaction read.

        Raises, as `commit` does, if it is not known that the standby has it.
        """
        if self._raw is None:
            raise sa.exc.OperationalError("-", None, Exception("the connection was lost"))
        named = self._command(_STANDBYS).fetchone()
        if named is None or not named[0]:
            return
        self._command(_MARK)
        if self._warned:
            raise sa.exc.OperationalError("-", None, Exception(_COMMIT_UNSURE))

    def undo(self) -> None:
        """Roll back the open transaction, if any. Drops the connection if that fails."""
        try:
            if self.in_transaction():
                self._command("ROLLBACK")
        except DatabaseErrors:
            self.reopen()

    def _command(self, sql: str) -> psycopg.Cursor[Any]:
        """Run a transaction command. Raises SQLAlchemy's errors, like every other statement."""
        assert self._raw is not None, "begin() comes first"
        self._warned = False
        try:
            return self._raw.execute(sql.encode())
        except psycopg.Error as error:
            raise sa.exc.OperationalError(sql, None, error) from error

    def _check_commit(self, status: str | None) -> None:
        """Raise if a COMMIT returned without committing durably: its outcome is unknown then."""
        if status != "COMMIT":
            raise sa.exc.OperationalError("COMMIT", None, Exception(f"it answered {status}"))
        if self._warned:
            # With a synchronous standby, a COMMIT whose wait is cancelled returns success and a
            # warning: the transaction committed here, but may be gone after a failover.
            raise sa.exc.OperationalError("COMMIT", None, Exception(_COMMIT_UNSURE))

    def in_transaction(self) -> bool:
        # A closed or broken connection has neither of these statuses.
        status = None if self._raw is None else self._raw.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def keep_clock(self, *, at_once: bool = False) -> None:
        """Between two transactions: raise the clock's mark if it is due.

        A failure is only logged: no caller's commit depends on it, and the next call tries again.
        """
        if self._connection is None or self._raw is None or self.in_transaction():
            return
        try:
            if not self._raw.closed:
                self._pace.keep(self._connection, at_once=at_once)
        except DatabaseErrors as error:
            log.warning("the clock's mark cannot be raised: %s", error)
            self.reopen()

    def reopen(self) -> None:
        """Drop the connection and any uncommitted work on it; the next `begin` connects anew."""
        connection, self._connection, self._raw = self._connection, None, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def run_alone(
    session: PostgresqlSession, fn: Callable[[Tx], T], announce: Callable[[set[str]], None]
) -> T:
    """Run `fn` in a transaction, and again if it loses a race; return its value after the commit.

    Raises the error that `fn` raised, with its effects undone, or `Transient`. `announce` is called
    with the channels that the commit woke.
    """
    tries = 0
    while True:
        tries += 1
        tx = _begun(session)
        try:
            value = fn(tx)
            session.check_stands()
        except Exception as error:
            session.undo()
            lost = is_unusable(error)
            if lost:
                session.reopen()
            if tries < TRIES_MAX and (lost or _lost_a_race(error)):
                continue
            if lost or _is_refusal(error):
                raise Transient(f"the database refused: {error}") from error
            if isinstance(error, ServiceError):
                _confirm(session)
            raise
        except BaseException:
            session.undo()
            raise
        _commit(session)
        announce(tx.channels)
        return value


def _is_refusal(error: Exception) -> bool:
    """Did the database refuse, for a reason other than a broken constraint?"""
    return isinstance(error, DatabaseErrors) and not isinstance(error, sa.exc.IntegrityError)


def _begun(session: PostgresqlSession) -> Tx:
    try:
        return session.begin()
    except DatabaseErrors as error:
        log.warning("cannot begin a transaction: %s", error)
        session.reopen()
        raise Transient(f"the database is not writable: {error}", ran=False) from error


def _commit(session: PostgresqlSession) -> None:
    try:
        faults.reach(Point.STORE_BEFORE_COMMIT)
        session.commit()
    except DatabaseErrors as error:
        log.warning("COMMIT failed: %s", error)
        session.reopen()
        raise Transient(f"the commit failed: {error}") from error
    faults.reach(Point.STORE_COMMITTED)


def _confirm(session: PostgresqlSession) -> None:
    try:
        session.confirm()
    except DatabaseErrors as error:
        log.warning("a refusal is not known to be safe: %s", error)
        session.reopen()
        raise Transient(f"the database refused: {error}") from error


def _lost_a_race(error: Exception) -> bool:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, Stale) or state in _RACES
