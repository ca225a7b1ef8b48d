"""Public IPv4 addresses: one pool for all accounts, each address held by one holder at a time.

A random one is probed for; the primary key decides when two requests pick the same one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.store.dialects import given, insert_many_or_ignore, insert_or_ignore
from sametoken.store.port import Tx

metadata = sa.MetaData()

# The holder is an interface, for an automatic address, or an allocation, for an Elastic one.
PUBLIC_ADDRESS = sa.Table(
    "public_address",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Index("public_address_holder", "holder"),
)

# Ranges for documentation would be filtered by some clients, and any other may be a real host's:
# this is the shared address space of RFC 6598, which no public host can have.
POOL = ipaddress.IPv4Network("100.64.0.0/10")
# Even with nine tenths of the four million taken, all of these miss once in eight hundred.
_PROBES = 64

_HOLD = insert_or_ignore(PUBLIC_ADDRESS, returning=PUBLIC_ADDRESS.c.number)
_HOLD_MANY = insert_many_or_ignore(PUBLIC_ADDRESS)
_FREE = sa.delete(PUBLIC_ADDRESS).where(PUBLIC_ADDRESS.c.holder == sa.bindparam("holder"))


def hold(tx: Tx, holder: str) -> str:
    """Give `holder` an address nobody has. Raises `InsufficientAddressCapacity`."""
    for _ in range(_PROBES):
        number = _draw(tx)
        if try_hold(tx, number, holder):
            return _text(number)
    raise ServiceError(
        "InsufficientAddressCapacity", "Not enough public addresses are free.", http_status=500
    )


def try_hold(tx: Tx, number: int, holder: str) -> bool:
    """Give `holder` a number of the table, unless it is held."""
    return tx.execute(_HOLD, {"number": number, "holder": holder}).first() is not None


def hold_many(tx: Tx, holders: Sequence[str]) -> dict[str, str]:
    """Give each holder an address nobody has, and return them by holder.

    Raises `InsufficientAddressCapacity`.
    """
    drawn = {_draw(tx): holder for holder in holders}
    rows = sorted(drawn.items())
    held = {row.holder: _text(row.number) for row in tx.execute(_HOLD_MANY, given(rows))}
    # Some were taken, or drawn twice.
    return {one: held[one] if one in held else hold(tx, one) for one in holders}


def _draw(tx: Tx) -> int:
    return int(POOL.network_address) + int(tx.world.random() * POOL.num_addresses)


def _text(number: int) -> str:
    return str(ipaddress.IPv4Address(number))


def free(tx: Tx, holder: str) -> None:
    """Free whatever `holder` holds. Does nothing when it holds nothing."""
    tx.execute(_FREE, {"holder": holder})
