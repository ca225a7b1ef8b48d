"""VPC-side nouns: VPCs, subnets, security groups, route tables, network ACLs, and the default VPC.

Each Region of each account has a default VPC, with a subnet per zone, as EC2 has it. It is seeded
once, when the account is first seen in the Region; deleting it does not bring it back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from sametoken.resources import geography, rows
from sametoken.resources.kinds import Kind
from sametoken.resources.rows import Row
from sametoken.store.columns import Moment
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

VPC = Kind("vpc", "vpc", "InvalidVpcID", "vpc")
SUBNET = Kind("subnet", "subnet", "InvalidSubnetID", "subnet")
SECURITY_GROUP = Kind(
    "security-group", "sg", "InvalidGroup", "security group", malformed="InvalidGroupId"
)
ROUTE_TABLE = Kind(
    "route-table", "rtb", "InvalidRouteTableID", "routeTable", malformed="InvalidRouteTableId"
)
NETWORK_ACL = Kind("network-acl", "acl", "InvalidNetworkAclID", "networkAcl")
INTERNET_GATEWAY = Kind(
    "internet-gateway",
    "igw",
    "InvalidInternetGatewayID",
    "internetGateway",
    malformed="InvalidInternetGatewayId",
)
DHCP_OPTIONS = Kind("dhcp-options", "dopt", "InvalidDhcpOptionID", "dhcpOptions")

DEFAULT_VPC_CIDR = "172.31.0.0/16"
# EC2 cuts the default VPC into /20 subnets, one a zone, in the order of the zones.
_DEFAULT_SUBNET_PREFIX = 20


def is_seeded(tx: Tx, account: str, region: str) -> bool:
    query = sa.select(SEED.c.account).where(SEED.c.account == account, SEED.c.region == region)
    return tx.execute(query).first() is not None


def seed(tx: Tx, account: str, region: str) -> None:
    """Give the account its default VPC in `region`, unless it had one before."""
    if is_seeded(tx, account, region):
        return
    tx.execute(sa.insert(SEED), {"account": account, "region": region, "seeded_at": tx.now})
    rows.insert(tx, list(_default_vpc(tx, account, region)))


def _default_vpc(tx: Tx, account: str, region: str) -> Iterator[Row]:
    def row(kind: Kind, id: str, doc: dict[str, Any], *parents: str, **more: Any) -> Row:
        return Row(
            id, kind.name, account, region, "available", doc, tx.now, parents=parents, **more
        )

    vpc, dhcp = tx.mint(VPC.prefix), tx.mint(DHCP_OPTIONS.prefix)
    gateway, table = tx.mint(INTERNET_GATEWAY.prefix), tx.mint(ROUTE_TABLE.prefix)
    acl, group = tx.mint(NETWORK_ACL.prefix), tx.mint(SECURITY_GROUP.prefix)
    yield row(DHCP_OPTIONS, dhcp, {"DhcpConfigurations": _dhcp_configurations(region)})
    yield row(VPC, vpc, vpc_document(tx, DEFAULT_VPC_CIDR, dhcp, is_default=True))
    yield row(
        INTERNET_GATEWAY, gateway, {"Attachments": [{"State": "available", "VpcId": vpc}]}, vpc
    )
    yield row(
        SECURITY_GROUP,
        group,
        {
            "GroupName": "default",
            "Description": "default VPC security group",
            "VpcId": vpc,
            "IpPermissions": [
                {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "UserId": account}]}
            ],
            "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        },
        vpc,
        name=f"{vpc}/default",
    )
    yield row(
        ROUTE_TABLE,
        table,
        {
            "VpcId": vpc,
            "Routes": [
                _route(DEFAULT_VPC_CIDR, "local", "CreateRouteTable"),
                _route("0.0.0.0/0", gateway, "CreateRoute"),
            ],
            "Associations": [_main_association(tx, table)],
        },
        vpc,
    )
    subnets = list(_default_subnets(tx, region))
    for subnet, zone, cidr in subnets:
        yield row(SUBNET, subnet, _subnet_document(vpc, cidr, zone), vpc, zone=zone.name)
    yield row(
        NETWORK_ACL,
        acl,
        {
            "VpcId": vpc,
            "IsDefault": True,
            "Entries": default_acl_entries(),
            "Associations": [
                {
                    "NetworkAclAssociationId": tx.mint("aclassoc"),
                    "NetworkAclId": acl,
                    "SubnetId": subnet,
                }
                for subnet, _, _ in subnets
            ],
        },
        vpc,
    )


def _default_subnets(tx: Tx, region: str) -> Iterator[tuple[str, geography.Zone, str]]:
    network = ipaddress.IPv4Network(DEFAULT_VPC_CIDR)
    cidrs = network.subnets(new_prefix=_DEFAULT_SUBNET_PREFIX)
    for zone, cidr in zip(geography.zones_of(region), cidrs, strict=False):
        yield tx.mint(SUBNET.prefix), zone, str(cidr)


def vpc_document(tx: Tx, cidr: str, dhcp: str, *, is_default: bool) -> dict[str, Any]:
    """The members of EC2's Vpc that do not change by themselves."""
    return {
        "CidrBlock": cidr,
        "DhcpOptionsId": dhcp,
        "InstanceTenancy": "default",
        "IsDefault": is_default,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": tx.mint("vpc-cidr-assoc"),
                "CidrBlock": cidr,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "private": {
            "EnableDnsSupport": True,
            "EnableDnsHostnames": is_default,
            "EnableNetworkAddressUsageMetrics": False,
        },
    }


def _subnet_document(vpc: str, cidr: str, zone: geography.Zone) -> dict[str, Any]:
    return {
        "VpcId": vpc,
        "CidrBlock": cidr,
        "AvailabilityZone": zone.name,
        "AvailabilityZoneId": zone.id,
        "DefaultForAz": True,
        "MapPublicIpOnLaunch": True,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "EnableDns64": False,
        "Ipv6Native": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
    }


def _route(cidr: str, gateway: str, origin: str) -> dict[str, Any]:
    return {
        "DestinationCidrBlock": cidr,
        "GatewayId": gateway,
        "Origin": origin,
        "State": "active",
    }


def _main_association(tx: Tx, table: str) -> dict[str, Any]:
    return {
        "Main": True,
        "RouteTableAssociationId": tx.mint("rtbassoc"),
        "RouteTableId": table,
        "AssociationState": {"State": "associated"},
    }


def default_acl_entries() -> list[dict[str, Any]]:
    """A default ACL lets everything pass; the last rule of each side denies, and cannot go."""
    return [
        {
            "CidrBlock": "0.0.0.0/0",
            "Egress": egress,
            "Protocol": "-1",
            "RuleAction": action,
            "RuleNumber": number,
        }
        for egress in (True, False)
        for number, action in ((100, "allow"), (32767, "deny"))
    ]


def _dhcp_configurations(region: str) -> list[dict[str, Any]]:
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return [
        {"Key": "domain-name", "Values": [{"Value": domain}]},
        {"Key": "domain-name-servers", "Values": [{"Value": "AmazonProvidedDNS"}]},
    ]


def default_subnets(tx: Tx, account: str, region: str) -> list[Row]:
    """The default subnet of each zone that still has one, by zone."""
    found = [row for row in rows.listing(tx, SUBNET, account, region) if row.doc["DefaultForAz"]]
    return sorted(found, key=lambda row: row.zone)


def default_group(tx: Tx, account: str, region: str, vpc: str) -> Row:
    """The group that instances of the VPC are in when their request names none."""
    found = rows.find_named(tx, SECURITY_GROUP, account, region, f"{vpc}/default")
    assert found is not None, f"{vpc} has lost its default group, which cannot be deleted"
    return found
