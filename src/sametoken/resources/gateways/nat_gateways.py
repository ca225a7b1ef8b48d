"""NAT gateways: their states. `ec2.gateways.nat_gateways` has the rest."""

from __future__ import annotations

from datetime import timedelta

from sametoken.resources.kit.kinds import ZONE, Kind, Quota, states

# Source: EC2 API reference, NatGateway `State`; "deleted … visible for a short while, usually
# about an hour".
NAT_GATEWAY = Kind(
    "natgateway",
    "nat",
    "InvalidNatGatewayID",
    "NAT gateway",
    malformed="NatGatewayMalformed",
    hides_no_tags=True,
    transitions=states(
        pending="available failed deleting",
        available="deleting",
        failed="deleting",
        deleting="deleted",
        deleted="",
    ),
    leaving=frozenset({"deleting"}),
    lingers=timedelta(hours=1),
    quota=Quota(5, "NatGatewayLimitExceeded", per=ZONE),
    missing="NatGatewayNotFound",
    traits={"SubnetId": ("SubnetId",), "VpcId": ("VpcId",)},
)
