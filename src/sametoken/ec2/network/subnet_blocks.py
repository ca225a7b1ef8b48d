"""IPv6 blocks of subnets: asked for at creation, associated and disassociated later."""

from __future__ import annotations

import ipaddress
import re

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import named
from sametoken.ec2.kit.parameters import asked_block, refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import listings, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import malformed_resource_id
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import cidr_blocks
from sametoken.resources.network.cidr_blocks import IPV6
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import SUBNET
from sametoken.store.port import Tx

# "Between /44 and /64, in increments of /4" (VPC user guide, "Subnet CIDR blocks").
PREFIXES = range(44, 65, 4)
_ID = re.compile(rf"{cidr_blocks.OF_SUBNET}-(?:[0-9a-f]{{17}}|[0-9a-f]{{8}})\Z")


def check_block(text: str) -> ipaddress.IPv6Network:
    """Parse the block that a subnet is to have. Raises EC2's refusal of its form or size."""
    network = asked_block("Ipv6CidrBlock", ipaddress.IPv6Network, text)
    if network.prefixlen not in PREFIXES:
        raise ServiceError(
            "InvalidParameterValue", f"invalid value for parameter ipv6-cidr-block: {text}"
        )
    return network


def new_association(tx: Tx, vpc: Row, text: str) -> Document:
    """The association of a subnet with a block of its VPC that no other has. The VPC is locked."""
    wanted = check_block(text)
    within = [ipaddress.IPv6Network(one) for one in cidr_blocks.blocks(vpc, IPV6)]
    if not any(wanted.subnet_of(one) for one in within):
        raise ServiceError("InvalidSubnet.Range", f"The IPv6 CIDR '{text}' is invalid.")
    for subnet in rows.children(tx, [vpc.id], SUBNET)[vpc.id]:
        for one in cidr_blocks.blocks(subnet, IPV6):
            if wanted.overlaps(ipaddress.IPv6Network(one)):
                raise ServiceError(
                    "InvalidSubnet.Conflict",
                    f"The IPv6 CIDR '{text}' conflicts with another subnet",
                )
    return cidr_blocks.associated(mint(tx, cidr_blocks.OF_SUBNET), IPV6, str(wanted))


def awaited(one: Document) -> Document:
    """An association while it is made, as EC2 shows it first."""
    return cidr_blocks.with_state(one, IPV6, "associating")


def _validate(request: Request) -> None:
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(("Ipv6CidrBlock", "SubnetId")))
    SUBNET.check_id(params["SubnetId"])
    if "Ipv6CidrBlock" not in params:
        raise refusals.missing_parameter("ipv6CidrBlock")
    check_block(params["Ipv6CidrBlock"])


def associate(tx: Tx, request: Request) -> Document:
    """Give a subnet its IPv6 block, and tell that it is on its way."""
    found = named(tx, request, SUBNET, "SubnetId")
    # Lock the VPC, so that of two overlapping blocks asked for at once the second sees the first.
    vpc = rows.by_ids(tx, [found.doc["VpcId"]], lock=True)[found.doc["VpcId"]]
    subnet = rows.by_ids(tx, [found.id], lock=True)[found.id]
    if cidr_blocks.has_ipv6(subnet):
        raise ServiceError(
            "CidrLimitExceeded",
            f"This subnet '{subnet.id}' has met its maximum number of allowed IPv6 CIDRs: 1",
        )
    made = new_association(tx, vpc, request.params["Ipv6CidrBlock"])
    rows.change(tx, SUBNET, subnet, Ipv6CidrBlockAssociationSet=[made])
    return {"SubnetId": subnet.id, "Ipv6CidrBlockAssociation": awaited(made)}


def disassociate(tx: Tx, request: Request) -> Document:
    """Take the block from a subnet whose interfaces have none of its addresses."""
    id = request.params["AssociationId"]
    subnet, association = _standing(tx, request, id)
    if subnet.doc.get("AssignIpv6AddressOnCreation"):
        raise _in_use(id, "has assign-ipv6-address-on-creation set to true")
    interfaces = rows.children(tx, [subnet.id], INTERFACE)[subnet.id]
    if any(one.doc["Ipv6Addresses"] for one in interfaces):
        raise _in_use(id, "has network interfaces with IPv6 addresses")
    rows.change(tx, SUBNET, subnet, Ipv6CidrBlockAssociationSet=[])
    shown = cidr_blocks.with_state(association, IPV6, "disassociating")
    return {"SubnetId": subnet.id, "Ipv6CidrBlockAssociation": shown}


def _standing(tx: Tx, request: Request, id: str) -> tuple[Row, Document]:
    """The subnet of an association, locked."""
    for row in listings.every(tx, SUBNET, request.account, request.region):
        for one in cidr_blocks.listed(row, IPV6):
            if one["AssociationId"] == id:
                return rows.by_ids(tx, [row.id], lock=True)[row.id], one
    raise ServiceError(
        "InvalidSubnetCidrBlockAssociationID.NotFound",
        f"The subnet CIDR block with association ID '{id}' does not exist",
    )


def _in_use(id: str, why: str) -> ServiceError:
    """The wording is EC2's for the attribute (terraform-provider-aws, issue 1519)."""
    return ServiceError(
        "InvalidCidrBlock.InUse",
        f"The subnet IPv6 CIDR block with association ID {id} may not be disassociated, because "
        f"its subnet {why}.",
    )


def _check_id(request: Request) -> None:
    id = request.params["AssociationId"]
    if not _ID.match(id):
        raise malformed_resource_id(
            "InvalidSubnetCidrBlockAssociationId", cidr_blocks.OF_SUBNET, id[:200]
        )


ACTIONS: tuple[Action, ...] = (
    Change(
        "AssociateSubnetCidrBlock",
        associate,
        validate=_validate,
        repeats=conflicts("CidrLimitExceeded", "DER"),
    ),
    Change(
        "DisassociateSubnetCidrBlock",
        disassociate,
        validate=_check_id,
        repeats=conflicts("InvalidSubnetCidrBlockAssociationID.NotFound", "FLD"),
    ),
)
