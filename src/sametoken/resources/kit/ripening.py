"""Steps that resources take by themselves after a while, such as creating → available.

A step is a row, written by the transaction that makes the resource and due by the store's clock, so
it survives a crash and happens once. If the resource leaves the step's starting state before then,
the step is dropped.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import KINDS
from sametoken.resources.kit.rows import Row
from sametoken.store.columns import Moment
from sametoken.store.port import Tx

metadata = sa.MetaData()

# The channel that wakes the thread which takes due steps.
CHANNEL = "ripening"
# The most steps that are taken in one transaction.
RIPE_MAX = 100

RIPENING = sa.Table(
    "ripening",
    metadata,
    sa.Column("resource", sa.String(64), primary_key=True),
    sa.Column("from_state", sa.String(32), nullable=False),
    sa.Column("to_state", sa.String(32), nullable=False),
    sa.Column("cause", sa.String(300), nullable=False),
    sa.Column("due_at", Moment, nullable=False),
    sa.Index("ripening_due", "due_at"),
)

_DUE = (
    sa.select(RIPENING)
    .where(RIPENING.c.due_at <= sa.bindparam("now"))
    .order_by(RIPENING.c.due_at)
    .limit(RIPE_MAX)
    .with_for_update(skip_locked=True)
)
_PLAN = sa.insert(RIPENING)
_NEXT = sa.select(RIPENING.c.due_at).order_by(RIPENING.c.due_at).limit(1)
_RIPE = (
    sa.select(RIPENING.c.resource)
    .where(RIPENING.c.due_at <= sa.bindparam("now"))
    .order_by(RIPENING.c.due_at)
    .limit(RIPE_MAX)
)
_LATER = sa.select(sa.func.min(RIPENING.c.due_at)).where(RIPENING.c.due_at > sa.bindparam("now"))
_FORGET = sa.delete(RIPENING).where(RIPENING.c.resource == sa.bindparam("resource"))


def plan(tx: Tx, row: Row, to_state: str, seconds: float, *, cause: str) -> None:
    """Have `row` go from its state to `to_state` in `seconds`, unless it goes elsewhere first."""
    kind = KINDS[row.kind]
    assert to_state in kind.transitions[row.state], f"{row.id}: {row.state} never is {to_state}"
    tx.execute(_FORGET, {"resource": row.id})
    tx.execute(
        _PLAN,
        {
            "resource": row.id,
            "from_state": row.state,
            "to_state": to_state,
            "cause": cause,
            "due_at": tx.now + timedelta(seconds=seconds),
        },
    )
    tx.wake(CHANNEL)


def ripen_due(tx: Tx) -> int:
    """Take the steps that are due, at most `RIPE_MAX`; returns how many were due."""
    due = tx.execute(_DUE, {"now": tx.now}).all()
    found = rows.by_ids(tx, sorted(step.resource for step in due), lock=True)
    for step in due:
        row = found.get(step.resource)
        if row is not None and row.state == step.from_state:
            kind = KINDS[row.kind]
            move = endings.end_regardless if step.to_state in kind.ends else rows.change
            move(tx, kind, row, state=step.to_state, cause=step.cause)
        tx.execute(_FORGET, {"resource": step.resource})
    return len(due)


def next_due(tx: Tx) -> datetime | None:
    """Return when the next step is due; None if there is none."""
    found: datetime | None = tx.execute(_NEXT).scalar()
    return found


def waiting(tx: Tx) -> list[str]:
    """List resources whose step is due and not taken, at most `RIPE_MAX`."""
    return [row.resource for row in tx.execute(_RIPE, {"now": tx.now})]


def due_later(tx: Tx) -> datetime | None:
    """Return when the next step falls due that is not due yet; None if there is none."""
    found: datetime | None = tx.execute(_LATER, {"now": tx.now}).scalar()
    return found
