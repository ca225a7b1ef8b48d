"""Tags: part of every row's document, in the order in which they were added, as in EC2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sametoken.resources.kit import listings, rows, traits
from sametoken.resources.kit.kinds import KINDS
from sametoken.resources.kit.rows import Row
from sametoken.resources.kit.traits import TAG_KEY, TRAIT
from sametoken.store.port import Tx

_TAGGED = sa.select(TRAIT.c.resource_id).where(
    TRAIT.c.account == sa.bindparam("account"),
    TRAIT.c.region == sa.bindparam("region"),
    TRAIT.c.kind.in_(sa.bindparam("kinds", expanding=True)),
    TRAIT.c.name == TAG_KEY,
    TRAIT.c.gone_at.is_(None),
)
_TAGGED_WITH = _TAGGED.where(TRAIT.c.value.in_(sa.bindparam("keys", expanding=True)))


def of(row: Row) -> dict[str, str]:
    """Return a resource's tags by key."""
    return {tag["Key"]: tag["Value"] for tag in row.doc.get("Tags", ())}


def set_all(tx: Tx, row: Row, tags: Mapping[str, str]) -> None:
    """Replace all tags of the resource with `tags`. The row must be locked."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    rows.change(tx, KINDS[row.kind], row, Tags=listed)


def tagged(
    tx: Tx,
    account: str,
    region: str,
    *,
    ids: Sequence[str] | None,
    kinds: Sequence[str] | None,
    keys: Sequence[str] | None,
) -> list[Row]:
    """Return the account's living resources in the Region that have tags.

    Only those of `ids`; else those of `kinds` that have one of `keys`. None leaves them all.
    """
    wanted = ids
    if wanted is None:
        known = [name for name in KINDS if kinds is None or name in kinds]
        values: dict[str, Any] = {"account": account, "region": region, "kinds": known}
        query = _TAGGED
        if keys is not None:
            query, values["keys"] = _TAGGED_WITH, [traits.indexed(key) for key in keys]
        wanted = sorted({row.resource_id for row in tx.execute(query, values)})
    found = [
        row
        for start in range(0, len(wanted), listings.AT_ONCE_MAX)
        for row in rows.by_ids(tx, wanted[start : start + listings.AT_ONCE_MAX]).values()
    ]
    owner = (account, region)
    return [row for row in found if row.gone_at is None and (row.account, row.region) == owner]
