"""Looks at rows: what a listing reads of each row, whole or in outline.

An outline has the versions of a row and of all rows under it, and no document. Every change of a
row makes a new version, so two outlines of a row that are equal are outlines of the same content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple

import sqlalchemy as sa

from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import L
from sametoken.resources.kit.rows import EDGE, RESOURCE, STORED, Row
from sametoken.store.dialects import Joined
from sametoken.store.port import Tx


@dataclass(frozen=True, slots=True, eq=False)
class Look(Generic[L]):
    """The columns that are selected of `RESOURCE`, and what is made of a record."""

    selected: sa.Select[Any]
    make: Callable[[Any], L]
    by_ids: Callable[[Tx, Sequence[str]], dict[str, L]]


class Outline(NamedTuple):
    """`below` has the id and the version of each row under it, in no certain order."""

    id: str
    kind: str
    account: str
    region: str
    gone_at: datetime | None
    version: int
    below: str | None


_COLON: sa.ColumnElement[str] = sa.literal_column("':'", sa.Text)
_CHILD, _UNDER = RESOURCE.alias(), EDGE.alias()
_BELOW = (
    sa.select(Joined(_CHILD.c.id + _COLON + sa.cast(_CHILD.c.version, sa.Text)))
    .join_from(_UNDER, _CHILD, _CHILD.c.id == _UNDER.c.child)
    .where(_UNDER.c.parent == RESOURCE.c.id)
    .correlate(RESOURCE)
    .scalar_subquery()
)
OUTLINED = sa.select(
    *(RESOURCE.c[name] for name in Outline._fields if name in RESOURCE.c), _BELOW.label("below")
)
_BY_IDS = OUTLINED.where(RESOURCE.c.id.in_(sa.bindparam("ids", expanding=True)))


def _outlines(tx: Tx, ids: Sequence[str]) -> dict[str, Outline]:
    return {found.id: Outline(*found) for found in tx.execute(_BY_IDS, {"ids": list(ids)})}


WHOLE: Look[Row] = Look(STORED, rows.from_record, rows.by_ids)
OUTLINE: Look[Outline] = Look(OUTLINED, Outline._make, _outlines)
