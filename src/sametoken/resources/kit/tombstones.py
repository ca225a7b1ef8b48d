"""Tombstones: the rows of resources that have ended, kept until no entry names them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sametoken.idempotency.ledger import RETENTION
from sametoken.idempotency.tables import RETAINED
from sametoken.resources.kit import rows, traits
from sametoken.resources.kit.rows import RESOURCE
from sametoken.resources.kit.transitions import TRANSITION
from sametoken.store.port import Tx

_FORGOTTEN = (
    rows.STORED.where(RESOURCE.c.gone_at <= sa.bindparam("before"))
    .where(~sa.exists().where(RETAINED.c.resource_id == RESOURCE.c.id))
    .limit(sa.bindparam("limit"))
)
_REMOVE_TRANSITIONS = sa.delete(TRANSITION).where(
    TRANSITION.c.resource_id.in_(sa.bindparam("ids", expanding=True))
)
_REMOVE = sa.delete(RESOURCE).where(RESOURCE.c.id.in_(sa.bindparam("ids", expanding=True)))


def sweep(tx: Tx, limit: int, until: datetime | None = None) -> list[str]:
    """Remove at most `limit` tombstones that no entry names any more; returns their ids.

    Takes those whose retention ended by `until`, which is now unless the clock may have leapt.
    """
    found = tx.execute(_FORGOTTEN, {"before": (until or tx.now) - RETENTION, "limit": limit})
    ended = [rows.from_record(row) for row in found]
    ids = [row.id for row in ended]
    if ids:
        traits.removed(tx, ended)
        tx.execute(_REMOVE_TRANSITIONS, {"ids": ids})
        tx.execute(_REMOVE, {"ids": ids})
    return ids
