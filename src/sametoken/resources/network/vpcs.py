"""VPC-side nouns: VPCs, subnets, security groups, route tables, network ACLs, and the default VPC.

Each Region of each account has a default VPC, with a subnet per zone, as EC2 has it. It is seeded
once, when the account is first seen in the Region; deleting it does not bring it back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sametoken.resources.catalogues import geography
from sametoken.resources.kit import rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import security_groups
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

_LOCK_SEED = (
    sa.select(SEED.c.account)
    .where(SEED.c.account == sa.bindparam("s_account"), SEED.c.region == sa.bindparam("s_region"))
    .with_for_update(key_share=True)
)

VPC = Kind(
    "vpc",
    "vpc",
    "InvalidVpcID",
    "vpc",
    quota=Quota(5, "VpcLimitExceeded"),
    in_use="The vpc '{id}' has dependencies and cannot be deleted.",
)
SUBNET = Kind(
    "subnet",
    "subnet",
    "InvalidSubnetID",
    "subnet",
    quota=Quota(200, "SubnetLimitExceeded", per="VpcId"),
)
# The name of the group that every VPC has, and that callers can neither take nor delete.
DEFAULT_GROUP = "default"
SECURITY_GROUP = Kind(
    "security-group",
    "sg",
    "InvalidGroup",
    "security group",
    malformed="InvalidGroupId",
    quota=Quota(2_500, "SecurityGroupLimitExceeded"),
    goes_with={VPC.name: lambda row, vpc: row.doc["GroupName"] == DEFAULT_GROUP},
    in_use="resource {id} has a dependent object",
)
ROUTE_TABLE = Kind(
    "route-table",
    "rtb",
    "InvalidRouteTableID",
    "routeTable",
    malformed="InvalidRouteTableId",
    quota=Quota(200, "RouteTableLimitExceeded", per="VpcId"),
    part_quotas={"route": Quota(500, "RouteLimitExceeded", per="RouteTableId")},
    goes_with={VPC.name: lambda row, vpc: any(one["Main"] for one in row.doc["Associations"])},
)
NETWORK_ACL = Kind(
    "network-acl",
    "acl",
    "InvalidNetworkAclID",
    "networkAcl",
    quota=Quota(200, "NetworkAclLimitExceeded", per="VpcId"),
    part_quotas={
        "network-acl-entry": Quota(20, "NetworkAclEntryLimitExceeded", per="NetworkAclId")
    },
    goes_with={VPC.name: lambda row, vpc: bool(row.doc["IsDefault"])},
)
INTERNET_GATEWAY = Kind(
    "internet-gateway",
    "igw",
    "InvalidInternetGatewayID",
    "internetGateway",
    malformed="InvalidInternetGatewayId",
    quota=Quota(5, "InternetGatewayLimitExceeded"),
)
# EC2 publishes no number of them.
DHCP_OPTIONS = Kind(
    "dhcp-options",
    "dopt",
    "InvalidDhcpOptionID",
    "dhcpOptions",
    quota=Quota(),
    in_use="The dhcpOptions '{id}' has dependencies and cannot be deleted.",
)

DEFAULT_VPC_CIDR = "172.31.0.0/16"
# EC2 cuts the default VPC into /20 subnets, one a zone, in the order of the zones.
_DEFAULT_SUBNET_PREFIX = 20


def is_seeded(tx: Tx, account: str, region: str) -> bool:
    query = sa.select(SEED.c.account).where(SEED.c.account == account, SEED.c.region == region)
    return tx.execute(query).first() is not None


def lock_region(tx: Tx, account: str, region: str) -> None:
    """Have those who change the account's Region take turns, until this one has committed.

    Taken before anything else is read or locked: what they check then stays so. SQLite's one writer
    needs no lock, and takes none for it.
    """
    tx.execute(_LOCK_SEED, {"s_account": account, "s_region": region})


def seed(tx: Tx, account: str, region: str) -> None:
    """Give the account its default VPC in `region`, unless it had one before."""
    if is_seeded(tx, account, region):
        return
    tx.execute(sa.insert(SEED), {"account": account, "region": region, "seeded_at": tx.now})
    make_default_vpc(tx, account, region)


def make_default_vpc(tx: Tx, account: str, region: str) -> Row:
    """A VPC with a gateway, a route to it, and a subnet in each zone."""
    dhcp = default_dhcp_options(tx, account, region)
    doc = vpc_document(tx, DEFAULT_VPC_CIDR, dhcp, is_default=True)
    vpc = Row(
        mint(tx, VPC.prefix), VPC.name, account, region, "available", doc, tx.now, parents=(dhcp,)
    )
    gateway = _inside(
        tx, vpc, INTERNET_GATEWAY, {"Attachments": [{"State": "available", "VpcId": vpc.id}]}
    )
    zones = zip(geography.zones_of(region), default_subnet_blocks(), strict=False)
    subnets = [
        _inside(tx, vpc, SUBNET, default_subnet_document(vpc.id, cidr, zone), zone=zone.name)
        for zone, cidr in zones
    ]
    outward = route("0.0.0.0/0", gateway.id, "CreateRoute")
    fixtures = new_fixtures(tx, vpc, routes=[outward], subnets=[one.id for one in subnets])
    rows.insert(tx, [vpc, gateway, *subnets, *fixtures])
    return vpc


def default_dhcp_options(tx: Tx, account: str, region: str) -> str:
    """The options a VPC has until it is given others; made when there are none."""
    for row in rows.listing(tx, DHCP_OPTIONS, account, region):
        if row.private.get("IsDefault"):
            return row.id
    id = mint(tx, DHCP_OPTIONS.prefix)
    doc = {
        "DhcpConfigurations": _dhcp_configurations(region),
        "private": {"IsDefault": True},
    }
    rows.insert(tx, [Row(id, DHCP_OPTIONS.name, account, region, "available", doc, tx.now)])
    return id


def _inside(tx: Tx, vpc: Row, kind: Kind, doc: dict[str, Any], **more: Any) -> Row:
    """A new row under `vpc`."""
    return Row(
        mint(tx, kind.prefix), kind.name, vpc.account, vpc.region, "available", doc, tx.now,
        parents=(vpc.id,), **more,
    )  # fmt: skip


def new_fixtures(
    tx: Tx, vpc: Row, *, routes: Sequence[dict[str, Any]] = (), subnets: Sequence[str] = ()
) -> list[Row]:
    """What a VPC has from its first moment to its last: main route table, default ACL, group."""
    local = route(vpc.doc["CidrBlock"], "local", "CreateRouteTable")
    table = _inside(tx, vpc, ROUTE_TABLE, {"VpcId": vpc.id, "Routes": [local, *routes]})
    table.doc["Associations"] = [_main_association(tx, table.id)]
    acl = _inside(tx, vpc, NETWORK_ACL, {"VpcId": vpc.id, "IsDefault": True})
    acl.doc["Entries"] = default_acl_entries()
    acl.doc["Associations"] = [acl_association(tx, acl.id, subnet) for subnet in subnets]
    named = {"GroupName": DEFAULT_GROUP, "Description": "default VPC security group"}
    group = _inside(
        tx, vpc, SECURITY_GROUP, {**named, "VpcId": vpc.id}, name=f"{vpc.id}/{DEFAULT_GROUP}"
    )
    rules = (security_groups.members_rule(group), security_groups.outbound_rule())
    return [table, acl, group, *(security_groups.rule(tx, group, one) for one in rules)]


def default_subnet_blocks() -> list[str]:
    """The blocks a default VPC is cut into."""
    network = ipaddress.IPv4Network(DEFAULT_VPC_CIDR)
    return [str(one) for one in network.subnets(new_prefix=_DEFAULT_SUBNET_PREFIX)]


def vpc_document(tx: Tx, cidr: str, dhcp: str, *, is_default: bool) -> dict[str, Any]:
    """The members of EC2's Vpc that do not change by themselves."""
    return {
        "CidrBlock": cidr,
        "DhcpOptionsId": dhcp,
        "InstanceTenancy": "default",
        "IsDefault": is_default,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": mint(tx, "vpc-cidr-assoc"),
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


def default_subnet_document(vpc: str, cidr: str, zone: geography.Zone) -> dict[str, Any]:
    """As `subnet_document`, for one whose instances are reachable from outside by default."""
    document = subnet_document(vpc, cidr, zone)
    return {**document, "DefaultForAz": True, "MapPublicIpOnLaunch": True}


def subnet_document(vpc: str, cidr: str, zone: geography.Zone) -> dict[str, Any]:
    """The members of EC2's Subnet that do not change by themselves."""
    return {
        "VpcId": vpc,
        "CidrBlock": cidr,
        "AvailabilityZone": zone.name,
        "AvailabilityZoneId": zone.id,
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
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


def route(cidr: str, gateway: str, origin: str) -> dict[str, Any]:
    """An active route to a gateway, in EC2's form."""
    return {
        "DestinationCidrBlock": cidr,
        "GatewayId": gateway,
        "Origin": origin,
        "State": "active",
    }


def _main_association(tx: Tx, table: str) -> dict[str, Any]:
    return {
        "Main": True,
        "RouteTableAssociationId": mint(tx, "rtbassoc"),
        "RouteTableId": table,
        "AssociationState": {"State": "associated"},
    }


def acl_association(tx: Tx, acl: str, subnet: str) -> dict[str, Any]:
    """That `acl` stands before `subnet`."""
    return {
        "NetworkAclAssociationId": mint(tx, "aclassoc"),
        "NetworkAclId": acl,
        "SubnetId": subnet,
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


def find_default_vpc(tx: Tx, account: str, region: str) -> Row | None:
    """The account's default VPC in the Region; None when it was deleted."""
    found = rows.listing(tx, VPC, account, region)
    return next((row for row in found if row.doc.get("IsDefault")), None)


def default_subnets(tx: Tx, account: str, region: str) -> list[Row]:
    """The default subnet of each zone that still has one, by zone."""
    found = [row for row in rows.listing(tx, SUBNET, account, region) if row.doc["DefaultForAz"]]
    return sorted(found, key=lambda row: row.zone)


def default_group(tx: Tx, account: str, region: str, vpc: str) -> Row:
    """The group that instances of the VPC are in when their request names none."""
    found = rows.find_named(tx, SECURITY_GROUP, account, region, f"{vpc}/{DEFAULT_GROUP}")
    assert found is not None, f"{vpc} has lost its default group, which cannot be deleted"
    return found
