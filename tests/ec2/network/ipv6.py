"""IPv6 of a VPC, as tests make it and look at it."""

from __future__ import annotations

import ipaddress
from typing import Any

from ec2.asking import by_filter

Document = dict[str, Any]


def shown(ec2: Any, vpc: str) -> Document:
    [found] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    return dict(found)


def block_of(ec2: Any, vpc: str) -> ipaddress.IPv6Network:
    [one] = shown(ec2, vpc)["Ipv6CidrBlockAssociationSet"]
    return ipaddress.IPv6Network(one["Ipv6CidrBlock"])


def part(ec2: Any, vpc: str, number: int = 0) -> str:
    """Return a /64 of the VPC's block."""
    return str(list(block_of(ec2, vpc).subnets(new_prefix=64))[number])


def new_subnet(ec2: Any, vpc: str, number: int = 0, *, assigns: bool = False) -> str:
    """Make a subnet with an IPv6 block; with `assigns` its interfaces get an address each."""
    block = part(ec2, vpc, number)
    made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", Ipv6CidrBlock=block)
    id = str(made["Subnet"]["SubnetId"])
    if assigns:
        ec2.modify_subnet_attribute(SubnetId=id, AssignIpv6AddressOnCreation={"Value": True})
    return id


def new_interface(ec2: Any, subnet: str, **more: Any) -> Document:
    made = ec2.create_network_interface(SubnetId=subnet, **more)["NetworkInterface"]
    return dict(made)


def addresses(interface: Document) -> list[str]:
    return [one["Ipv6Address"] for one in interface["Ipv6Addresses"]]


def routes(ec2: Any, vpc: str) -> list[Document]:
    [table] = ec2.describe_route_tables(Filters=by_filter("vpc-id", vpc))["RouteTables"]
    return list(table["Routes"])


def association(row: Document) -> str:
    return str(row["Ipv6CidrBlockAssociationSet"][0]["AssociationId"])


def new_vpc(ec2: Any) -> str:
    asked = {"CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": True}
    return str(ec2.create_vpc(**asked)["Vpc"]["VpcId"])
