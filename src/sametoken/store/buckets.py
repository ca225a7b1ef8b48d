"""Buckets of tokens that nodes share: a row tells when a bucket is full again, if nobody spends.

So a row needs neither the bucket's size nor the moment of its last change, a bucket without a row
is full, and so is one whose moment has passed.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sametoken.store.columns import to_microseconds
from sametoken.store.dialects import given, upsert_many
from sametoken.store.port import Tx

metadata = sa.MetaData()

# `full_us` is a moment of the store's clock, in microseconds since 1970.
BUCKET = sa.Table(
    "token_bucket",
    metadata,
    sa.Column("account", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("full_us", sa.BigInteger, nullable=False),
)

# An account, a Region, and the name of a bucket there.
Key = tuple[str, str, str]

_SECOND_US = 1_000_000
# A row that is so much older than full is nobody's any more: each change makes it younger.
_KEPT_US = 60 * _SECOND_US

_NOW = sa.bindparam("now_us", type_=sa.BigInteger)
# Inserted is what is spent from a full bucket; of another, as much is spent from what it has.
_SPEND = upsert_many(
    BUCKET,
    lambda spent: {
        "full_us": sa.case((BUCKET.c.full_us > _NOW, BUCKET.c.full_us), else_=_NOW)
        + (spent.full_us - _NOW)
    },
    where=lambda spent: sa.true(),
)
_FORGET = sa.delete(BUCKET).where(BUCKET.c.full_us < sa.bindparam("before_us"))


def spend(tx: Tx, spent: Mapping[Key, float]) -> dict[Key, float]:
    """Spend from buckets what takes them so many seconds to fill; negative numbers give back.

    Returns when each of them is full again, in seconds since 1970.
    """
    if not spent:
        return {}
    now_us = to_microseconds(tx.now)
    rows = [(*key, now_us + round(seconds * _SECOND_US)) for key, seconds in spent.items()]
    found = tx.execute(_SPEND, given(rows, now_us=now_us))
    return {(row.account, row.region, row.name): row.full_us / _SECOND_US for row in found}


def forget_full(tx: Tx) -> None:
    """Remove the rows of buckets that have been full for a while."""
    tx.execute(_FORGET, {"before_us": to_microseconds(tx.now) - _KEPT_US})
