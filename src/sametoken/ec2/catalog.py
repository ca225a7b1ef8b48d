"""Every action that is served: one row each. The rest of EC2's model answers `InvalidAction`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sametoken.ec2.actions import NOT_INTENT, Action, Change, Create, Read
from sametoken.ec2.operations import (
    accounts,
    attributes,
    capacity_moves,
    capacity_reservations,
    carrier_gateways,
    credits,
    dhcp_options,
    ebs,
    elastic_addresses,
    flow_logs,
    gateways,
    geography,
    image_making,
    instance_types,
    instances,
    interfaces,
    internet_gateways,
    key_pairs,
    launch,
    launch_parameters,
    launch_templates,
    lifecycle,
    monitoring,
    nat_gateways,
    network_acls,
    placement_groups,
    prefix_lists,
    route_tables,
    security_group_rules,
    security_groups,
    snapshots,
    subnets,
    tags,
    volume_copies,
    vpc_endpoints,
    vpcs,
    vpn,
    vpn_gateways,
)
from sametoken.ec2.request import Document, Request
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
    Create(
        "RunInstances",
        launch.perform,
        instances.view,
        validate=launch_parameters.validate,
        zone=launch.zone_of,
        rules=(_LAUNCH_RULES,),
    ),
    Change("TerminateInstances", lifecycle.terminate_instances),
    Change("StopInstances", lifecycle.stop_instances),
    Change("StartInstances", lifecycle.start_instances),
    Change("RebootInstances", lifecycle.reboot_instances),
    Change(
        "ModifyInstanceAttribute",
        attributes.modify_instance_attribute,
        validate=attributes.validate_modify,
    ),
    Change("CreateTags", tags.create_tags, validate=tags.validate_create),
    Change("DeleteTags", tags.delete_tags, validate=tags.validate_delete),
    Read("DescribeInstances", instances.describe_instances, validate=instances.validate),
    Read("DescribeInstanceStatus", instances.describe_instance_status, validate=instances.validate),
    Read("DescribeInstanceCreditSpecifications", attributes.describe_credit_specifications),
    Read("DescribeInstanceAttribute", attributes.describe_instance_attribute),
    Read("GetConsoleOutput", instances.get_console_output),
    Read("DescribeTags", tags.describe_tags),
    *monitoring.ACTIONS,
    *credits.ACTIONS,
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
    *gateways.ACTIONS,
    *carrier_gateways.ACTIONS,
    *vpn_gateways.ACTIONS,
    *vpn.ACTIONS,
    *placement_groups.ACTIONS,
    *prefix_lists.ACTIONS,
    *capacity_reservations.ACTIONS,
    *capacity_moves.ACTIONS,
    *flow_logs.ACTIONS,
    *nat_gateways.ACTIONS,
    *vpc_endpoints.ACTIONS,
    *launch_templates.ACTIONS,
    Read("DescribeRegions", _stateless(geography.describe_regions)),
    Read("DescribeAvailabilityZones", _stateless(geography.describe_availability_zones)),
    *snapshots.ACTIONS,
    *image_making.ACTIONS,
    Read("DescribeInstanceTypes", _stateless(instance_types.describe_instance_types)),
    Read(
        "DescribeInstanceTypeOfferings", _stateless(instance_types.describe_instance_type_offerings)
    ),
)

ACTIONS: Mapping[str, Action] = {action.name: action for action in _ACTIONS}
assert len(ACTIONS) == len(_ACTIONS), "an action is declared once"
