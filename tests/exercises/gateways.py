"""Exercises of gateways to the internet and to other networks, and of connections over them."""

from __future__ import annotations

from collections.abc import Callable

from exercises.exercise import (
    Document,
    Exercise,
    Ground,
    Live,
    after,
    in_vpc,
    nothing_more,
    tagged,
)


def default_gateway(ground: Live) -> str:
    """Return the internet gateway of the default VPC."""
    [shown] = ground.call("DescribeInternetGateways")["InternetGateways"]
    return str(shown["InternetGatewayId"])


def _nat(ground: Ground) -> Document:
    if ground.knows("elastic-ip") and ground.happens(0.7):
        return {"SubnetId": ground.subnet(), "AllocationId": ground.known("elastic-ip")}
    return {"SubnetId": ground.subnet(), "ConnectivityType": "private"}


def _nat_of_one_zone(ground: Live) -> Callable[[int], Document]:
    """Ask for NAT gateways in two subnets of one zone, which share the zone's quota."""
    asked = {"VpcId": ground.vpc(), "AvailabilityZone": ground.zone()}
    made = ground.call("CreateSubnet", **asked, CidrBlock="172.31.200.0/24")["Subnet"]
    both = (ground.subnet(), made["SubnetId"])
    return lambda n: {"SubnetId": both[n % 2], "ConnectivityType": "private"}


def _customer(ground: Ground) -> Document:
    return {"Type": "ipsec.1", "IpAddress": f"203.0.113.{ground.number(2)}", "BgpAsn": 65000}


def _connection(ground: Ground) -> Document:
    ends = {"customer-gateway": "CustomerGatewayId", "vpn-gateway": "VpnGatewayId"}
    return {"Type": "ipsec.1", **{member: ground.own(kind) for kind, member in ends.items()}}


def _attaching(ground: Ground) -> Document:
    return {"VpnGatewayId": ground.own("vpn-gateway"), "VpcId": ground.vpc()}


_attached = after("AttachVpnGateway", _attaching)


def _propagation(ground: Live) -> Document:
    """Name a route table, and a virtual private gateway of its VPC."""
    gateway, table = _attached(ground)["VpnGatewayId"], ground.own("route-table")
    return {"RouteTableId": table, "GatewayId": gateway}


EXERCISES = (
    Exercise(
        kind="internet-gateway",
        make="CreateInternetGateway",
        ask=nothing_more,
        end="DeleteInternetGateway",
        brought_by="account",
        changes={
            "AttachInternetGateway": lambda ground: {
                "InternetGatewayId": ground.own("internet-gateway"),
                "VpcId": ground.own("vpc"),
            },
            "DetachInternetGateway": lambda ground: {
                "InternetGatewayId": default_gateway(ground),
                "VpcId": ground.vpc(),
            },
        },
    ),
    Exercise(
        kind="egress-only-internet-gateway",
        make="CreateEgressOnlyInternetGateway",
        ask=in_vpc,
        other=tagged("egress-only-internet-gateway"),
        end="DeleteEgressOnlyInternetGateway",
    ),
    Exercise(
        kind="carrier-gateway",
        make="CreateCarrierGateway",
        ask=in_vpc,
        other=tagged("carrier-gateway"),
        end="DeleteCarrierGateway",
    ),
    Exercise(
        kind="natgateway",
        make="CreateNatGateway",
        ask=_nat,
        other=tagged("natgateway"),
        end="DeleteNatGateway",
        crowd=_nat_of_one_zone,
        changes={
            "CreateNatGateway with the same address": lambda ground: {
                "SubnetId": ground.subnet(),
                "AllocationId": ground.own("elastic-ip"),
            },
        },
    ),
    Exercise(
        kind="customer-gateway",
        make="CreateCustomerGateway",
        ask=_customer,
        end="DeleteCustomerGateway",
    ),
    Exercise(
        kind="vpn-gateway",
        make="CreateVpnGateway",
        ask=lambda ground: {"Type": "ipsec.1"},
        end="DeleteVpnGateway",
        changes={
            "AttachVpnGateway": _attaching,
            "DetachVpnGateway": _attached,
            "DisableVgwRoutePropagation": after("EnableVgwRoutePropagation", _propagation),
            "EnableVgwRoutePropagation": _propagation,
        },
    ),
    Exercise(
        kind="vpn-connection",
        make="CreateVpnConnection",
        ask=_connection,
        end="DeleteVpnConnection",
        # A second connection between the same two gateways would be the first one again.
        crowd=lambda ground: lambda n: _connection(ground),
    ),
)
