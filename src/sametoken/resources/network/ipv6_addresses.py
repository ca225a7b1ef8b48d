"""IPv6 addresses of subnets: each is held by one interface.

Each stands where the IPv4 addresses do, by network of 64 bits and number in it: no subnet is
smaller, and the key decides when two requests pick the same address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import addresses, cidr_blocks
from sametoken.store.port import Tx

_HOST_BITS = 64
# The column holds numbers of 64 bits with a sign.
_LEAST = -(1 << (_HOST_BITS - 1))
# Of so many addresses a probe hits a held one once in a billion years.
_PROBES = 8
# `random` gives 53 bits, so the number of an address in its block is drawn in two parts.
_DRAWN_BITS = 32


def hold_asked(tx: Tx, subnet: Row, holder: str, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Hold the addresses that a new interface is to have, and return them in EC2's form.

    `spec` has Ipv6, which lists addresses, or Ipv6Count; with Ipv6Primary the first is primary.
    Raises the refusals of `hold` and `hold_exactly`.
    """
    held = [hold_exactly(tx, subnet, one, holder) for one in spec.get("Ipv6", ())]
    held += [hold(tx, subnet, holder) for _ in range(spec.get("Ipv6Count", 0))]
    primary = spec.get("Ipv6Primary", False)
    return [shown(one, primary=primary and not place) for place, one in enumerate(held)]


def shown(address: str, *, primary: bool = False) -> dict[str, Any]:
    """An address in EC2's form."""
    return {"Ipv6Address": address, "IsPrimaryIpv6": primary}


def hold(tx: Tx, subnet: Row, holder: str) -> str:
    """Give `holder` a free address of the subnet's block."""
    block = block_of(subnet)
    bits = block.max_prefixlen - block.prefixlen - _DRAWN_BITS
    for _ in range(_PROBES):
        high, low = (int(tx.world.random() * (1 << one)) for one in (bits, _DRAWN_BITS))
        address = block[(high << _DRAWN_BITS) + low]
        if _is_assignable(block, address) and addresses.try_hold(
            tx, *_key(subnet, address), holder
        ):
            return str(address)
    raise ServiceError(
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet.id}'.",
    )


def hold_exactly(tx: Tx, subnet: Row, text: str, holder: str) -> str:
    """Give `holder` exactly that address, and return it as EC2 spells it.

    Raises `InvalidIPAddress.InUse` if it is held, or `InvalidParameterValue` if it cannot be.
    """
    block, address = block_of(subnet), parsed(text)
    if not _is_assignable(block, address):
        raise _refused(text, f"It is not an assignable address of subnet {subnet.id}.")
    if not addresses.try_hold(tx, *_key(subnet, address), holder):
        raise ServiceError("InvalidIPAddress.InUse", f"Address {address} is in use.")
    return str(address)


def free_all(tx: Tx, subnet: Row, given_up: Sequence[str]) -> None:
    """Free some addresses; their holder keeps any others."""
    for one in given_up:
        addresses.free_number(tx, *_key(subnet, ipaddress.IPv6Address(one)))


def block_of(subnet: Row) -> ipaddress.IPv6Network:
    """The subnet's IPv6 block. Raises `InvalidParameterValue` when it has none."""
    found = cidr_blocks.blocks(subnet, cidr_blocks.IPV6)
    if not found:
        raise ServiceError(
            "InvalidParameterValue",
            f"The subnet '{subnet.id}' has no IPv6 CIDR block: associate one first.",
        )
    return ipaddress.IPv6Network(found[0])


def parsed(text: str) -> ipaddress.IPv6Address:
    """Parse an address. Raises `InvalidParameterValue`."""
    try:
        return ipaddress.IPv6Address(text)
    except ValueError:
        raise _refused(text, "Give an IPv6 address.") from None


def _is_assignable(block: ipaddress.IPv6Network, address: ipaddress.IPv6Address) -> bool:
    """Tell whether an interface may have it: EC2 keeps five, as of an IPv4 block."""
    if address not in block:
        return False
    number = int(address) - int(block.network_address)
    return addresses.RESERVED_FIRST <= number < block.num_addresses - addresses.RESERVED_LAST


def _key(subnet: Row, address: ipaddress.IPv6Address) -> tuple[str, int]:
    network, number = divmod(int(address), 1 << _HOST_BITS)
    return f"{subnet.id}/{network:x}", number + _LEAST


def _refused(text: str, why: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValue", f"Value ({text[:200]}) for parameter ipv6Address is invalid. {why}"
    )
