"""Site-to-Site VPN: states of its gateways and connections, and where gateways are attached.

`ec2.gateways.vpn_gateways` and `ec2.gateways.vpn_connections` have the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.vpcs import ROUTE_TABLE
from sametoken.store.port import Tx

# Deleted gateways and connections stay visible "for a while" (their `State` has a value for it);
# EC2 says no more.
_LINGERS = timedelta(hours=1)
_STATES = states(available="deleted", deleted="")

CUSTOMER_GATEWAY = Kind(
    "customer-gateway",
    "cgw",
    "InvalidCustomerGatewayID",
    "customerGateway",
    transitions=_STATES,
    lingers=_LINGERS,
    quota=Quota(50, "CustomerGatewayLimitExceeded"),
    malformed="InvalidCustomerGatewayId.Malformed",
)
VPN_GATEWAY = Kind(
    "vpn-gateway",
    "vgw",
    "InvalidVpnGatewayID",
    "vpnGateway",
    transitions=_STATES,
    lingers=_LINGERS,
    quota=Quota(5, "VpnGatewayLimitExceeded"),
    traits={"VpcAttachments.VpcId": ("VpcAttachments.VpcId",)},
)
# Source: EC2 API reference, VpnConnection `State`.
VPN_CONNECTION = Kind(
    "vpn-connection",
    "vpn",
    "InvalidVpnConnectionID",
    "vpnConnection",
    transitions=states(
        pending="available deleting",
        available="deleting",
        deleting="deleted",
        deleted="",
    ),
    leaving=frozenset({"deleting"}),
    lingers=_LINGERS,
    quota=Quota(50, "VpnConnectionLimitExceeded"),
    traits={
        "CustomerGatewayId": ("CustomerGatewayId",),
        "VpnGatewayId": ("VpnGatewayId",),
    },
)


def attached_vpc(gateway: Row) -> str | None:
    """The VPC that a virtual private gateway is attached to."""
    attached = (one for one in gateway.doc["VpcAttachments"] if one["State"] == "attached")
    return next((str(one["VpcId"]) for one in attached), None)


def attach(tx: Tx, gateway: Row, vpc: str) -> None:
    """Attach the gateway, locked and attached to nothing, to a VPC."""
    rows.change(tx, VPN_GATEWAY, gateway, VpcAttachments=[{"State": "attached", "VpcId": vpc}])
    rows.link(tx, vpc, gateway.id)


def detach(tx: Tx, gateway: Row, vpc: str) -> None:
    """Detach the gateway, locked, from its VPC, whose tables stop learning routes from it."""
    rows.change(tx, VPN_GATEWAY, gateway, VpcAttachments=[{"State": "detached", "VpcId": vpc}])
    rows.unlink(tx, vpc, gateway.id)
    for table in rows.children(tx, [vpc], ROUTE_TABLE)[vpc]:
        if gateway.id in propagating(table):
            held = rows.by_ids(tx, [table.id], lock=True)[table.id]
            set_propagating(tx, held, [one for one in propagating(held) if one != gateway.id])


def propagating(table: Row) -> list[str]:
    """The gateways from which a route table learns routes."""
    return [one["GatewayId"] for one in table.doc.get("PropagatingVgws", ())]


def set_propagating(tx: Tx, table: Row, gateways: Sequence[str]) -> None:
    """Make the table, locked, learn routes from exactly these gateways."""
    rows.change(tx, ROUTE_TABLE, table, PropagatingVgws=[{"GatewayId": one} for one in gateways])
