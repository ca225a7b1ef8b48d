"""NAT gateways: their states. `ec2.gateways.nat_gateways` has the rest."""

from __future__ import annotations

from datetime import timedelta

from sametoken.resources.kit.kinds import Kind, states
from sametoken.resources.kit.ripening import ripens

# Source: EC2 API reference, NatGateway `State`; "deleted … visible for a short while, usually
# about an hour".
NAT_GATEWAY = ripens(
    Kind(
        "natgateway",
        "nat",
        "InvalidNatGatewayID",
        "NAT gateway",
        transitions=states(
            pending="available failed deleting",
            available="deleting",
            failed="deleting",
            deleting="deleted",
            deleted="",
        ),
        lingers=timedelta(hours=1),
        missing="NatGatewayNotFound",
    )
)
