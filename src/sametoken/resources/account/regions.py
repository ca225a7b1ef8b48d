"""Regions of accounts: which are in use, and the lock by which those who change one take turns."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.dialects import insert_or_ignore
from sametoken.store.port import Tx

metadata = sa.MetaData()

# Which Regions of which accounts have had their default VPC. Its key makes seeding happen once.
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
    """Has the account had its default VPC in the Region?"""
    return tx.execute(_FIND, {"account": account, "region": region}).first() is not None


def mark_seeded(tx: Tx, account: str, region: str) -> bool:
    """Say that it has. False when it was said before, by whoever shall have made that VPC."""
    values = {"account": account, "region": region, "seeded_at": tx.now}
    return tx.execute(_MARK, values).first() is not None


def lock_region(tx: Tx, account: str, region: str) -> None:
    """Have those who change the account's Region take turns, until this one has committed.

    Taken before anything else is read or locked: what they check then stays so. SQLite's one writer
    needs no lock, and nothing is sent there.
    """
    tx.lock(_LOCK, {"account": account, "region": region})
