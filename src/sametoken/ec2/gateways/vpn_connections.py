"""Site-to-Site VPN connections between a customer gateway and a virtual private gateway.

CreateVpnConnection takes no client token: "This is an idempotent operation. If you perform the
operation more than once, Amazon EC2 doesn't return an error" (EC2 API reference). A request that is
equal apart from tags answers with the standing connection. Tunnels stay down: no device is here.
"""

from __future__ import annotations

import ipaddress

from sametoken.ec2.gateways import vpn_tunnels
from sametoken.ec2.gateways.vpn_gateways import AMAZON_ASN, CUSTOMER_GATEWAYS
from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.filters import compile_filters
from sametoken.ec2.kit.nouns import Noun, Parents, living, requested_tags, shown_members
from sametoken.ec2.kit.parameters import Accepted
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.gateways.vpn import CUSTOMER_GATEWAY, VPN_CONNECTION, VPN_GATEWAY
from sametoken.resources.kit import endings, kinds, listings, ripening, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import public_addresses
from sametoken.store.port import Tx

# CHANGE_SECONDS is long enough that callers see `pending` and `deleting`; EC2 takes minutes.
CHANGE_SECONDS = 2.0
_IPSEC = "ipsec.1"
# States in which EC2 shows the device's configuration.
_CONFIGURABLE = ("pending", "available")

# Source: EC2 API reference, DescribeVpnConnections, "Filters"; `bgp-asn` is looked up apart.
CONNECTION_PATHS = {
    "route.destination-cidr-block": "",
    "bgp-asn": "",
    "transit-gateway-id": "",
}
# Source: EC2 API reference, VpnConnectionOptionsSpecification.
_OPTION_DEFAULTS: Document = {
    "EnableAcceleration": False,
    "LocalIpv4NetworkCidr": "0.0.0.0/0",
    "OutsideIpAddressType": "PublicIpv4",
    "RemoteIpv4NetworkCidr": "0.0.0.0/0",
    "StaticRoutesOnly": False,
    "TunnelBandwidth": "standard",
    "TunnelInsideIpVersion": "ipv4",
}
# Options that only a transit gateway can change from their defaults; here are none.
_ONLY_DEFAULT = (
    "EnableAcceleration", "OutsideIpAddressType", "TunnelBandwidth", "TunnelInsideIpVersion",
)  # fmt: skip
_OPTIONS: Accepted = {**dict.fromkeys(_OPTION_DEFAULTS), "TunnelOptions": vpn_tunnels.ACCEPTED}


def _validate_connection(request: Request) -> None:
    params = request.params
    if params["Type"] != _IPSEC:
        raise refusals.invalid_value("Type", params["Type"][:200], f"Use {_IPSEC}.")
    if "TransitGatewayId" in params:
        raise kinds.not_found(
            "InvalidTransitGatewayID", "transitGateway", params["TransitGatewayId"][:200]
        )
    if params.get("PreSharedKeyStorage", "Standard") != "Standard":
        raise refusals.unsupported(f"PreSharedKeyStorage={params['PreSharedKeyStorage'][:200]}")
    options = params.get("Options", {})
    for name in _ONLY_DEFAULT:
        if options.get(name, _OPTION_DEFAULTS[name]) != _OPTION_DEFAULTS[name]:
            raise refusals.unsupported(f"Options.{name}={options[name]}")
    for name in ("LocalIpv4NetworkCidr", "RemoteIpv4NetworkCidr"):
        try:
            ipaddress.IPv4Network(options.get(name, _OPTION_DEFAULTS[name]))
        except ValueError:
            raise refusals.invalid_value(
                name, options[name][:200], "This is not a valid CIDR block."
            ) from None
    vpn_tunnels.check(options.get("TunnelOptions", ()))


def _intent(request: Request) -> Document:
    """The options of a request with EC2's defaults, in the form in which two requests compare."""
    given = request.params.get("Options", {})
    tunnels = vpn_tunnels.intent(given.get("TunnelOptions", ()))
    return {**_OPTION_DEFAULTS, **given, "TunnelOptions": tunnels}


def _standing_connection(tx: Tx, request: Request) -> Row | None:
    """The connection that an equal request made; any other between the two gateways is a conflict.

    The customer gateway is locked, so that of two requests at once the second sees the first's.
    """
    params = request.params
    customer = living(tx, request, CUSTOMER_GATEWAY, params["CustomerGatewayId"], lock=True)
    for row in rows.children(tx, [customer.id], VPN_CONNECTION)[customer.id]:
        if row.state == "deleting" or row.doc.get("VpnGatewayId") != params.get("VpnGatewayId"):
            continue
        if row.private["intent"] == _intent(request):
            return row
        raise ServiceError(
            "InvalidOption.Conflict",
            f"The VPN connection {row.id} between these gateways has other options.",
        )
    return None


def _lay_out_connection(tx: Tx, request: Request, parents: Parents) -> Row:
    params, id = request.params, mint(tx, VPN_CONNECTION.prefix)
    customer, gateway = parents["CustomerGatewayId"], parents.get("VpnGatewayId")
    standing = (
        rows.children(tx, [gateway.id], VPN_CONNECTION)[gateway.id] if gateway is not None else []
    )
    given = params.get("Options", {})
    tunnels = vpn_tunnels.lay_out(tx, id, given.get("TunnelOptions", ()), standing)
    document: Document = {
        "CustomerGatewayId": customer.id,
        "Type": params["Type"],
        "Category": "VPN",
        "GatewayAssociationState": "not-associated" if gateway is None else "associated",
        "Options": {**_OPTION_DEFAULTS, **_without_tunnels(given)},
        "Routes": [],
        "Tags": requested_tags(request, VPN_CONNECTION),
        "private": {
            "tunnels": tunnels,
            "intent": _intent(request),
            "customer_address": customer.doc.get("IpAddress", ""),
            "customer_asn": customer.doc.get("BgpAsn", customer.doc.get("BgpAsnExtended")),
            "amazon_asn": AMAZON_ASN if gateway is None else gateway.doc["AmazonSideAsn"],
        },
    }
    if gateway is not None:
        document["VpnGatewayId"] = gateway.id
    return Row(
        id, VPN_CONNECTION.name, request.account, request.region, "pending", document, tx.now,
        parents=tuple(parent.id for parent in parents.values()),
    )  # fmt: skip


def _without_tunnels(options: Document) -> Document:
    return {name: value for name, value in options.items() if name != "TunnelOptions"}


def _created(tx: Tx, row: Row) -> None:
    ripening.plan(tx, row, "available", CHANGE_SECONDS, cause="its tunnels are made")


def show(row: Row) -> Document:
    """EC2's VpnConnection; with the device's configuration, keys and all, only while it lives."""
    document = shown_members(row)
    tunnels = row.private["tunnels"]
    shown: Document = {
        **document,
        "VpnConnectionId": row.id,
        "State": row.state,
        "Options": {**document["Options"], "TunnelOptions": tunnels},
        "VgwTelemetry": [
            {
                "AcceptedRouteCount": 0,
                "LastStatusChange": row.created_at,
                "OutsideIpAddress": one["OutsideIpAddress"],
                "Status": "DOWN",
                "StatusMessage": "",
            }
            for one in tunnels
        ],
    }
    if row.state in _CONFIGURABLE:
        shown["CustomerGatewayConfiguration"] = vpn_tunnels.configuration(row)
    return shown


CONNECTIONS = Noun(
    VPN_CONNECTION,
    paths=CONNECTION_PATHS,
    parents={"CustomerGatewayId": CUSTOMER_GATEWAY, "VpnGatewayId": VPN_GATEWAY},
    accepts={
        **dict.fromkeys(("PreSharedKeyStorage", "TransitGatewayId", "Type")),
        "Options": _OPTIONS,
    },
    lay_out=_lay_out_connection,
    show=show,
    created=_created,
)


def delete(tx: Tx, request: Request) -> Document:
    """Delete a connection: its addresses and keys go at once, its record lingers.

    A repeat succeeds while the connection is `deleting`.
    """
    row = living(tx, request, VPN_CONNECTION, request.params["VpnConnectionId"], lock=True)
    if row.state == "deleting":
        return {}
    public_addresses.free(tx, row.id)
    private = {"tunnels": vpn_tunnels.without_keys(row.private["tunnels"])}
    row = endings.end(
        tx, VPN_CONNECTION, row, state="deleting", cause="DeleteVpnConnection", private=private
    )
    ripening.plan(tx, row, "deleted", CHANGE_SECONDS, cause="DeleteVpnConnection")
    return {}


def describe_connections(tx: Tx, request: Request) -> Document:
    filters = [
        _by_customers(tx, request, one) if one.get("Name") == "bgp-asn" else one
        for one in request.params.get("Filters", ())
    ]
    return describe(
        tx, request.with_params(Filters=filters), VPN_CONNECTION, show, "VpnConnections",
        CONNECTIONS.filters, ids="VpnConnectionIds",
    )  # fmt: skip


def _by_customers(tx: Tx, request: Request, by_asn: Document) -> Document:
    """Turn the filter `bgp-asn` into one by customer gateway: the ASN is a member of those."""
    matches = compile_filters([by_asn], getters(CUSTOMER_GATEWAYS.filters))
    found = listings.every(tx, CUSTOMER_GATEWAY, request.account, request.region)
    ids = [row.id for row in found if matches(CUSTOMER_GATEWAYS.shown(row))]
    return {"Name": "customer-gateway-id", "Values": ids}


ACTIONS: tuple[Action, ...] = (
    creating(
        CONNECTIONS,
        "CreateVpnConnection",
        validate=_validate_connection,
        standing=_standing_connection,
        repeats=same("DOC"),
    ),
    Read("DescribeVpnConnections", describe_connections),
    Change("DeleteVpnConnection", delete, repeats=same("DER")),
)
