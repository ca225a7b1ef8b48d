"""How many resources of a kind an account may have: in a Region, or under one parent."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.resources import capacity
from sametoken.resources.kinds import Kind
from sametoken.resources.rows import EDGE, RESOURCE
from sametoken.store.port import Tx


def name_of(kind: Kind, account: str, region: str) -> str:
    """What `sametoken limits` calls the quota."""
    return f"{kind.name}/{account}/{region}"


def is_used_up(
    tx: Tx, kind: Kind, account: str, region: str, *, parent: str | None, default: int
) -> bool:
    """Is there as many as may be? `default` is EC2's own maximum, used until one is set."""
    query = sa.select(sa.func.count()).where(
        RESOURCE.c.account == account,
        RESOURCE.c.region == region,
        RESOURCE.c.kind == kind.name,
        RESOURCE.c.gone_at.is_(None),
    )
    if parent is not None:
        query = query.join_from(RESOURCE, EDGE, EDGE.c.child == RESOURCE.c.id)
        query = query.where(EDGE.c.parent == parent)
    maximum = capacity.maximum(tx, name_of(kind, account, region), default=default)
    return int(tx.execute(query).scalar_one()) >= maximum
