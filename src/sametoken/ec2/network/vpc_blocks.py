"""More blocks for a VPC: secondary IPv4 ones, and IPv6 ones of Amazon's.

A block comes with a local route in every route table of the VPC. The first IPv6 block also opens
the VPC's guards for IPv6, where nobody has changed them: network ACLs and security groups.
"""

from __future__ import annotations

import ipaddress
import re

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.parameters import refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts, doubles
from sametoken.ec2.kit.request import Request
from sametoken.ec2.network.vpcs import (
    amazons_block,
    awaited,
    canonical_block,
    check_border_group,
    get_vpc,
)
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import listings, quotas, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import malformed_resource_id
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import cidr_blocks, ipv6_pool, security_groups, vpcs
from sametoken.resources.network.cidr_blocks import BLOCKS, IPV4, IPV6
from sametoken.resources.network.vpcs import NETWORK_ACL, ROUTE_TABLE, SECURITY_GROUP, SUBNET, VPC
from sametoken.store.port import Tx

_ASSOCIATED_WITH = (
    "AmazonProvidedIpv6CidrBlock", "CidrBlock", "Ipv6CidrBlockNetworkBorderGroup", "VpcId",
)  # fmt: skip
# The member of an answer that shows one association.
_SHOWN = {IPV4: "CidrBlockAssociation", IPV6: "Ipv6CidrBlockAssociation"}
_ID = re.compile(rf"{cidr_blocks.OF_VPC}-(?:[0-9a-f]{{17}}|[0-9a-f]{{8}})\Z")


def _validate(request: Request) -> None:
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(_ASSOCIATED_WITH))
    VPC.check_id(params["VpcId"])
    # False, which many clients send, asks for nothing.
    of_amazon = params.get("AmazonProvidedIpv6CidrBlock", False)
    if of_amazon and "CidrBlock" in params:
        raise refusals.invalid_combination("Associate one block in a request, not two.")
    if not of_amazon:
        if "CidrBlock" not in params:
            raise refusals.missing_parameter("cidrBlock or amazonProvidedIpv6CidrBlock")
        canonical_block(params["CidrBlock"], "InvalidVpc.Range")
    check_border_group(request)


def associate(tx: Tx, request: Request) -> Document:
    """Give a VPC one more block, and tell that it is on its way."""
    vpc = get_vpc(tx, request, lock=True)
    if "CidrBlock" in request.params:
        member, made = IPV4, _asked(tx, request, vpc)
        shown = cidr_blocks.with_state(made, IPV4, "associating")
    else:
        member, made = IPV6, amazons_block(tx, vpc.region)
        shown = awaited(made)
    standing = cidr_blocks.listed(vpc, member)
    # The quota holds for IPv4 and for IPv6 blocks separately (VPC user guide, "Amazon VPC quotas").
    quotas.refuse_beyond(tx, "vpc-cidr-block", vpc.account, vpc.region, len(standing) + 1)
    _set(tx, vpc, member, [*standing, made])
    _route(tx, vpc, made[BLOCKS[member]])
    if member == IPV6 and not standing:
        _open_acls(tx, vpc)
        _open_groups(tx, vpc)
    return {"VpcId": vpc.id, _SHOWN[member]: shown}


def _set(tx: Tx, vpc: Row, member: str, associations: list[Document]) -> None:
    changed: Document = {member: associations}
    rows.change(tx, VPC, vpc, **changed)


def _asked(tx: Tx, request: Request, vpc: Row) -> Document:
    block = canonical_block(request.params["CidrBlock"], "InvalidVpc.Range")
    wanted = ipaddress.IPv4Network(block)
    for one in cidr_blocks.blocks(vpc, IPV4):
        if wanted.overlaps(ipaddress.IPv4Network(one)):
            raise ServiceError("InvalidVpc.Range", f"The CIDR '{block}' conflicts with {one}.")
    for table in rows.children(tx, [vpc.id], ROUTE_TABLE)[vpc.id]:
        for route in table.doc["Routes"]:
            to = route.get("DestinationCidrBlock")
            # "It must not be the same or larger than a destination" (VPC user guide).
            if to is not None and ipaddress.IPv4Network(to).subnet_of(wanted):
                raise ServiceError(
                    "InvalidVpc.Range", f"The CIDR '{block}' conflicts with a route of {table.id}."
                )
    return cidr_blocks.associated(mint(tx, cidr_blocks.OF_VPC), IPV4, block)


def _route(tx: Tx, vpc: Row, block: str) -> None:
    """Lead the block's traffic to the VPC itself, in each of its tables."""
    local = vpcs.local_route(block)
    tables = [row.id for row in rows.children(tx, [vpc.id], ROUTE_TABLE)[vpc.id]]
    for table in rows.by_ids(tx, tables, lock=True).values():
        rows.change(tx, ROUTE_TABLE, table, Routes=[local, *table.doc["Routes"]])


def _open_acls(tx: Tx, vpc: Row) -> None:
    """Add the entries for IPv6: to the default ACL those that allow, unless it was changed."""
    acls = [row.id for row in rows.children(tx, [vpc.id], NETWORK_ACL)[vpc.id]]
    for acl in rows.by_ids(tx, acls, lock=True).values():
        entries = acl.doc["Entries"]
        more = vpcs.ipv6_acl_entries("deny")
        if acl.doc["IsDefault"]:
            untouched = vpcs.default_acl_entries(vpc)
            for egress in (True, False):
                way = [one for one in entries if one["Egress"] is egress]
                if way == [one for one in untouched if one["Egress"] is egress]:
                    allowed = vpcs.ipv6_acl_entries("allow")
                    more += [one for one in allowed if one["Egress"] is egress]
        places = {(one["Egress"], one["RuleNumber"]) for one in entries}
        new = [one for one in more if (one["Egress"], one["RuleNumber"]) not in places]
        rows.change(tx, NETWORK_ACL, acl, Entries=vpcs.in_order([*entries, *new]))


def _open_groups(tx: Tx, vpc: Row) -> None:
    """Let IPv6 out of each group whose outbound rules nobody has changed."""
    groups = rows.children(tx, [vpc.id], SECURITY_GROUP)[vpc.id]
    rules = security_groups.rules_of(tx, [group.id for group in groups])
    untouched = security_groups.outbound_rule()
    for group in groups:
        outbound = [one.doc for one in rules[group.id] if one.doc["IsEgress"]]
        if len(outbound) == 1 and untouched.items() <= outbound[0].items():
            rule = security_groups.rule(tx, group, security_groups.ipv6_outbound_rule())
            rows.insert(tx, [rule])


def disassociate(tx: Tx, request: Request) -> Document:
    """Take a block from its VPC, which keeps its primary one and those that subnets are in."""
    id = request.params["AssociationId"]
    vpc, member, association = _standing(tx, request, id)
    block = association[BLOCKS[member]]
    if block == vpc.doc["CidrBlock"]:
        raise ServiceError(
            "OperationNotPermitted",
            f"The vpc CIDR block with association ID {id} may not be disassociated. It is the "
            "primary IPv4 CIDR block of the VPC",
        )
    if any(_is_within(subnet, member, block) for subnet in _subnets(tx, vpc)):
        raise ServiceError(
            "InvalidCidrBlock.InUse",
            f"The vpc {vpc.id} currently has a subnet within CIDR block {block}",
        )
    kept = [one for one in cidr_blocks.listed(vpc, member) if one != association]
    _set(tx, vpc, member, kept)
    _unroute(tx, vpc, block)
    ipv6_pool.free(tx, id)
    shown = cidr_blocks.with_state(association, member, "disassociating")
    return {"VpcId": vpc.id, _SHOWN[member]: shown}


def _standing(tx: Tx, request: Request, id: str) -> tuple[Row, str, Document]:
    """The VPC of an association, locked, with the member that lists it."""
    for row in listings.every(tx, VPC, request.account, request.region):
        for member in (IPV4, IPV6):
            for one in cidr_blocks.listed(row, member):
                if one["AssociationId"] == id:
                    return rows.by_ids(tx, [row.id], lock=True)[row.id], member, one
    raise ServiceError(
        "InvalidVpcCidrBlockAssociationID.NotFound",
        f"The vpc CIDR block association ID '{id}' does not exist",
    )


def _subnets(tx: Tx, vpc: Row) -> list[Row]:
    return rows.children(tx, [vpc.id], SUBNET)[vpc.id]


def _is_within(subnet: Row, member: str, block: str) -> bool:
    own = [subnet.doc["CidrBlock"]] if member == IPV4 else cidr_blocks.blocks(subnet, IPV6)
    return any(ipaddress.ip_network(one).overlaps(ipaddress.ip_network(block)) for one in own)


def _unroute(tx: Tx, vpc: Row, block: str) -> None:
    tables = [row.id for row in rows.children(tx, [vpc.id], ROUTE_TABLE)[vpc.id]]
    for table in rows.by_ids(tx, tables, lock=True).values():
        kept = [one for one in table.doc["Routes"] if not _is_to(one, block)]
        rows.change(tx, ROUTE_TABLE, table, Routes=kept)


def _is_to(route: Document, block: str) -> bool:
    return block in (route.get("DestinationCidrBlock"), route.get("DestinationIpv6CidrBlock"))


def _check_id(request: Request) -> None:
    id = request.params["AssociationId"]
    if not _ID.match(id):
        raise malformed_resource_id(
            "InvalidVpcCidrBlockAssociationId", cidr_blocks.OF_VPC, id[:200]
        )


ACTIONS: tuple[Action, ...] = (
    Change(
        "AssociateVpcCidrBlock",
        associate,
        validate=_validate,
        repeats=doubles("DER") + conflicts("InvalidVpc.Range", "DER", way="with a block"),
    ),
    Change(
        "DisassociateVpcCidrBlock",
        disassociate,
        validate=_check_id,
        repeats=conflicts("InvalidVpcCidrBlockAssociationID.NotFound", "FLD"),
    ),
)
