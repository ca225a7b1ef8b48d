"""The default VPC: as in EC2, each account has one in each Region, with a subnet in each zone.

It is made once, at the account's first request in the Region; if deleted, it is not made again.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from sametoken.resources.catalogues import geography
from sametoken.resources.kit import regions, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import vpcs
from sametoken.resources.network.vpcs import SUBNET, VPC
from sametoken.store.port import Tx

CIDR = "172.31.0.0/16"
# The natural key of the default VPC: an account has one at most in a Region.
NAME = "default"
# EC2 divides the default VPC into /20 subnets, one per zone, in the order of the zones.
_SUBNET_PREFIX = 20


def seed(tx: Tx, account: str, region: str) -> None:
    """Give the account its default VPC in `region`, unless it had one before."""
    if regions.mark_seeded(tx, account, region):
        make(tx, account, region)


def make(tx: Tx, account: str, region: str) -> Row:
    """Make a default VPC with an internet gateway, a route to it, and a subnet in each zone."""
    dhcp = vpcs.default_dhcp_options(tx, account, region)
    doc = vpcs.vpc_document(tx, CIDR, dhcp, is_default=True)
    vpc = Row(
        mint(tx, VPC.prefix), VPC.name, account, region, "available", doc, tx.now,
        name=NAME, parents=(dhcp,),
    )  # fmt: skip
    gateway = vpcs.inside(
        tx, vpc, vpcs.INTERNET_GATEWAY, {"Attachments": [{"State": "available", "VpcId": vpc.id}]}
    )
    zones = zip(geography.zones_of(region), subnet_blocks(), strict=False)
    subnets = [
        vpcs.inside(
            tx,
            vpc,
            SUBNET,
            subnet_document(vpc.id, cidr, zone),
            zone=zone.name,
            name=subnet_name(zone.name),
        )
        for zone, cidr in zones
    ]
    outward = vpcs.route("0.0.0.0/0", gateway.id, "CreateRoute")
    fixtures = vpcs.new_fixtures(tx, vpc, routes=[outward], subnets=[one.id for one in subnets])
    rows.insert(tx, [vpc, gateway, *subnets, *fixtures])
    return vpc


def find(tx: Tx, account: str, region: str) -> Row | None:
    """Find the account's default VPC in the Region; None if it was deleted."""
    return rows.find_named(tx, VPC, account, region, NAME)


def subnets(tx: Tx, account: str, region: str) -> list[Row]:
    """Return the default subnets that still exist, ordered by zone."""
    names = [subnet_name(zone.name) for zone in geography.zones_of(region)]
    found = rows.list_named(tx, SUBNET, account, region, names)
    return sorted(found, key=lambda row: row.zone)


def subnet_name(zone: str) -> str:
    """The natural key of the default subnet of a zone: there is one at most."""
    return f"{NAME}/{zone}"


def subnet_blocks() -> list[str]:
    """List the blocks into which a default VPC is divided."""
    network = ipaddress.IPv4Network(CIDR)
    return [str(one) for one in network.subnets(new_prefix=_SUBNET_PREFIX)]


def subnet_document(vpc: str, cidr: str, zone: geography.Zone) -> dict[str, Any]:
    """Like `vpcs.subnet_document`, for a default subnet: its instances get public addresses."""
    document = vpcs.subnet_document(vpc, cidr, zone)
    return {**document, "DefaultForAz": True, "MapPublicIpOnLaunch": True}
