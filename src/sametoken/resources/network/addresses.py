"""IPv4 addresses of subnets: each is held by one interface.

A free address is found by random probes, since EC2 hands them out in random order. If two requests
pick the same one, the primary key decides. There is no shared cursor to queue for, and only the
inserted row is locked.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.store.dialects import Text, insert_or_ignore, inserting
from sametoken.store.port import Tx

metadata = sa.MetaData()

ADDRESS = sa.Table(
    "address",
    metadata,
    sa.Column("subnet", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Index("address_holder", "holder"),
    # The row is hardly more than its key: without a rowid, SQLite keeps both in one tree.
    sqlite_with_rowid=False,
)

# EC2 reserves the first four addresses of a subnet and the last.
RESERVED_FIRST = 4
RESERVED_LAST = 1
# In a subnet that is three quarters full, all probes fail once in thirty times; then `hold` looks
# for a gap in the index.
_PROBES = 12

_HOLD = insert_or_ignore(ADDRESS, returning=ADDRESS.c.number)
# For a transaction that alone writes: what it sees as free stays so.
_LOOK = Text("SELECT holder FROM address WHERE subnet = ? AND number = ?")
_HOLD_FREE = inserting(ADDRESS, "subnet", "number", "holder")
_NEXT = ADDRESS.alias()
_IN_SUBNET = ADDRESS.c.subnet == sa.bindparam("subnet")
_IS_HELD = sa.exists().where(_IN_SUBNET, ADDRESS.c.number == sa.bindparam("start"))
# The number that follows a run of held ones; the run may end with the subnet.
_AFTER_RUN = (
    sa.select(ADDRESS.c.number + 1)
    .where(_IN_SUBNET, ADDRESS.c.number >= sa.bindparam("start"))
    .where(
        ~sa.exists().where(
            _NEXT.c.subnet == ADDRESS.c.subnet, _NEXT.c.number == ADDRESS.c.number + 1
        )
    )
    .order_by(ADDRESS.c.number)
    .limit(1)
)
_FIRST_FREE = sa.select(
    sa.case(
        (~_IS_HELD, sa.bindparam("start", type_=sa.BigInteger)), else_=_AFTER_RUN.scalar_subquery()
    )
)
_COUNTS = (
    sa.select(ADDRESS.c.subnet, sa.func.count().label("taken"))
    .where(ADDRESS.c.subnet.in_(sa.bindparam("subnets", expanding=True)))
    .group_by(ADDRESS.c.subnet)
)
_FREE = sa.delete(ADDRESS).where(ADDRESS.c.holder == sa.bindparam("holder"))
_ONE = sa.and_(
    ADDRESS.c.subnet == sa.bindparam("a_subnet"), ADDRESS.c.number == sa.bindparam("a_number")
)
_HOLDER = sa.select(ADDRESS.c.holder).where(_ONE)
_FREE_ONE = sa.delete(ADDRESS).where(_ONE)


@lru_cache(maxsize=1_000)
def _usable(cidr: str) -> range:
    network = ipaddress.IPv4Network(cidr)
    first = int(network.network_address) + RESERVED_FIRST
    return range(first, int(network.broadcast_address) - RESERVED_LAST + 1)


def _dotted(number: int) -> str:
    """Spell an address; `ipaddress` takes as long over it as the database over the row."""
    return ".".join(map(str, number.to_bytes(4)))


def size(cidr: str) -> int:
    """Count the addresses of a subnet that can be handed out."""
    return len(_usable(cidr))


def hold(tx: Tx, subnet: str, cidr: str, holder: str) -> str:
    """Give `holder` a free address. Raises `InsufficientFreeAddressesInSubnet`."""
    usable = _usable(cidr)
    for _ in range(_PROBES):
        number = usable[int(tx.world.random() * len(usable))]
        if try_hold(tx, subnet, number, holder):
            return _dotted(number)
    # Take the first that is free after the last probe, else the first of all.
    for part in (range(number, usable.stop), range(usable.start, number)):
        found = _hold_first(tx, subnet, part, holder)
        if found is not None:
            return _dotted(found)
    raise ServiceError(
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet}' to satisfy the requested "
        "number of instances.",
    )


def _hold_first(tx: Tx, subnet: str, part: range, holder: str) -> int | None:
    """Hold the first free address of `part`, if it has one."""
    number = part.start
    while number in part:
        number = int(tx.execute(_FIRST_FREE, {"subnet": subnet, "start": number}).scalar_one())
        if number in part and try_hold(tx, subnet, number, holder):
            return number
        # Go on behind a number that another transaction has taken meanwhile.
        number += 1
    return None


def hold_exactly(tx: Tx, subnet: str, cidr: str, address: str, holder: str) -> str:
    """Give `holder` exactly that address.

    Raises `InvalidIPAddress.InUse` if it is held, or `InvalidParameterValue` if it cannot be.
    """
    if not try_hold(tx, subnet, _assignable(subnet, cidr, address), holder):
        raise ServiceError("InvalidIPAddress.InUse", f"Address {address} is in use.")
    return address


def _assignable(subnet: str, cidr: str, address: str) -> int:
    try:
        number = int(ipaddress.IPv4Address(address))
    except ValueError:
        raise _refused(address, "Give an IPv4 address.") from None
    if number not in _usable(cidr):
        raise _refused(address, f"It is not an assignable address of subnet {subnet}.")
    return number


def _refused(address: str, why: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValue",
        f"Value ({address}) for parameter privateIpAddress is invalid. {why}",
    )


def free(tx: Tx, holder: str) -> None:
    """Free all addresses that `holder` holds, if any."""
    tx.execute(_FREE, {"holder": holder})


def holder_of(tx: Tx, subnet: str, cidr: str, address: str) -> str | None:
    """Return the holder of that address of the subnet; None if it is free."""
    values = {"a_subnet": subnet, "a_number": _assignable(subnet, cidr, address)}
    found: str | None = tx.execute(_HOLDER, values).scalar()
    return found


def free_one(tx: Tx, subnet: str, address: str) -> None:
    """Free one address; its holder keeps any others."""
    free_number(tx, subnet, int(ipaddress.IPv4Address(address)))


def free_number(tx: Tx, subnet: str, number: int) -> None:
    """Free an address by its number in the table."""
    result = tx.execute(_FREE_ONE, {"a_subnet": subnet, "a_number": number})
    assert result.rowcount == 1, f"{number} of {subnet} was held by nobody"


def taken(tx: Tx, subnets: list[str]) -> dict[str, int]:
    """Count the held addresses of each subnet."""
    counts = dict.fromkeys(subnets, 0)
    if subnets:
        counts |= {row.subnet: row.taken for row in tx.execute(_COUNTS, {"subnets": subnets})}
    return counts


def try_hold(tx: Tx, subnet: str, number: int, holder: str) -> bool:
    """Give `holder` an address by its number in the table, unless it is held."""
    if tx.only_writer:
        place = (subnet, number)
        key = (ADDRESS.name, *place)
        is_free = not tx.look(_LOOK, place, key)
        if is_free:
            tx.write(_HOLD_FREE, [(*place, holder)], [key])
        return is_free
    values = {"subnet": subnet, "number": number, "holder": holder}
    return tx.execute(_HOLD, values).first() is not None
