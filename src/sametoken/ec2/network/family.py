"""Networks: VPCs, what is in them, and what watches them: the actions of this family."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action
from sametoken.ec2.network import (
    dhcp_options,
    elastic_addresses,
    endpoint_services,
    flow_logs,
    interfaces,
    network_acls,
    prefix_lists,
    route_tables,
    security_group_rules,
    security_groups,
    subnet_blocks,
    subnets,
    traffic_mirror_targets,
    vpc_blocks,
    vpc_endpoints,
    vpcs,
)

ACTIONS: tuple[Action, ...] = (
    *dhcp_options.ACTIONS,
    *elastic_addresses.ACTIONS,
    *endpoint_services.ACTIONS,
    *flow_logs.ACTIONS,
    *interfaces.ACTIONS,
    *network_acls.ACTIONS,
    *prefix_lists.ACTIONS,
    *route_tables.ACTIONS,
    *security_group_rules.ACTIONS,
    *security_groups.ACTIONS,
    *subnet_blocks.ACTIONS,
    *subnets.ACTIONS,
    *traffic_mirror_targets.ACTIONS,
    *vpc_blocks.ACTIONS,
    *vpc_endpoints.ACTIONS,
    *vpcs.ACTIONS,
)
