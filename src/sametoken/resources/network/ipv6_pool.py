"""Amazon's IPv6 blocks: one pool for all accounts, each /56 held by one association of a VPC.

A random one is probed for; the primary key decides when two requests pick the same one. Blocks are
kept beside the public IPv4 addresses, under their first 56 bits, which no IPv4 address reaches.
"""

from __future__ import annotations

import ipaddress

from sametoken.errors import ServiceError
from sametoken.resources.network import public_addresses
from sametoken.store.port import Tx

# The range for documentation of RFC 9637: no host anywhere has such an address.
POOL = ipaddress.IPv6Network("3fff::/20")
# "A fixed size of /56" (VPC user guide, "VPC CIDR blocks").
PREFIX = 56
_HOST_BITS = 128 - PREFIX
_FIRST = int(POOL.network_address) >> _HOST_BITS
_COUNT = 1 << (PREFIX - POOL.prefixlen)
# With a thousandth of the 69 billion taken, both of two misses once in a million times.
_PROBES = 8


def hold(tx: Tx, association: str) -> str:
    """Give the association a block that nobody has. Raises `InsufficientAddressCapacity`."""
    for _ in range(_PROBES):
        number = _FIRST + int(tx.world.random() * _COUNT)
        if public_addresses.try_hold(tx, number, association):
            return str(ipaddress.IPv6Network((number << _HOST_BITS, PREFIX)))
    raise ServiceError(
        "InsufficientAddressCapacity", "No IPv6 block of Amazon's is free.", http_status=500
    )


def free(tx: Tx, association: str) -> None:
    """Free the block of an association. Does nothing when it holds none of Amazon's."""
    public_addresses.free(tx, association)
