"""The addresses of interfaces that a launch makes, and how much of each its type can have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.network import ipv6_addresses
from sametoken.ec2.network.interface_addresses import check_asked, primary_asked, secondary_asked
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.instance_types import InstanceType
from sametoken.resources.kit.rows import Row

# Members that name addresses: each serves one instance.
_NAMING = ("Ipv6Addresses", "PrivateIpAddress", "PrivateIpAddresses")


def check(params: Mapping[str, Any], most: int) -> None:
    """Refuse what the addresses of one interface show without a look-up. `most` is MaxCount.

    `params` are the interface's members, or those of a request that has no interfaces.
    """
    check_asked(params)
    ipv6_addresses.check_asked(params)
    if most > 1 and any(name in params for name in _NAMING):
        raise refusals.invalid_combination(
            "A fixed private address serves one instance only: launch one, or name none"
        )


def check_room(instance_type: InstanceType, asked: list[Document]) -> None:
    """Refuse more interfaces or addresses than instances of the type can have."""
    if len(asked) > instance_type.interfaces:
        raise ServiceError(
            "AttachmentLimitExceeded",
            f"Interface count {len(asked)} exceeds the limit for {instance_type.name}",
        )
    for one in asked:
        secondary = secondary_asked(one)
        number = 1 + len(secondary["Secondary"]) + secondary["SecondaryCount"]
        if number > instance_type.ipv4_per_interface:
            raise ServiceError(
                "PrivateIpAddressLimitExceeded",
                f"{instance_type.name} takes {instance_type.ipv4_per_interface} private addresses "
                f"per interface; {number} were asked for.",
            )


def of(
    params: Mapping[str, Any], asked: Mapping[str, Any], subnet: Row, instance_type: InstanceType
) -> tuple[str | None, Document]:
    """The address that a new interface is to have, None for any, and the rest of its `spec`.

    `asked` is the interface as the request names it; without interfaces the request itself says.
    """
    own = asked if "NetworkInterfaces" in params else params
    primary = "PrimaryIpv6" if "NetworkInterfaces" in params else "EnablePrimaryIpv6"
    ipv6 = ipv6_addresses.asked(own, subnet, primary=primary)
    number = ipv6_addresses.number_of(ipv6)
    ipv6_addresses.check_room(instance_type, number)
    return primary_asked(own), {**secondary_asked(own), **ipv6}
