"""Tags: part of every row's document, in the order in which they were added, as in EC2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import KINDS
from sametoken.resources.kit.rows import RESOURCE, Row
from sametoken.store.port import Tx

_OF_REGION = rows.STORED.where(
    RESOURCE.c.account == sa.bindparam("account"), RESOURCE.c.region == sa.bindparam("region")
)


def of(row: Row) -> dict[str, str]:
    """Return a resource's tags by key."""
    return {tag["Key"]: tag["Value"] for tag in row.doc.get("Tags", ())}


def set_all(tx: Tx, row: Row, tags: Mapping[str, str]) -> None:
    """Replace all tags of the resource with `tags`. The row must be locked."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    rows.change(tx, KINDS[row.kind], row, Tags=listed)


def tagged(tx: Tx, account: str, region: str, ids: Sequence[str] | None) -> list[Row]:
    """Return the account's living resources in the Region; only those of `ids`, if given."""
    if ids is not None:
        found = list(rows.by_ids(tx, ids).values())
    else:
        records = tx.execute(_OF_REGION, {"account": account, "region": region})
        found = [rows.from_record(record) for record in records]
    owner = (account, region)
    return [row for row in found if row.gone_at is None and (row.account, row.region) == owner]
