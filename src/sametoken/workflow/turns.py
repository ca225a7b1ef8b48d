"""Turns: which work is leased next. Accounts share each lease, however much one of them has due.

An account's due work is found by an index, account by account, without walking past the work of
others. A lease begins after the account that was last in the one before, so that it is the turn of
each account in time, also where more of them have work than a lease has room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.dialects import POSTGRESQL, SQLITE, ByDialect, given, of_many
from sametoken.store.port import Tx
from sametoken.workflow.history import What, mark, milliseconds
from sametoken.workflow.work import LEASE, WORK, Work, read_work

_IS_FREE = "due_at <= :now AND (lease_until IS NULL OR lease_until <= :now)"
# The account that follows another among those with due work: one step in the index `work_turn`.
_NEXT = """
    SELECT account FROM work WHERE account > {after} AND {within} AND {free} ORDER BY account
"""
# TURNS lists at most `limit` accounts with due work: those after `after`, then those up to it.
_TURNS = """
WITH RECURSIVE later (account, place) AS (
    SELECT ({first_later} LIMIT 1), 1
    UNION ALL
    SELECT ({next_later} LIMIT 1), place + 1 FROM later WHERE account IS NOT NULL AND place < :limit
), earlier (account, place) AS (
    SELECT ({first_earlier} LIMIT 1), 1
    UNION ALL
    SELECT ({next_earlier} LIMIT 1), place + 1 FROM earlier
    WHERE account IS NOT NULL AND place < :limit
), turns (account) AS (
    SELECT account FROM (
        SELECT account, 1 AS half FROM later UNION ALL SELECT account, 2 AS half FROM earlier
    ) AS both_halves
    WHERE account IS NOT NULL ORDER BY half, account LIMIT :limit
)
"""
# An account gets an equal share of the lease, of what fell due first.
_SHARE = """
    SELECT {columns} FROM work AS one WHERE one.account = turns.account AND {free}
    ORDER BY one.due_at LIMIT (SELECT :limit / count(*) FROM turns)
"""
_LEASED = {
    SQLITE: """
    SELECT {leased} FROM turns JOIN work ON work.instance IN ({share})
    ORDER BY work.due_at, work.instance
""",
    POSTGRESQL: """
    SELECT {leased} FROM turns CROSS JOIN LATERAL ({share} FOR UPDATE SKIP LOCKED) AS work
    ORDER BY work.due_at, work.instance
""",
}


def _next(dialect: str, after: str, within: str) -> str:
    return _NEXT.format(after=after, within=within, free=_IS_FREE)


def _due(dialect: str) -> sa.Executable:
    turns = _TURNS.format(
        first_later=_next(dialect, ":after", "true"),
        next_later=_next(dialect, "later.account", "true"),
        first_earlier=_next(dialect, "''", "account <= :after"),
        next_earlier=_next(dialect, "earlier.account", "account <= :after"),
    )
    names = [column.name for column in WORK.c]
    columns = "one.instance" if dialect == SQLITE else ", ".join(f"one.{name}" for name in names)
    share = _SHARE.format(columns=columns, free=_IS_FREE)
    # By name: a newer program may have added columns.
    leased = ", ".join(f"work.{name}" for name in names)
    text = sa.text(turns + _LEASED[dialect].format(share=share, leased=leased))
    moments = sa.bindparam("now", type_=Moment), sa.bindparam("after", type_=sa.String)
    return text.bindparams(*moments).columns(*WORK.c)


_DUE = ByDialect(_due)
_TAKE = of_many(
    {"instance": sa.String},
    lambda dialect, one: (
        sa.update(WORK)
        .where(WORK.c.instance == one.instance)
        .values(
            generation=WORK.c.generation + 1,
            lease_until=sa.bindparam("w_until"),
            owner=sa.bindparam("w_owner"),
        )
    ),
)
# TELL is for what was taken over: its new owner may end without a record as well.
_TELL = (
    sa.update(WORK)
    .where(WORK.c.instance == sa.bindparam("w_instance"))
    .values(history=sa.bindparam("w_history"))
)
_FREE = sa.or_(WORK.c.lease_until.is_(None), WORK.c.lease_until <= sa.bindparam("now"))
_IS_DUE = sa.select(WORK.c.instance).where(WORK.c.due_at <= sa.bindparam("now"), _FREE).limit(1)
# `next_due` needs two queries, because thousands of rows may wait for their machines to boot. The
# first query stops at the first row of the index that is not leased. The second reads only rows
# that are due, which are few, because only leased work stays due for long.
_NEXT_UNLEASED = (
    sa.select(WORK.c.due_at)
    .where(WORK.c.due_at.is_not(None), WORK.c.lease_until.is_(None))
    .order_by(WORK.c.due_at)
    .limit(1)
)
_NEXT_RELEASED = sa.select(sa.func.min(WORK.c.lease_until)).where(
    WORK.c.due_at <= sa.bindparam("now"), WORK.c.lease_until.is_not(None)
)
# `_WAITING` has what is due and not done, leased or not; `_LATER` is the next moment after that.
_WAITING = (
    sa.select(WORK.c.instance)
    .where(WORK.c.due_at <= sa.bindparam("now"))
    .order_by(WORK.c.due_at)
    .limit(sa.bindparam("limit"))
)
_STANDING = sa.select(
    sa.func.count().label("due"),
    sa.func.min(WORK.c.due_at).label("oldest_at"),
    sa.func.count().filter(WORK.c.lease_until > sa.bindparam("now")).label("leased"),
).where(WORK.c.due_at <= sa.bindparam("now"))
_LATER = sa.select(sa.func.min(WORK.c.due_at)).where(WORK.c.due_at > sa.bindparam("now"))


@dataclass(frozen=True, slots=True)
class Standing:
    """The work that is due: how much, since when the first of it, and how much has an owner."""

    due: int
    oldest_at: datetime | None
    leased: int

    def oldest_seconds(self, now: datetime) -> float:
        return 0.0 if self.oldest_at is None else (now - self.oldest_at).total_seconds()


def standing(tx: Tx) -> Standing:
    """Count the work that is due. Reads as much of an index as there is."""
    found = tx.execute(_STANDING, {"now": tx.now}).one()
    return Standing(found.due, found.oldest_at, found.leased)


def is_due(tx: Tx) -> bool:
    """Is there due work to lease? Reads only."""
    return tx.execute(_IS_DUE, {"now": tx.now}).first() is not None


def next_due(tx: Tx) -> datetime | None:
    """Return when the next work is due or its lease runs out; None if there is no work."""
    moments: list[datetime | None] = [
        tx.execute(_NEXT_UNLEASED).scalar(),
        tx.execute(_NEXT_RELEASED, {"now": tx.now}).scalar(),
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def waiting(tx: Tx, limit: int) -> list[str]:
    """List instances whose work is due and not done, at most so many; an owner may be at it."""
    found = tx.execute(_WAITING, {"now": tx.now, "limit": limit})
    return [row.instance for row in found]


def due_later(tx: Tx) -> datetime | None:
    """Return when the next work falls due that is not due yet; None if there is none."""
    found: datetime | None = tx.execute(_LATER, {"now": tx.now}).scalar()
    return found


def lease(tx: Tx, limit: int, after: str = "", node: str = "") -> list[Work]:
    """Lease at most `limit` due rows for `node`, each with a higher generation than any before.

    Accounts after `after` come first, then the others from the start. Rows that another node is
    leasing at the moment are left to it.
    """
    found = tx.execute(_DUE, {"now": tx.now, "limit": limit, "after": after})
    due = [read_work(row) for row in found]
    if due:
        take(tx, [work.instance for work in due], node)
    leased = [_owned(work, node, tx.now) for work in due]
    taken = [new for old, new in zip(due, leased, strict=True) if old.owner is not None]
    if taken:
        told = [{"w_instance": one.instance, "w_history": one.history} for one in taken]
        tx.execute(_TELL, told)
    return leased


def take(tx: Tx, instances: Sequence[str], node: str = "") -> None:
    """Make `node` the only owner of these rows, which the caller must have locked."""
    rows = ([id] for id in instances)
    tx.execute(_TAKE, given(rows, w_until=tx.now + LEASE, w_owner=node))


def _owned(work: Work, node: str, now: datetime) -> Work:
    """Return work as its new owner holds it, and its history says so."""
    generation = work.generation + 1
    if work.owner is None:
        told = mark(What.OWNER, generation, node)
    else:
        told = mark(What.TAKEN, milliseconds(now), generation, node, work.owner)
    return replace(work.noting(told), generation=generation, owner=node, left_by=work.owner)


def last_turn(leased: Sequence[Work], after: str) -> str:
    """Return the account that was last to get its share, of a lease that began after `after`."""
    accounts = {work.account for work in leased}
    return max((one for one in accounts if one <= after), default=max(accounts, default=after))
