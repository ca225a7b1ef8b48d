"""Regions of accounts: a row for each that is in use, its lock and its stamp.

Writers of a Region take turns by the lock. The stamp is new after every change of what `Tx.cached`
keeps: of rows whose kind is `Kind.cached`, and of the maxima in `counters`.
"""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.dialects import insert_or_ignore
from sametoken.store.port import Tx

metadata = sa.MetaData()

# An account and a Region: the topic of `Tx.cached` for what belongs there.
Place = tuple[str, str]

# SEED has the Regions of accounts where a default VPC was made. Its key makes that happen once.
# `stamp` is NULL until the first change of what is kept.
SEED = sa.Table(
    "region_seed",
    metadata,
    sa.Column("account", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("seeded_at", Moment, nullable=False),
    sa.Column("stamp", sa.String(36)),
)

_HERE = sa.and_(
    SEED.c.account == sa.bindparam("s_account"), SEED.c.region == sa.bindparam("s_region")
)
_FIND = sa.select(SEED.c.account).where(_HERE)
_LOCK = sa.select(SEED.c.stamp).where(_HERE).with_for_update(key_share=True)
_SEEDED = sa.select(SEED.c.account, SEED.c.region).order_by(SEED.c.account, SEED.c.region)
_SEEDED_OF = _SEEDED.where(SEED.c.account == sa.bindparam("s_account"))
_MARK = insert_or_ignore(SEED, returning=SEED.c.account)
_STAMP_ALL = sa.update(SEED).values(stamp=sa.bindparam("s_stamp"))
_STAMP = _STAMP_ALL.where(_HERE)


def is_seeded(tx: Tx, account: str, region: str) -> bool:
    """Was the account's default VPC in the Region ever made?"""
    return tx.execute(_FIND, {"s_account": account, "s_region": region}).first() is not None


def seeded(tx: Tx, account: str | None) -> list[Place]:
    """List the Regions in which a default VPC was made; of all accounts with None."""
    if account is None:
        found = tx.execute(_SEEDED)
    else:
        found = tx.execute(_SEEDED_OF, {"s_account": account})
    return [(row.account, row.region) for row in found]


def mark_seeded(tx: Tx, account: str, region: str) -> bool:
    """Claim the making of the default VPC: True for the first caller, who must then make it."""
    values = {"account": account, "region": region, "seeded_at": tx.now}
    return tx.execute(_MARK, values).first() is not None


def lock_region(tx: Tx, account: str, region: str) -> None:
    """Lock the account's Region until the commit, so that transactions which change it take turns.

    Call it before anything else is read or locked: what the transaction checks then stays true, and
    `tx.cached` may use what was kept under the Region's stamp.
    """
    if (account, region) in tx.stamps:
        # It is locked, and nobody has changed its stamp since.
        return
    found = tx.execute(_LOCK, {"s_account": account, "s_region": region}).first()
    if found is not None:
        tx.stamps[account, region] = found.stamp


def renew_stamp(tx: Tx, account: str, region: str) -> None:
    """Let nobody use what was kept for the Region before this transaction, nor this one itself."""
    tx.stamps.pop((account, region), None)
    values = {"s_account": account, "s_region": region, "s_stamp": tx.mint_uuid()}
    tx.execute(_STAMP, values)


def renew_every_stamp(tx: Tx) -> None:
    """Like `renew_stamp`, for every Region of every account."""
    tx.stamps.clear()
    tx.execute(_STAMP_ALL, {"s_stamp": tx.mint_uuid()})
