"""VPCs and the kinds inside them: subnets, security groups, route tables, network ACLs and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sametoken.resources.catalogues import geography
from sametoken.resources.kit import rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import cidr_blocks, security_groups
from sametoken.resources.network.cidr_blocks import IPV4, IPV6
from sametoken.store.port import Tx

VPC = Kind(
    "vpc",
    "vpc",
    "InvalidVpcID",
    "vpc",
    hides_no_tags=True,
    quota=Quota(5, "VpcLimitExceeded"),
    part_quotas={"vpc-cidr-block": Quota(5, "CidrLimitExceeded", per="VpcId")},
)
SUBNET = Kind(
    "subnet",
    "subnet",
    "InvalidSubnetID",
    "subnet",
    hides_no_tags=True,
    quota=Quota(200, "SubnetLimitExceeded", per="VpcId"),
    cached=True,
)
# The security group that every VPC has. Callers can neither use its name nor delete it.
DEFAULT_GROUP = "default"
SECURITY_GROUP = Kind(
    "security-group",
    "sg",
    "InvalidGroup",
    "security group",
    malformed="InvalidGroupId.Malformed",
    hides_no_tags=True,
    missing_text="The {noun} '{ids}' {do} not exist",
    cached=True,
    quota=Quota(2_500, "SecurityGroupLimitExceeded"),
    goes_with={VPC.name: lambda row, vpc: row.doc["GroupName"] == DEFAULT_GROUP},
    in_use="resource {id} has a dependent object",
)
ROUTE_TABLE = Kind(
    "route-table",
    "rtb",
    "InvalidRouteTableID",
    "routeTable",
    malformed="InvalidRouteTableId.Malformed",
    quota=Quota(200, "RouteTableLimitExceeded", per="VpcId"),
    part_quotas={"route": Quota(500, "RouteLimitExceeded", per="RouteTableId")},
    goes_with={VPC.name: lambda row, vpc: any(one["Main"] for one in row.doc["Associations"])},
)
NETWORK_ACL = Kind(
    "network-acl",
    "acl",
    "InvalidNetworkAclID",
    "networkAcl",
    malformed="InvalidNetworkAclId.Malformed",
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
    malformed="InvalidInternetGatewayId.Malformed",
    quota=Quota(5, "InternetGatewayLimitExceeded"),
)
# EC2 documents no quota for DHCP options.
DHCP_OPTIONS = Kind(
    "dhcp-options",
    "dopt",
    "InvalidDhcpOptionID",
    "dhcpOptions",
    malformed="InvalidDhcpOptionsId.Malformed",
    quota=Quota(),
)
# The natural key of the DHCP options that new VPCs have.
DEFAULT_OPTIONS = "default"


def default_dhcp_options(tx: Tx, account: str, region: str) -> str:
    """Find the DHCP options that new VPCs have, and make them if there are none. Returns the id."""
    found = rows.find_named(tx, DHCP_OPTIONS, account, region, DEFAULT_OPTIONS)
    if found is not None:
        return found.id
    id = mint(tx, DHCP_OPTIONS.prefix)
    doc = {
        "DhcpConfigurations": _dhcp_configurations(region),
        "private": {"IsDefault": True},
    }
    made = Row(
        id, DHCP_OPTIONS.name, account, region, "available", doc, tx.now, name=DEFAULT_OPTIONS
    )
    rows.insert(tx, [made])
    return id


def inside(tx: Tx, vpc: Row, kind: Kind, doc: dict[str, Any], **more: Any) -> Row:
    """Make a new row under `vpc`, without inserting it."""
    return Row(
        mint(tx, kind.prefix), kind.name, vpc.account, vpc.region, "available", doc, tx.now,
        parents=(vpc.id,), **more,
    )  # fmt: skip


def new_fixtures(
    tx: Tx, vpc: Row, *, routes: Sequence[dict[str, Any]] = (), subnets: Sequence[str] = ()
) -> list[Row]:
    """Make the rows that a VPC always has: main route table, default network ACL, default group."""
    local = local_routes(vpc)
    table = inside(tx, vpc, ROUTE_TABLE, {"VpcId": vpc.id, "Routes": [*local, *routes]})
    table.doc["Associations"] = [_main_association(tx, table.id)]
    acl = inside(tx, vpc, NETWORK_ACL, {"VpcId": vpc.id, "IsDefault": True})
    acl.doc["Entries"] = default_acl_entries(vpc)
    acl.doc["Associations"] = [acl_association(tx, acl.id, subnet) for subnet in subnets]
    named = {"GroupName": DEFAULT_GROUP, "Description": "default VPC security group"}
    group = inside(
        tx, vpc, SECURITY_GROUP, {**named, "VpcId": vpc.id}, name=f"{vpc.id}/{DEFAULT_GROUP}"
    )
    rules = (security_groups.members_rule(group), *outbound_rules(vpc))
    return [table, acl, group, *(security_groups.rule(tx, group, one) for one in rules)]


def vpc_document(tx: Tx, cidr: str, dhcp: str, *, is_default: bool) -> dict[str, Any]:
    """Make the document of a VPC: EC2's members without those computed for each answer."""
    return {
        "CidrBlock": cidr,
        "DhcpOptionsId": dhcp,
        "InstanceTenancy": "default",
        "IsDefault": is_default,
        IPV4: [cidr_blocks.associated(mint(tx, cidr_blocks.OF_VPC), IPV4, cidr)],
        "private": {
            "EnableDnsSupport": True,
            "EnableDnsHostnames": is_default,
            "EnableNetworkAddressUsageMetrics": False,
        },
    }


def subnet_document(vpc: str, cidr: str, zone: geography.Zone) -> dict[str, Any]:
    """Make the document of a subnet: EC2's members without those computed for each answer."""
    return {
        "VpcId": vpc,
        "CidrBlock": cidr,
        "AvailabilityZone": zone.name,
        "AvailabilityZoneId": zone.id,
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        IPV6: [],
        "EnableDns64": False,
        "Ipv6Native": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
    }


def edge_table(tx: Tx, vpc: str, gateway: str) -> str | None:
    """The route table that a gateway's inbound traffic is associated with, if there is one."""
    for table in rows.children(tx, [vpc], ROUTE_TABLE)[vpc]:
        if any(one.get("GatewayId") == gateway for one in table.doc["Associations"]):
            return table.id
    return None


def local_routes(vpc: Row) -> list[dict[str, Any]]:
    """Make the routes that each table has to the VPC's own blocks."""
    return [
        local_route(block) for member in (IPV4, IPV6) for block in cidr_blocks.blocks(vpc, member)
    ]


def local_route(block: str) -> dict[str, Any]:
    """Make the route that each table of a VPC has to one of its blocks."""
    return route(block, "local", "CreateRouteTable")


def route(block: str, gateway: str, origin: str) -> dict[str, Any]:
    """Make an active route to a gateway, in EC2's form."""
    return {
        "DestinationIpv6CidrBlock" if ":" in block else "DestinationCidrBlock": block,
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
    """Make the association of `acl` with `subnet`, in EC2's form."""
    return {
        "NetworkAclAssociationId": mint(tx, "aclassoc"),
        "NetworkAclId": acl,
        "SubnetId": subnet,
    }


def default_acl_entries(vpc: Row) -> list[dict[str, Any]]:
    """Make the entries of a default network ACL, which allow all traffic.

    The last entry of each direction denies, and cannot be deleted.
    """
    entries = [*_acl_entries(100, "allow", "CidrBlock", "0.0.0.0/0"), *final_acl_entries(vpc)]
    more = ipv6_acl_entries("allow") if cidr_blocks.has_ipv6(vpc) else []
    return in_order([*entries, *more])


def final_acl_entries(vpc: Row) -> list[dict[str, Any]]:
    """Make the entries that every network ACL of the VPC ends with, which deny all traffic."""
    entries = _acl_entries(32767, "deny", "CidrBlock", "0.0.0.0/0")
    more = ipv6_acl_entries("deny") if cidr_blocks.has_ipv6(vpc) else []
    return in_order([*entries, *more])


def ipv6_acl_entries(action: str) -> list[dict[str, Any]]:
    """Make the entries for all IPv6 traffic that network ACLs have once their VPC has IPv6.

    Source of the numbers: VPC user guide, "Default network ACL".
    """
    return _acl_entries({"allow": 101, "deny": 32768}[action], action, "Ipv6CidrBlock", "::/0")


def in_order(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort a network ACL's entries: outbound ones first, then by number, as EC2 lists them."""
    return sorted(entries, key=lambda one: (not one["Egress"], one["RuleNumber"]))


def _acl_entries(number: int, action: str, member: str, block: str) -> list[dict[str, Any]]:
    return [
        {
            member: block,
            "Egress": egress,
            "Protocol": "-1",
            "RuleAction": action,
            "RuleNumber": number,
        }
        for egress in (True, False)
    ]


def outbound_rules(vpc: Row) -> list[dict[str, Any]]:
    """Make the rules by which members of a new security group of the VPC reach everything."""
    return [
        security_groups.outbound_rule(),
        *([security_groups.ipv6_outbound_rule()] if cidr_blocks.has_ipv6(vpc) else []),
    ]


def _dhcp_configurations(region: str) -> list[dict[str, Any]]:
    return [
        {"Key": "domain-name", "Values": [{"Value": geography.private_domain(region)}]},
        {"Key": "domain-name-servers", "Values": [{"Value": "AmazonProvidedDNS"}]},
    ]


def default_group(tx: Tx, account: str, region: str, vpc: str) -> Row:
    """Return the VPC's default group, used for instances whose request names no group."""
    found = rows.find_named(tx, SECURITY_GROUP, account, region, f"{vpc}/{DEFAULT_GROUP}")
    assert found is not None, f"{vpc} has lost its default group, which cannot be deleted"
    return found
