"""Group commit on SQLite: many transactions in one commit, each in a savepoint of its own.

The rules, and the histories they prevent:

1. No result, replay or refusal is handed out before COMMIT has returned: a replay handed out early
   would acknowledge rows that a crash then takes away.
2. After any error, ask SQLite whether the transaction is still open. Disk full, an I/O error and an
   interrupt roll back *everything*; the next SAVEPOINT would then open a transaction of its own,
   and the members before it would be acknowledged although they are gone.
3. If the transaction was lost, every member runs once more, alone, so that only the member that
   caused it fails.
4. If COMMIT fails, every caller is told that the outcome is unknown, and the connection is
   reopened.
5. Writes that nobody looks at are gathered, and made for several members at once before COMMIT
   (`store.gathering`). If one fails, it is not known whose it is: rule 3 applies. A member that
   runs alone makes its own before it ends, so that the error is its own.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from sametoken import faults
from sametoken.errors import Transient
from sametoken.faults import Point
from sametoken.store.jobs import Job
from sametoken.store.port import Tx

log = logging.getLogger(__name__)

DatabaseErrors = (sa.exc.DBAPIError, sqlite3.Error)


class Session(Protocol):
    """A connection whose BEGIN and COMMIT are driven by the batch."""

    def begin(self) -> None: ...
    def transaction(self) -> Tx:
        """Make a `Tx` of the open transaction; each member gets one, with channels of its own."""
        ...

    def command(self, sql: str) -> None: ...
    def flush(self) -> None:
        """Write all that is gathered. Raises if that failed, now or before."""
        ...

    def in_transaction(self) -> bool: ...
    def met(self, error: Exception) -> None:
        """Take note of an error of the database."""
        ...

    def reopen(self) -> None: ...


@dataclass(slots=True)
class _Fate:
    """The end of one member: a value, or the error to raise to its caller."""

    value: Any = None
    error: Exception | None = None


class _TransactionLost(Exception):
    """The database rolled back the whole transaction by itself."""


def run_batch(
    session: Session, jobs: Sequence[Job], announce: Callable[[set[str]], None]
) -> list[int]:
    """Run all `jobs` and settle their futures. Their errors go to the futures and are not raised.

    `announce` is called after the commit with the channels that its members woke. Returns how many
    jobs each commit had.
    """
    if not jobs:
        return []
    try:
        return _run_all(session, jobs, announce)
    except Exception:
        # A bug of ours ends the writer. Tell its callers, who would otherwise wait for ever.
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(Transient("the writer broke down"))
        raise


def _run_all(
    session: Session, jobs: Sequence[Job], announce: Callable[[set[str]], None]
) -> list[int]:
    try:
        return [len(jobs)] if _run_together(session, jobs, announce) else []
    except _TransactionLost as lost:
        log.warning("transaction lost (%s); running its %d members alone", lost, len(jobs))
        session.reopen()
        return [1 for job in jobs if _run_alone(session, job, announce)]


def _run_alone(session: Session, job: Job, announce: Callable[[set[str]], None]) -> bool:
    def run(tx: Tx) -> Any:
        value = job.fn(tx)
        session.flush()
        return value

    try:
        return _run_together(session, [Job(run, job.future)], announce)
    except _TransactionLost as lost:
        session.reopen()
        job.future.set_exception(Transient(f"the database gave up: {lost}"))
        return False


def _run_together(
    session: Session, jobs: Sequence[Job], announce: Callable[[set[str]], None]
) -> bool:
    """Run all in one transaction, and settle them unless it is lost. True if it was committed."""
    try:
        session.begin()
    except DatabaseErrors as error:
        session.met(error)
        log.warning("cannot begin a transaction: %s", error)
        session.reopen()
        _settle_all(jobs, Transient(f"the database is not writable: {error}", ran=False))
        return False
    channels: set[str] = set()
    fates = [run_member(session, job, channels) for job in jobs]
    try:
        session.flush()
    except DatabaseErrors as error:
        raise _TransactionLost(error) from error
    try:
        faults.reach(Point.STORE_BEFORE_COMMIT)
        session.command("COMMIT")
    except DatabaseErrors as error:
        session.met(error)
        log.warning("COMMIT failed: %s", error)
        session.reopen()
        _settle_all(jobs, Transient(f"the commit failed: {error}"))
        return False
    faults.reach(Point.STORE_COMMITTED)
    if channels:
        announce(channels)
    for job, fate in zip(jobs, fates, strict=True):
        if fate.error is None:
            job.future.set_result(fate.value)
        else:
            job.future.set_exception(fate.error)
    return True


def run_member(session: Session, job: Job, channels: set[str]) -> _Fate:
    try:
        session.command("SAVEPOINT member")
        tx = session.transaction()
        value = job.fn(tx)
        session.command("RELEASE member")
    except Exception as error:  # noqa: BLE001 - a member's error is its caller's, whatever it is
        session.met(error)
        undo_member(session, error)
        if isinstance(error, DatabaseErrors) and not isinstance(error, sa.exc.IntegrityError):
            return _Fate(error=Transient(f"the database refused: {error}"))
        return _Fate(error=error)
    channels |= tx.channels
    return _Fate(value=value)


def undo_member(session: Session, error: Exception) -> None:
    if not session.in_transaction():
        raise _TransactionLost(error) from error
    try:
        session.command("ROLLBACK TO member")
        session.command("RELEASE member")
    except DatabaseErrors as undoing:
        raise _TransactionLost(undoing) from error
    if not session.in_transaction():
        # The savepoint was the outermost: the transaction had been lost before SAVEPOINT was sent.
        raise _TransactionLost("its savepoint stood alone") from error


def _settle_all(jobs: Sequence[Job], error: Transient) -> None:
    for job in jobs:
        job.future.set_exception(error)
