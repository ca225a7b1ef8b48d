"""Gateways, to the internet and to other networks: the actions of this family."""

from __future__ import annotations

from sametoken.ec2.gateways import (
    carrier_gateways,
    egress_only_gateways,
    internet_gateways,
    nat_gateways,
    vpn_connections,
    vpn_gateways,
)
from sametoken.ec2.kit.actions import Action

ACTIONS: tuple[Action, ...] = (
    *carrier_gateways.ACTIONS,
    *egress_only_gateways.ACTIONS,
    *internet_gateways.ACTIONS,
    *nat_gateways.ACTIONS,
    *vpn_connections.ACTIONS,
    *vpn_gateways.ACTIONS,
)
