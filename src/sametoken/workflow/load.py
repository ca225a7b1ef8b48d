"""The load of a database: how much work of launches is not done, told in a single statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.port import Tx
from sametoken.workflow.work import WORK

# To count takes longer the more there is; of this much, a person only wants to know that it is.
COUNTED_MAX = 10_000

_COUNTED = (
    sa.select(WORK.c.due_at, WORK.c.epoch, WORK.c.step, WORK.c.attempt, WORK.c.generation)
    .where(WORK.c.due_at.is_not(None))
    .limit(COUNTED_MAX)
    .subquery()
)
_LOAD = sa.select(
    sa.func.count(),
    sa.func.count().filter(_COUNTED.c.due_at <= sa.bindparam("now", type_=Moment)),
    sa.func.min(_COUNTED.c.due_at),
    sa.func.sum(_COUNTED.c.epoch + _COUNTED.c.step + _COUNTED.c.attempt + _COUNTED.c.generation),
).select_from(_COUNTED)


@dataclass(frozen=True, slots=True)
class Load:
    """Work that is not done: how much, how much of it is due, and since when the oldest is.

    Of more than `COUNTED_MAX` no more is counted. `moves` changes with each step that is taken.
    """

    count: int
    due: int
    oldest_at: datetime | None
    moves: int


def load(tx: Tx) -> Load:
    """Tell how much work of all accounts is not done."""
    count, due, oldest_at, moves = tx.execute(_LOAD, {"now": tx.now}).one()
    return Load(count, due, oldest_at, int(moves or 0))
