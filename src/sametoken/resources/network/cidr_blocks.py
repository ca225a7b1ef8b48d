"""The blocks of VPCs and subnets: associations, which their documents keep in EC2's form.

A VPC has one primary IPv4 block, and may have others and IPv6 blocks of Amazon's. A subnet has one
IPv4 block, and may have one IPv6 block.
"""

from __future__ import annotations

from typing import Any

from sametoken.resources.kit.rows import Row

# The members that list the associations, and the state that each has.
IPV4, IPV6 = "CidrBlockAssociationSet", "Ipv6CidrBlockAssociationSet"
STATES = {IPV4: "CidrBlockState", IPV6: "Ipv6CidrBlockState"}
BLOCKS = {IPV4: "CidrBlock", IPV6: "Ipv6CidrBlock"}
# The prefixes of the associations' ids.
OF_VPC, OF_SUBNET = "vpc-cidr-assoc", "subnet-cidr-assoc"
# Where each block stands that Amazon gives: "public" in EC2's words, and not the caller's own.
_OF_AMAZON = {"Ipv6AddressAttribute": "public", "IpSource": "amazon"}


def listed(row: Row, member: str) -> list[dict[str, Any]]:
    """The associations of a VPC or a subnet."""
    found: list[dict[str, Any]] = row.doc.get(member) or []
    return found


def blocks(row: Row, member: str) -> list[str]:
    """The blocks of a VPC or a subnet."""
    return [one[BLOCKS[member]] for one in listed(row, member)]


def has_ipv6(row: Row) -> bool:
    return bool(listed(row, IPV6))


def associated(id: str, member: str, block: str) -> dict[str, Any]:
    """The association of a block, once it is there."""
    return {
        "AssociationId": id,
        BLOCKS[member]: block,
        STATES[member]: {"State": "associated"},
        **(_OF_AMAZON if member == IPV6 else {}),
    }


def with_state(one: dict[str, Any], member: str, state: str) -> dict[str, Any]:
    """The association as the request that makes or ends it answers."""
    return {**one, STATES[member]: {"State": state}}
