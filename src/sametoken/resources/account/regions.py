"""Regions of accounts: a row for each that is in use, and its lock, by which writers take turns."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.dialects import insert_or_ignore
from sametoken.store.port import Tx

metadata = sa.MetaData()

# SEED has the Regions of accounts where a default VPC was made. Its key makes that happen once.
SEED = sa.Table(
    "region_seed",
    metadata,
    sa.Column("account", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("seeded_at", Moment, nullable=False),
)

_FIND = sa.select(SEED.c.account).where(
    SEED.c.account == sa.bindparam("account"), SEED.c.region == sa.bindparam("region")
)
_LOCK = _FIND.with_for_update(key_share=True)
_MARK = insert_or_ignore(SEED, returning=SEED.c.account)


def is_seeded(tx: Tx, account: str, region: str) -> bool:
    """Was the account's default VPC in the Region ever made?"""
    return tx.execute(_FIND, {"account": account, "region": region}).first() is not None


def mark_seeded(tx: Tx, account: str, region: str) -> bool:
    """Claim the making of the default VPC: True for the first caller, who must then make it."""
    values = {"account": account, "region": region, "seeded_at": tx.now}
    return tx.execute(_MARK, values).first() is not None


def lock_region(tx: Tx, account: str, region: str) -> None:
    """Lock the account's Region until the commit, so that transactions which change it take turns.

    Call it before anything else is read or locked: what the transaction checks then stays true. On
    SQLite no statement is sent, because only one transaction writes at a time there.
    """
    tx.lock(_LOCK, {"account": account, "region": region})
