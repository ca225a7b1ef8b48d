"""Subnets: each has a block of its VPC, in one zone, and an ACL from the start.

CreateSubnet takes no client token: a repeat conflicts with the existing subnet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, arn, named
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.network import subnet_blocks
from sametoken.ec2.network.vpcs import canonical_block
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import geography
from sametoken.resources.catalogues.geography import Zone
from sametoken.resources.kit import quotas, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import addresses, cidr_blocks, default_vpc, vpcs
from sametoken.resources.network.cidr_blocks import IPV4, IPV6
from sametoken.resources.network.vpcs import NETWORK_ACL, ROUTE_TABLE, SUBNET, VPC
from sametoken.store.port import Tx

# Filters of DescribeSubnets whose names are not their paths.
SUBNET_PATHS = {
    "customer-owned-ipv4-pool": "",
    "enable-lni-at-device-index": "",
    "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
    "outpost-arn": "",
    "availabilityZone": "AvailabilityZone",
    "availabilityZoneId": "AvailabilityZoneId",
    "cidr": "CidrBlock",
    "cidrBlock": "CidrBlock",
    "defaultForAz": "DefaultForAz",
}
# Name-based attributes of ModifySubnetAttribute -> their names inside the subnet.
_NAME_OPTIONS = {
    "PrivateDnsHostnameTypeOnLaunch": "HostnameType",
    "EnableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecord",
    "EnableResourceNameDnsAAAARecordOnLaunch": "EnableResourceNameDnsAAAARecord",
}
# Flags that need IPv6: they can be switched on while the subnet has a block of it.
_OF_IPV6 = {
    "AssignIpv6AddressOnCreation": "assign-ipv6-address-on-creation",
    "EnableDns64": "enable-dns64",
}
# A flag that needs an Outpost, which no subnet here is on.
_OF_OUTPOSTS = "MapCustomerOwnedIpOnLaunch"
_ASSOCIATED: tuple[Kind, ...] = (ROUTE_TABLE, NETWORK_ACL)


def _validate(request: Request) -> None:
    params = request.params
    if "CidrBlock" not in params:
        raise refusals.missing_parameter("cidrBlock")
    canonical_block(params["CidrBlock"], "InvalidSubnet.Range")
    _refuse_native(request)
    if "Ipv6CidrBlock" in params:
        subnet_blocks.check_block(params["Ipv6CidrBlock"])
    if "AvailabilityZone" in params and "AvailabilityZoneId" in params:
        raise refusals.invalid_combination(
            "Name the zone by AvailabilityZone or by AvailabilityZoneId, not by both"
        )
    _named_zone(request)


def _refuse_native(request: Request) -> None:
    """Refuse true: each subnet here has an IPv4 block. False, which many send, asks for nothing."""
    if request.params.get("Ipv6Native"):
        raise refusals.unsupported("Ipv6Native")


def _named_zone(request: Request) -> Zone | None:
    """The zone that the request names; None when any will do."""
    params, zones = request.params, geography.zones_of(request.region)
    for parameter, part in (("AvailabilityZone", "name"), ("AvailabilityZoneId", "id")):
        if parameter in params:
            by_part = {getattr(zone, part): zone for zone in zones}
            if params[parameter] not in by_part:
                raise refusals.invalid_value(
                    parameter[0].lower() + parameter[1:],
                    params[parameter],
                    "Subnets can currently only be created in the following availability zones: "
                    f"{', '.join(sorted(by_part))}.",
                )
            return by_part[params[parameter]]
    return None


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    # Lock the VPC, so that of two overlapping blocks created at once the second sees the first.
    vpc = rows.by_ids(tx, [parents["VpcId"].id], lock=True)[parents["VpcId"].id]
    block = canonical_block(request.params["CidrBlock"], "InvalidSubnet.Range")
    wanted = ipaddress.IPv4Network(block)
    within = [ipaddress.IPv4Network(one) for one in cidr_blocks.blocks(vpc, IPV4)]
    if not any(wanted.subnet_of(one) for one in within):
        raise ServiceError("InvalidSubnet.Range", f"The CIDR '{block}' is invalid.")
    if any(wanted.overlaps(one) for one in _blocks(tx, vpc)):
        raise ServiceError(
            "InvalidSubnet.Conflict", f"The CIDR '{block}' conflicts with another subnet"
        )
    zones = geography.zones_of(request.region)
    zone = _named_zone(request) or zones[int(tx.world.random() * len(zones))]
    document = vpcs.subnet_document(vpc.id, block, zone)
    if "Ipv6CidrBlock" in request.params:
        asked = request.params["Ipv6CidrBlock"]
        document[IPV6] = [subnet_blocks.new_association(tx, vpc, asked)]
    return document


def _blocks(tx: Tx, vpc: Row) -> list[ipaddress.IPv4Network]:
    """The blocks of the VPC's subnets."""
    standing = rows.children(tx, [vpc.id], SUBNET)[vpc.id]
    return [ipaddress.IPv4Network(row.doc["CidrBlock"]) for row in standing]


def _put_behind_default_acl(tx: Tx, subnet: Row) -> None:
    vpc = subnet.doc["VpcId"]
    standing = rows.children(tx, [vpc], NETWORK_ACL)[vpc]
    default = next(row.id for row in standing if row.doc["IsDefault"])
    acl = rows.by_ids(tx, [default], lock=True)[default]
    associations = [*acl.doc["Associations"], vpcs.acl_association(tx, acl.id, subnet.id)]
    rows.change(tx, NETWORK_ACL, acl, Associations=associations)


def _leave_associations(tx: Tx, subnet: Row) -> None:
    """End a deleted subnet's associations with its route table and its ACL."""
    vpc = subnet.doc["VpcId"]
    for kind in _ASSOCIATED:
        for row in rows.children(tx, [vpc], kind)[vpc]:
            if any(one.get("SubnetId") == subnet.id for one in row.doc["Associations"]):
                held = rows.by_ids(tx, [row.id], lock=True)[row.id]
                kept = [one for one in held.doc["Associations"] if one.get("SubnetId") != subnet.id]
                rows.change(tx, kind, held, Associations=kept)


def _show(row: Row) -> Document:
    form = SUBNETS.generic(row)
    blocked = {"BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"}}
    return {**form, **blocked, "SubnetArn": arn(row)}


def _free_addresses(tx: Tx, page: Sequence[Row]) -> list[Document]:
    held = addresses.taken(tx, [row.id for row in page])
    return [
        {"AvailableIpAddressCount": addresses.size(row.doc["CidrBlock"]) - held[row.id]}
        for row in page
    ]


SUBNETS = Noun(
    SUBNET,
    paths=SUBNET_PATHS,
    parents={"VpcId": VPC},
    accepts={
        "CidrBlock": None, "AvailabilityZone": None, "AvailabilityZoneId": None,
        "Ipv6CidrBlock": None, "Ipv6Native": None,
    },
    build=_build,
    show=_show,
    joins=_free_addresses,
    created=_put_behind_default_acl,
)  # fmt: skip


def _made(tx: Tx, row: Row) -> Document:
    coming = [subnet_blocks.awaited(one) for one in cidr_blocks.listed(row, IPV6)]
    return {"Subnet": {**SUBNETS.form(tx, row), IPV6: coming}}


def create_default_subnet(tx: Tx, request: Request) -> Document:
    """Bring back the default subnet of a zone."""
    _refuse_native(request)
    zone = _named_zone(request)
    if zone is None:
        raise refusals.missing_parameter("availabilityZone")
    account, region = request.account, request.region
    found = default_vpc.find(tx, account, region)
    if found is None:
        raise ServiceError(
            "DefaultVpcDoesNotExist", "No default VPC exists for this account in this region."
        )
    vpc = rows.by_ids(tx, [found.id], lock=True)[found.id]
    standing = rows.find_named(tx, SUBNET, account, region, default_vpc.subnet_name(zone.name))
    if standing is not None:
        raise ServiceError(
            "DefaultSubnetAlreadyExistsInAvailabilityZone",
            f"'{standing.id}' is already the default subnet in {zone.name}.",
        )
    row = Row(
        mint(tx, SUBNET.prefix), SUBNET.name, account, region, "available",
        default_vpc.subnet_document(vpc.id, _free_block(tx, vpc), zone), tx.now,
        zone=zone.name, name=default_vpc.subnet_name(zone.name), parents=(vpc.id,),
    )  # fmt: skip
    quotas.check(tx, row)
    rows.insert(tx, [row])
    _put_behind_default_acl(tx, row)
    return {"Subnet": SUBNETS.form(tx, row)}


def _free_block(tx: Tx, vpc: Row) -> str:
    taken = _blocks(tx, vpc)
    for block in default_vpc.subnet_blocks():
        if not any(ipaddress.IPv4Network(block).overlaps(one) for one in taken):
            return block
    raise ServiceError("InvalidSubnet.Conflict", f"{vpc.id} has no free block of that size.")


def modify_subnet_attribute(tx: Tx, request: Request) -> Document:
    """Set one attribute; EC2 takes no two at once."""
    asked = {
        name: value["Value"] if isinstance(value, dict) else value
        for name, value in request.params.items()
        if name not in ("SubnetId", "DryRun")
    }
    if len(asked) != 1:
        raise refusals.invalid_combination("Modify exactly one attribute of the subnet")
    row = named(tx, request, SUBNET, "SubnetId", lock=True)
    [(name, value)] = asked.items()
    rows.change(tx, SUBNET, row, **_change(row, name, value))
    return {}


def _change(row: Row, name: str, value: Any) -> Document:
    """The members of the subnet that an attribute changes."""
    if name in _NAME_OPTIONS:
        if name == "PrivateDnsHostnameTypeOnLaunch" and value not in ("ip-name", "resource-name"):
            raise refusals.invalid_value(name, value, "Use ip-name or resource-name.")
        options = row.doc["PrivateDnsNameOptionsOnLaunch"]
        return {"PrivateDnsNameOptionsOnLaunch": {**options, _NAME_OPTIONS[name]: value}}
    if name == "MapPublicIpOnLaunch" or (name in (*_OF_IPV6, _OF_OUTPOSTS) and not value):
        return {name: value}
    if name in _OF_IPV6:
        if not cidr_blocks.has_ipv6(row):
            # The wording is EC2's (terraform-aws-vpc, issue 735).
            flag = _OF_IPV6[name]
            raise ServiceError(
                "InvalidParameterValue",
                f"Invalid value 'true' for {flag}. Cannot set {flag} to true unless the subnet "
                f"({row.id}) has an IPv6 CIDR block associated with it.",
            )
        return {name: value}
    if name == _OF_OUTPOSTS:
        raise refusals.invalid_value(name, "true", f"{row.id} is on no Outpost.")
    raise refusals.unsupported(name)


ACTIONS: tuple[Action, ...] = (
    creating(
        SUBNETS,
        "CreateSubnet",
        validate=_validate,
        result=_made,
        repeats=conflicts("InvalidSubnet.Conflict", "ERR"),
    ),
    describing(SUBNETS),
    deleting(SUBNETS, "DeleteSubnet", follow=_leave_associations),
    Change(
        "CreateDefaultSubnet",
        create_default_subnet,
        repeats=conflicts("DefaultSubnetAlreadyExistsInAvailabilityZone", "ERR"),
    ),
    Change("ModifySubnetAttribute", modify_subnet_attribute, repeats=same("DER")),
)
