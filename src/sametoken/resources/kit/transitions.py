"""Transitions: each change of a row's state with its cause. Append-only.

For StateTransitionReason, and for the auditor of the simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.dialects import BIG, among, inserting, plain
from sametoken.store.port import Tx

metadata = sa.MetaData()

TRANSITION = sa.Table(
    "resource_transition",
    metadata,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("resource_id", sa.String(64), nullable=False),
    sa.Column("moved_at", Moment, nullable=False),
    sa.Column("from_state", sa.String(32), nullable=False),
    sa.Column("to_state", sa.String(32), nullable=False),
    sa.Column("cause", sa.String(300), nullable=False),
    sa.Index("resource_transition_resource", "resource_id"),
)

_NOTE = inserting(TRANSITION, "resource_id", "moved_at", "from_state", "to_state", "cause")
_OF = (
    sa.select(TRANSITION)
    .where(TRANSITION.c.resource_id == sa.bindparam("id"))
    .order_by(TRANSITION.c.id)
)

_OF_ALL = (
    sa.select(TRANSITION).where(among(TRANSITION.c.resource_id, "ids")).order_by(TRANSITION.c.id)
)


def note(tx: Tx, moves: Sequence[tuple[str, str, str, str]]) -> None:
    """Note changes of state, each as (id, state before, state after, cause)."""
    now_us = plain(tx.now)
    noted = [(id, now_us, before, after, cause[:300]) for id, before, after, cause in moves]
    tx.write(_NOTE, noted)


def of(tx: Tx, id: str) -> list[Any]:
    """List the changes of state of one resource, oldest first, as rows of `TRANSITION`."""
    return list(tx.execute(_OF, {"id": id}))


def of_all(tx: Tx, ids: Sequence[str]) -> dict[str, list[Any]]:
    """Return the changes of state of several resources, as `of` does, by their ids."""
    found: dict[str, list[Any]] = {id: [] for id in ids}
    for row in tx.execute(_OF_ALL, {"ids": list(ids)}):
        found[row.resource_id].append(row)
    return found
