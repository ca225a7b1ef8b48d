"""Internet gateways: made alone, attached to at most one VPC, deleted only when detached."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, named
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.network.vpcs import get_vpc
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import INTERNET_GATEWAY, SUBNET
from sametoken.store.port import Tx


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    return {"Attachments": []}


INTERNET_GATEWAYS = Noun(
    INTERNET_GATEWAY,
    build=_build,
    under=frozenset({"Attachments.VpcId"}),
)


def _refuse_attached(tx: Tx, row: Row) -> None:
    if row.doc["Attachments"]:
        raise ServiceError(
            "DependencyViolation",
            f"The internetGateway '{row.id}' has dependencies and cannot be deleted.",
        )


def attach(tx: Tx, request: Request) -> Document:
    """Attach a gateway to a VPC. A repeat is refused, as by EC2."""
    vpc, gateway = get_vpc(tx, request, lock=True), _gateway(tx, request)
    for one in gateway.doc["Attachments"]:
        raise ServiceError(
            "Resource.AlreadyAssociated",
            f"resource {gateway.id} is already attached to network {one['VpcId']}",
        )
    if rows.children(tx, [vpc.id], INTERNET_GATEWAY)[vpc.id]:
        raise refusals.invalid_value(
            "vpcId", vpc.id, f"Network {vpc.id} already has an internet gateway attached."
        )
    # EC2 calls a gateway that is attached "available".
    attachments = [{"State": "available", "VpcId": vpc.id}]
    rows.change(tx, INTERNET_GATEWAY, gateway, Attachments=attachments)
    rows.link(tx, vpc.id, gateway.id)
    return {}


def detach(tx: Tx, request: Request) -> Document:
    """Detach a gateway. Refused while public addresses of the VPC need it."""
    vpc, gateway = get_vpc(tx, request, lock=True), _gateway(tx, request)
    if vpc.id not in [one["VpcId"] for one in gateway.doc["Attachments"]]:
        raise ServiceError(
            "Gateway.NotAttached", f"resource {gateway.id} is not attached to network {vpc.id}"
        )
    if _has_public_addresses(tx, vpc):
        raise ServiceError(
            "DependencyViolation",
            f"Network {vpc.id} has some mapped public address(es). Please unmap those public "
            "address(es) before detaching the gateway.",
        )
    refuse_associated(tx, vpc.id, gateway)
    rows.unlink(tx, vpc.id, gateway.id)
    rows.change(tx, INTERNET_GATEWAY, gateway, Attachments=[])
    return {}


def refuse_associated(tx: Tx, vpc: str, gateway: Row) -> None:
    """Refuse to detach a gateway while a route table of the VPC is associated with it."""
    table = vpcs.edge_table(tx, vpc, gateway.id)
    if table is not None:
        raise ServiceError(
            "DependencyViolation", f"{gateway.id} is associated with route table {table}."
        )


def _has_public_addresses(tx: Tx, vpc: Row) -> bool:
    subnets = [row.id for row in rows.children(tx, [vpc.id], SUBNET)[vpc.id]]
    standing = rows.children(tx, subnets, INTERFACE)
    return any(row.doc.get("Association") for found in standing.values() for row in found)


def _gateway(tx: Tx, request: Request) -> Row:
    return named(tx, request, INTERNET_GATEWAY, "InternetGatewayId", lock=True)


ACTIONS: tuple[Action, ...] = (
    creating(INTERNET_GATEWAYS, "CreateInternetGateway"),
    describing(INTERNET_GATEWAYS),
    deleting(INTERNET_GATEWAYS, "DeleteInternetGateway", check=_refuse_attached),
    Change("AttachInternetGateway", attach, repeats=conflicts("Resource.AlreadyAssociated", "ERR")),
    Change("DetachInternetGateway", detach, repeats=conflicts("Gateway.NotAttached", "ERR")),
)
