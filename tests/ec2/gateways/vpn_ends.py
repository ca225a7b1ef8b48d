"""Gateways and connections of VPNs, made through a client, for both suites of VPNs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from plane import Plane
from sametoken.resources.kit import ripening


def ripen(plane: Plane) -> None:
    plane.advance(timedelta(seconds=5))
    while plane.run(ripening.ripen_due):
        pass


def customer(ec2: Any, **more: Any) -> str:
    asked = {"Type": "ipsec.1", "IpAddress": "198.51.100.7", "BgpAsn": 65010, **more}
    return str(ec2.create_customer_gateway(**asked)["CustomerGateway"]["CustomerGatewayId"])


def gateway(ec2: Any, **more: Any) -> str:
    made = ec2.create_vpn_gateway(Type="ipsec.1", **more)["VpnGateway"]
    return str(made["VpnGatewayId"])


def ends(ec2: Any) -> dict[str, Any]:
    """Make a gateway for each end, and return the parameters of a connection between them."""
    return {
        "Type": "ipsec.1", "CustomerGatewayId": customer(ec2), "VpnGatewayId": gateway(ec2),
    }  # fmt: skip


def connect(ec2: Any, asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = ec2.create_vpn_connection(**{**asked, **more})["VpnConnection"]
    return made
