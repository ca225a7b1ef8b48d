"""Every action that is served: one row each. The rest of EC2's model answers `InvalidAction`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sametoken.ec2.account import accounts, geography, tags
from sametoken.ec2.compute import (
    capacity_moves,
    capacity_reservations,
    instance_attributes,
    instance_credits,
    instance_lifecycle,
    instance_monitoring,
    instance_types,
    instances,
    key_pairs,
    launch,
    launch_parameters,
    launch_templates,
    placement_groups,
)
from sametoken.ec2.gateways import (
    carrier_gateways,
    egress_only_gateways,
    internet_gateways,
    nat_gateways,
    vpn_connections,
    vpn_gateways,
)
from sametoken.ec2.kit.actions import NOT_INTENT, Action, Change, Read, Tokened
from sametoken.ec2.kit.repeats import Repeat, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.network import (
    dhcp_options,
    elastic_addresses,
    flow_logs,
    interfaces,
    network_acls,
    prefix_lists,
    route_tables,
    security_group_rules,
    security_groups,
    subnets,
    traffic_mirror_targets,
    vpc_endpoints,
    vpcs,
)
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import ebs, images, snapshots, volume_copies
from sametoken.idempotency import Rules
from sametoken.store.port import Tx


def _stateless(run: Callable[[Request], Document]) -> Callable[[Tx, Request], Document]:
    """An action on built-in data needs no store."""
    return lambda tx, request: run(request)


# What is a set in RunInstances, and what must not be kept in plain text.
_LAUNCH_RULES = Rules(
    version=1,
    ignored=NOT_INTENT,
    sets=frozenset(
        {
            "SecurityGroupIds",
            "SecurityGroups",
            "NetworkInterfaces[].Groups",
            "TagSpecifications",
            "TagSpecifications[].Tags",
        }
    ),
    secrets=frozenset({"UserData"}),
)

_ACTIONS: tuple[Action, ...] = (
    Tokened(
        "RunInstances",
        launch.perform,
        instances.view,
        validate=launch_parameters.validate,
        zone=launch.zone_of,
        rules=(_LAUNCH_RULES,),
        repeats=doubles("DER"),
    ),
    Change("TerminateInstances", instance_lifecycle.terminate_instances, repeats=same("DOC")),
    Change("StopInstances", instance_lifecycle.stop_instances, repeats=same("NAT")),
    Change("StartInstances", instance_lifecycle.start_instances, repeats=same("NAT")),
    Change("RebootInstances", instance_lifecycle.reboot_instances, repeats=same("DER")),
    Change(
        "ModifyInstanceAttribute",
        instance_attributes.modify_instance_attribute,
        validate=instance_attributes.validate_modify,
        repeats=same("DER"),
    ),
    Change("CreateTags", tags.create_tags, validate=tags.validate_create, repeats=same("MOD")),
    Change("DeleteTags", tags.delete_tags, validate=tags.validate_delete, repeats=same("DER")),
    Read("DescribeInstances", instances.describe_instances, validate=instances.validate),
    Read("DescribeInstanceStatus", instances.describe_instance_status, validate=instances.validate),
    Read(
        "DescribeInstanceCreditSpecifications", instance_attributes.describe_credit_specifications
    ),
    Read("DescribeInstanceAttribute", instance_attributes.describe_instance_attribute),
    Read("GetConsoleOutput", instances.get_console_output),
    Read("DescribeTags", tags.describe_tags),
    *instance_monitoring.ACTIONS,
    *instance_credits.ACTIONS,
    *ebs.ACTIONS,
    *volume_copies.ACTIONS,
    *interfaces.ACTIONS,
    *elastic_addresses.ACTIONS,
    *key_pairs.ACTIONS,
    *vpcs.ACTIONS,
    *subnets.ACTIONS,
    *internet_gateways.ACTIONS,
    *dhcp_options.ACTIONS,
    *security_groups.ACTIONS,
    *security_group_rules.ACTIONS,
    *accounts.ACTIONS,
    *route_tables.ACTIONS,
    *network_acls.ACTIONS,
    *egress_only_gateways.ACTIONS,
    *carrier_gateways.ACTIONS,
    *vpn_gateways.ACTIONS,
    *vpn_connections.ACTIONS,
    *placement_groups.ACTIONS,
    *prefix_lists.ACTIONS,
    *capacity_reservations.ACTIONS,
    *capacity_moves.ACTIONS,
    *flow_logs.ACTIONS,
    *traffic_mirror_targets.ACTIONS,
    *nat_gateways.ACTIONS,
    *vpc_endpoints.ACTIONS,
    *launch_templates.ACTIONS,
    Read("DescribeRegions", _stateless(geography.describe_regions)),
    Read("DescribeAvailabilityZones", _stateless(geography.describe_availability_zones)),
    *snapshots.ACTIONS,
    *images.ACTIONS,
    Read("DescribeInstanceTypes", _stateless(instance_types.describe_instance_types)),
    Read(
        "DescribeInstanceTypeOfferings", _stateless(instance_types.describe_instance_type_offerings)
    ),
)

ACTIONS: Mapping[str, Action] = {action.name: action for action in _ACTIONS}
assert len(ACTIONS) == len(_ACTIONS), "an action is declared once"

# What a repeat of each action does that has no token, and once more for ways that end otherwise.
REPEATS: tuple[Repeat, ...] = tuple(
    replace(repeat, action=action.name)
    for action in _ACTIONS
    if not isinstance(action, Read)
    for repeat in action.repeats
)
