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
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

from sametoken import faults
from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.store import clock
from sametoken.store.cache import Cache
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.pgconnect import is_unusable
from sametoken.store.pgpipe import Pipe, Piped
from sametoken.store.port import Stale, Tx
from sametoken.world import World, mint_neighbourhood

log = logging.getLogger(__name__)
T = TypeVar("T")

# SQLSTATEs of races lost to another transaction: a serialization failure, a deadlock, and a key
# that the other one inserted first. A counter of which it took the last is one too.
_RACES = frozenset({"40001", "40P01", "23505"})
# SQLSTATE and table of a debit that was lost to another; a NULL elsewhere is a bug.
_LOST_DEBIT = ("23502", "counter")
# Runs of one transaction. Each lost race means that another one committed. After this many, the
# rows are too contended, and the caller gets a retryable 503.
TRIES_MAX = 5
# _STANDBYS reads the names of the synchronous standbys ("" for none). _MARK writes a WAL record
# that changes no data; committing it waits for those standbys, as every commit does.
_STANDBYS = "SELECT current_setting('synchronous_standby_names', true)"
_MARK = "SELECT pg_logical_emit_message(true, 'sametoken', '')"
_COMMIT_UNSURE = "the commit is not known to be safe on the standby"


class Unsure(Exception):
    """A COMMIT was sent, and it is not known whether it took effect."""


class PostgresqlSession:
    """A connection to the server, reopened after a failure that may have damaged it."""

    def __init__(self, engine: sa.Engine, world: World, pace: clock.Pace, cache: Cache) -> None:
        self._engine = engine
        self._world = world
        self._pace = pace
        self._cache = cache
        # The start of the server that the last transaction was begun on. See `kept.Lives`.
        self.life = 0
        self._connection: Piped | None = None

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
        connection = self._connection
        if connection is None:
            connection = self._connection = Piped(self._engine)
        pipe = connection.pipe
        begun = pipe.send(f"BEGIN {mode}")
        [read] = pipe.send(clock.READ_WITH_HOST).fetchall()
        if begun.warned:
            raise _error("BEGIN", "a transaction was left open")
        moment = self._pace.moment(read)
        near = mint_neighbourhood(self._world)
        self.life = read[5]
        return Tx(
            connection, moment.now, self._world, moment.leapt,
            near=near, cache=self._cache, checks=[],
        )  # fmt: skip

    def check_stands(self) -> None:
        """Raise if the connection broke and the function that used it swallowed the error."""
        if self._connection is None or self._connection.pipe.is_lost:
            raise _error("-", "the connection was lost")

    def commit(self) -> None:
        """Commit, with all that is under way.

        Raises the error of a statement that failed before: the server has then skipped the COMMIT.
        Raises `Unsure` unless the commit is known to be durable.
        """
        pipe = self._pipe()
        try:
            done = pipe.send("COMMIT")
        except DatabaseErrors as error:
            raise Unsure(error) from error
        try:
            pipe.settle()
        except DatabaseErrors as error:
            if done.skipped:
                raise
            raise Unsure(error) from error
        if done.command != "COMMIT":
            raise Unsure(f"COMMIT answered {done.command}")
        if done.warned:
            # With a synchronous standby, a COMMIT whose wait is cancelled returns success and a
            # warning: the transaction committed here, but may be gone after a failover.
            raise Unsure(_COMMIT_UNSURE)

    def confirm(self) -> None:
        """After `undo`: wait until a synchronous standby has all that the transaction read.

        Raises, as `commit` does, if it is not known that the standby has it.
        """
        pipe = self._pipe()
        [[named]] = pipe.send(_STANDBYS).fetchall()
        if named:
            pipe.send("BEGIN")
            pipe.send(_MARK)
            self.commit()

    def undo(self, tx: Tx, why: BaseException) -> BaseException:
        """Roll back, and drop the connection if that fails or is broken. Returns why this is done.

        That is `why`, or what has failed before it was raised and was not looked at.
        """
        cause = why if isinstance(why, DatabaseErrors) else _late_error(tx) or why
        try:
            self._pipe().send("ROLLBACK").fetchall()
        except DatabaseErrors:
            self.reopen()
        if is_unusable(cause):
            self.reopen()
        return cause

    def end_read(self) -> None:
        """End a transaction that only read. Its answer is read before the next one."""
        try:
            pipe = self._pipe()
            pipe.send("ROLLBACK")
            pipe.flush()
        except DatabaseErrors:
            self.reopen()

    def _pipe(self) -> Pipe:
        if self._connection is None:
            raise _error("-", "the connection was lost")
        return self._connection.pipe

    def keep_clock(self, *, at_once: bool = False) -> None:
        """Between two transactions: raise the clock's mark if it is due.

        A failure is only logged: no caller's commit depends on it, and the next call tries again.
        """
        connection = self._connection
        if connection is None or connection.pipe.is_lost:
            return
        try:
            self._pace.keep(connection, at_once=at_once)
        except DatabaseErrors as error:
            log.warning("the clock's mark cannot be raised: %s", error)
            self.reopen()

    def reopen(self) -> None:
        """Drop the connection and any uncommitted work on it; the next `begin` connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _late_error(tx: Tx) -> Exception | None:
    assert isinstance(tx.connection, Piped)
    try:
        tx.connection.pipe.settle()
        tx.see()
    except (Stale, AssertionError, *DatabaseErrors) as error:
        return error
    return None


def _error(sql: str, why: str) -> sa.exc.OperationalError:
    return sa.exc.OperationalError(sql, None, psycopg.OperationalError(why))


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
            _commit(session, tx)
        except Unsure as unsure:
            raise _unknown(session, unsure) from unsure
        except BaseException as raised:
            error = session.undo(tx, raised)
            lost = is_unusable(error)
            if tries < TRIES_MAX and (lost or _lost_a_race(error)):
                continue
            if lost or _is_refusal(error):
                raise Transient(f"the database refused: {error}") from error
            if isinstance(error, ServiceError):
                _confirm(session)
            if error is raised:
                raise
            raise error from raised
        _committed(tx, announce)
        return value


def run_shared(
    session: PostgresqlSession,
    fns: Sequence[Callable[[Tx], Any]],
    announce: Callable[[set[str]], None],
) -> list[Any] | None:
    """Run functions one after another in one transaction; return their values after the commit.

    None if one of them raised, or anything else went wrong before the commit: none has taken effect
    then, and each is to run alone, so that its error is its own. Raises `Transient`.
    """
    tx = _begun(session)
    tx.is_shared = True
    try:
        values = [fn(tx) for fn in fns]
        _commit(session, tx)
    except Unsure as unsure:
        raise _unknown(session, unsure) from unsure
    except BaseException as raised:
        error = session.undo(tx, raised)
        if not isinstance(error, Exception):
            raise
        log.info("%r: %d transactions run one by one", error, len(fns))
        return None
    _committed(tx, announce)
    return values


def _commit(session: PostgresqlSession, tx: Tx) -> None:
    tx.finish()
    session.check_stands()
    faults.reach(Point.STORE_BEFORE_COMMIT)
    session.commit()


def _committed(tx: Tx, announce: Callable[[set[str]], None]) -> None:
    faults.reach(Point.STORE_COMMITTED)
    announce(tx.channels)


def _unknown(session: PostgresqlSession, unsure: Unsure) -> Transient:
    log.warning("COMMIT failed: %s", unsure)
    session.reopen()
    return Transient(f"the commit failed: {unsure}")


def _is_refusal(error: BaseException) -> bool:
    """Did the database refuse, for a reason other than a broken constraint?

    A lost debit is none, though the database calls it so: its caller may come back.
    """
    if isinstance(error, sa.exc.IntegrityError):
        return _is_lost_debit(error)
    return isinstance(error, DatabaseErrors)


def _begun(session: PostgresqlSession) -> Tx:
    try:
        return session.begin()
    except DatabaseErrors as error:
        log.warning("cannot begin a transaction: %s", error)
        session.reopen()
        raise Transient(f"the database is not writable: {error}", ran=False) from error


def _confirm(session: PostgresqlSession) -> None:
    try:
        session.confirm()
    except (Unsure, *DatabaseErrors) as error:
        log.warning("a refusal is not known to be safe: %s", error)
        session.reopen()
        raise Transient(f"the database refused: {error}") from error


def _lost_a_race(error: BaseException) -> bool:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, Stale) or state in _RACES or _is_lost_debit(error)


def _is_lost_debit(error: BaseException) -> bool:
    told = getattr(error, "orig", None)
    return isinstance(told, psycopg.Error) and (told.sqlstate, told.diag.table_name) == _LOST_DEBIT
