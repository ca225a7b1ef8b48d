"""One connection to PostgreSQL, and one transaction on it: begun, undone, committed, run again.

The rules, and the histories they prevent:

1. Nothing leaves before COMMIT returned, be it a result, a replay or a refusal.
2. A refusal waits, as a COMMIT does, until a synchronous standby has what it saw. (A delete
   commits, its wait is cancelled, its caller hears 503 and asks again; "there is no such thing"
   would be the last word, and then the standby takes over, which never heard of the delete.)
3. A COMMIT that fails, answers something else, or warns that a standby may not have it, is an
   unknown outcome; the connection is dropped.
4. Whoever loses a race to another transaction, or its connection before the COMMIT, runs again:
   what it did is undone, and it then sees what it lost to.
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
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.pgconnect import is_unusable
from sametoken.store.port import Stale, Tx
from sametoken.store.statements import Straight
from sametoken.world import World, mint_neighbourhood

log = logging.getLogger(__name__)
T = TypeVar("T")

# What another transaction can do to one, by SQLSTATE: it serialised before us, it was in a circle
# of waits with us, it took the key that we were about to take.
_RACES = frozenset({"40001", "40P01", "23505"})
# Each time the winner has committed; who loses this often stands in a crowd, and shall come back.
TRIES_MAX = 5
# Who a commit waits for, "" nobody; and a mark in the log whose commit does, and changes nothing.
_STANDBYS = "SELECT current_setting('synchronous_standby_names', true)"
_MARK = "SELECT pg_logical_emit_message(true, 'sametoken', '')"
_COMMIT_UNSURE = "the commit is not known to be safe on the standby"


class PostgresqlSession:
    """One connection, reopened after a failure that may have damaged it."""

    def __init__(self, engine: sa.Engine, world: World, pace: clock.Pace) -> None:
        self._engine = engine
        self._world = world
        self._pace = pace
        self._connection: sa.Connection | None = None
        # The driver's own, which SQLAlchemy no longer gives away once it has seen it break.
        self._raw: psycopg.Connection[Any] | None = None
        self._warned = False

    def begin(self, mode: str = "ISOLATION LEVEL READ COMMITTED READ WRITE") -> Tx:
        """Open a transaction; on a new connection if the kept one is of no use any more.

        Raises the errors of the database; nothing has run then.
        """
        kept = self._connection is not None
        try:
            return self._begin(mode)
        except DatabaseErrors:
            self.reopen()
            if not kept:
                raise
            # The server may be back already, or another be in its place.
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
        return Tx(self._connection, now, self._world, near=mint_neighbourhood(self._world))

    def _heed(self, notice: psycopg.errors.Diagnostic) -> None:
        self._warned = self._warned or notice.severity_nonlocalized == "WARNING"

    def check_stands(self) -> None:
        """Raise if the connection broke under a function that took no notice of it."""
        if not self.in_transaction():
            lost = psycopg.OperationalError("the connection was lost")
            raise sa.exc.OperationalError("-", None, lost)

    def commit(self) -> None:
        """Raises unless the commit is known to be durable: then its outcome is unknown."""
        self._check_commit(self._command("COMMIT").statusmessage)

    def confirm(self) -> None:
        """After `undo`: wait until a synchronous standby has all that the transaction saw.

        Raises, as `commit` does, when that is not known.
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
        """Roll back whatever is open; a connection that cannot is dropped."""
        try:
            if self.in_transaction():
                self._command("ROLLBACK")
        except DatabaseErrors:
            self.reopen()

    def _command(self, sql: str) -> psycopg.Cursor[Any]:
        """Run transaction control. Raises the errors of SQLAlchemy, as all else does."""
        assert self._raw is not None, "begin() comes first"
        self._warned = False
        try:
            return self._raw.execute(sql.encode())
        except psycopg.Error as error:
            raise sa.exc.OperationalError(sql, None, error) from error

    def _check_commit(self, status: str | None) -> None:
        """A COMMIT that returned may still not be one: each such case is an unknown outcome."""
        if status != "COMMIT":
            raise sa.exc.OperationalError("COMMIT", None, Exception(f"it answered {status}"))
        if self._warned:
            # With a synchronous standby, a wait that is cancelled answers with success and a
            # warning: what committed here may be gone after a failover.
            raise sa.exc.OperationalError("COMMIT", None, Exception(_COMMIT_UNSURE))

    def in_transaction(self) -> bool:
        # Of a connection that is closed, or broke, the status is neither.
        status = None if self._raw is None else self._raw.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def keep_clock(self, *, at_once: bool = False) -> None:
        """Between two transactions: raise the clock's mark, if it is time to.

        A failure is nobody's: what committed before it stays so, and the next one tries again.
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
        """Drop the connection, and with it whatever was uncommitted; the next begin connects."""
        connection, self._connection, self._raw = self._connection, None, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def run_alone(
    session: PostgresqlSession, fn: Callable[[Tx], T], announce: Callable[[set[str]], None]
) -> T:
    """Run `fn` in a transaction, again while it loses races; its value after the commit.

    Raises what `fn` raised, undone, or `Transient`. `announce` hears of what a commit woke.
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
    """Did the database itself say no, for a reason that is not the rows'?"""
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
