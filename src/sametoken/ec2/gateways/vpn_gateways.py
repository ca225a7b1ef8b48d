"""The gateways at both ends of a Site-to-Site VPN: customer gateways, virtual private gateways.

EC2 takes no client token for either. CreateCustomerGateway is idempotent by its parameters: "An
identical request returns information about the existing customer gateway; it doesn't create a new
customer gateway" (EC2 API reference); tags are not compared. A repeated CreateVpnGateway makes
another.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json

from sametoken.ec2.gateways.internet_gateways import refuse_associated
from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, living
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.gateways import vpn
from sametoken.resources.gateways.vpn import CUSTOMER_GATEWAY, VPN_CONNECTION, VPN_GATEWAY
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.vpcs import ROUTE_TABLE, VPC
from sametoken.store.port import Tx

# Source: EC2 API reference, CreateCustomerGateway: the default ASN, and the ranges.
_CUSTOMER_ASN = 65_000
_ASN_RANGES = {"BgpAsn": (1, 2**31 - 1), "BgpAsnExtended": (2**31, 2**32 - 1)}
_DEVICE_CHARACTERS_MAX = 255


def _validate_customer(request: Request) -> None:
    params = request.params
    if all(name in params for name in _ASN_RANGES):
        raise refusals.invalid_combination("Give either BgpAsn or BgpAsnExtended")
    for name, (least, most) in _ASN_RANGES.items():
        if name in params and not least <= params[name] <= most:
            raise refusals.invalid_value(name, params[name], f"From {least} to {most}.")
    if len(params.get("DeviceName", "")) > _DEVICE_CHARACTERS_MAX:
        raise refusals.invalid_value(
            "DeviceName", params["DeviceName"][:200], f"Up to {_DEVICE_CHARACTERS_MAX} characters."
        )
    if "IpAddress" in params and "PublicIp" in params:
        raise refusals.invalid_combination("PublicIp is an old name of IpAddress; give one of them")
    address = params.get("IpAddress", params.get("PublicIp"))
    if address is None:
        if "CertificateArn" not in params:
            raise refusals.missing_parameter("IpAddress")
        return
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise refusals.invalid_value("IpAddress", address[:200], "This is no address.") from None


def _customer(request: Request) -> Document:
    """The members of the customer gateway that a request asks for; they are its identity."""
    params = request.params
    asn = "BgpAsnExtended" if "BgpAsnExtended" in params else "BgpAsn"
    document = {"Type": params["Type"], asn: str(params.get(asn, _CUSTOMER_ASN))}
    if "IpAddress" in params or "PublicIp" in params:
        document["IpAddress"] = params.get("IpAddress", params.get("PublicIp"))
    return document | {
        name: params[name] for name in ("CertificateArn", "DeviceName") if name in params
    }


def _customer_key(document: Document) -> str:
    """The natural key of a customer gateway: a digest, as members may not fit the column."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _standing_customer(tx: Tx, request: Request) -> Row | None:
    key = _customer_key(_customer(request))
    return rows.find_named(tx, CUSTOMER_GATEWAY, request.account, request.region, key)


CUSTOMER_GATEWAYS = Noun(
    CUSTOMER_GATEWAY,
    accepts=dict.fromkeys(
        ("BgpAsn", "BgpAsnExtended", "CertificateArn", "DeviceName", "IpAddress", "PublicIp",
         "Type")
    ),
    build=lambda tx, request, parents: _customer(request),
    name=lambda request, document: _customer_key(_customer(request)),
)  # fmt: skip


def _refuse_connected(tx: Tx, row: Row) -> None:
    if rows.children(tx, [row.id], VPN_CONNECTION)[row.id]:
        raise ServiceError("IncorrectState", f"The {row.kind} '{row.id}' has VPN connections.")


# Filters of DescribeVpnGateways whose names are not their paths.
GATEWAY_PATHS = {
    "attachment.state": "VpcAttachments[].State",
    "attachment.vpc-id": "VpcAttachments[].VpcId",
}
# Source: EC2 API reference, CreateVpnGateway: the private ASNs, and the default one.
AMAZON_ASN = 64_512
_AMAZON_ASNS = ((64_512, 65_534), (4_200_000_000, 4_294_967_294))


def _validate_gateway(request: Request) -> None:
    asn = request.params.get("AmazonSideAsn", AMAZON_ASN)
    if not any(least <= asn <= most for least, most in _AMAZON_ASNS):
        ranges = " or ".join(f"{least} to {most}" for least, most in _AMAZON_ASNS)
        raise refusals.invalid_value("AmazonSideAsn", asn, f"Use a private one, {ranges}.")


def _build_gateway(tx: Tx, request: Request, parents: Parents) -> Document:
    asked = {name: request.params[name] for name in request.params if name in VPN_GATEWAYS.accepts}
    return {"AmazonSideAsn": AMAZON_ASN, "VpcAttachments": [], **asked}


VPN_GATEWAYS = Noun(
    VPN_GATEWAY,
    paths=GATEWAY_PATHS,
    accepts=dict.fromkeys(("AmazonSideAsn", "AvailabilityZone", "Type")),
    build=_build_gateway,
)


def _refuse_attached(tx: Tx, row: Row) -> None:
    vpc = vpn.attached_vpc(row)
    if vpc is not None:
        raise ServiceError("IncorrectState", f"The vpnGateway '{row.id}' is attached to {vpc}.")
    _refuse_connected(tx, row)


def _gateway(tx: Tx, request: Request, parameter: str) -> Row:
    return living(tx, request, VPN_GATEWAY, request.params[parameter], lock=True)


def attach(tx: Tx, request: Request) -> Document:
    """Attach a gateway to a VPC; each has at most one. A repeat is refused."""
    gateway = _gateway(tx, request, "VpnGatewayId")
    vpc = living(tx, request, VPC, request.params["VpcId"], lock=True)
    other = vpn.attached_vpc(gateway)
    if other is not None:
        raise ServiceError(
            "VpnGatewayAttachmentLimitExceeded",
            f"The vpnGateway '{gateway.id}' is already attached to {other}.",
        )
    for one in rows.children(tx, [vpc.id], VPN_GATEWAY)[vpc.id]:
        raise ServiceError("InvalidVpcState", f"{one.id} is already attached to '{vpc.id}'.")
    vpn.attach(tx, gateway, vpc.id)
    return {"VpcAttachment": {"State": "attaching", "VpcId": vpc.id}}


def detach(tx: Tx, request: Request) -> Document:
    """Detach a gateway. A repeat is refused: there is no attachment any more."""
    gateway, vpc = _gateway(tx, request, "VpnGatewayId"), request.params["VpcId"]
    if vpn.attached_vpc(gateway) != vpc:
        raise ServiceError(
            "InvalidVpnGatewayAttachment.NotFound",
            f"The attachment with vpnGateway ID '{gateway.id}' and vpc ID '{vpc[:200]}' does not "
            "exist",
        )
    refuse_associated(tx, vpc, gateway)
    vpn.detach(tx, gateway, vpc)
    return {}


def enable_propagation(tx: Tx, request: Request) -> Document:
    """Have a table learn routes from a gateway of its VPC. Idempotent by nature."""
    table = living(tx, request, ROUTE_TABLE, request.params["RouteTableId"], lock=True)
    gateway = _gateway(tx, request, "GatewayId")
    if vpn.attached_vpc(gateway) != table.doc["VpcId"]:
        raise ServiceError(
            "Gateway.NotAttached",
            f"resource {gateway.id} is not attached to network {table.doc['VpcId']}",
        )
    if gateway.id not in vpn.propagating(table):
        vpn.set_propagating(tx, table, [*vpn.propagating(table), gateway.id])
    return {}


def disable_propagation(tx: Tx, request: Request) -> Document:
    """Stop a table from learning routes from a gateway. Idempotent by nature."""
    table = living(tx, request, ROUTE_TABLE, request.params["RouteTableId"], lock=True)
    gateway = _gateway(tx, request, "GatewayId")
    vpn.set_propagating(tx, table, [one for one in vpn.propagating(table) if one != gateway.id])
    return {}


def _made(tx: Tx, row: Row) -> Document:
    """The result of a create, which leaves out tags if there are none, unlike a Describe."""
    shown = VPN_GATEWAYS.shown(row)
    return {"VpnGateway": {name: shown[name] for name in shown if name != "Tags" or shown[name]}}


ACTIONS: tuple[Action, ...] = (
    creating(
        CUSTOMER_GATEWAYS,
        "CreateCustomerGateway",
        validate=_validate_customer,
        standing=_standing_customer,
        repeats=same("MOD"),
    ),
    describing(CUSTOMER_GATEWAYS),
    deleting(CUSTOMER_GATEWAYS, "DeleteCustomerGateway", check=_refuse_connected),
    creating(VPN_GATEWAYS, "CreateVpnGateway", validate=_validate_gateway, result=_made),
    describing(VPN_GATEWAYS),
    deleting(VPN_GATEWAYS, "DeleteVpnGateway", check=_refuse_attached),
    Change(
        "AttachVpnGateway", attach, repeats=conflicts("VpnGatewayAttachmentLimitExceeded", "ERR")
    ),
    Change(
        "DetachVpnGateway", detach, repeats=conflicts("InvalidVpnGatewayAttachment.NotFound", "ERR")
    ),
    Change("EnableVgwRoutePropagation", enable_propagation, repeats=same("DER")),
    Change("DisableVgwRoutePropagation", disable_propagation, repeats=same("DER")),
)
