"""Every action that is served: one row each. The rest of EC2's model answers `InvalidAction`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sametoken.ec2.actions import NOT_INTENT, Action, Change, Create, Read
from sametoken.ec2.operations import (
    attributes,
    geography,
    images,
    instance_types,
    instances,
    interfaces,
    launch,
    launch_parameters,
    lifecycle,
    tags,
    volumes,
    vpcs,
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
    Change("DeleteTags", tags.delete_tags),
    Read("DescribeInstances", instances.describe_instances, validate=instances.validate),
    Read(
        "DescribeInstanceStatus", instances.describe_instance_status, validate=instances.validate
    ),
    Read("DescribeInstanceAttribute", attributes.describe_instance_attribute),
    Read("GetConsoleOutput", instances.get_console_output),
    Read("DescribeTags", tags.describe_tags),
    Read("DescribeVolumes", volumes.describe_volumes),
    Read("DescribeNetworkInterfaces", interfaces.describe_network_interfaces),
    Read("DescribeVpcs", vpcs.describe_vpcs),
    Read("DescribeSubnets", vpcs.describe_subnets),
    Read("DescribeSecurityGroups", vpcs.describe_security_groups),
    Read("DescribeRouteTables", vpcs.describe_route_tables),
    Read("DescribeNetworkAcls", vpcs.describe_network_acls),
    Read("DescribeRegions", _stateless(geography.describe_regions)),
    Read("DescribeAvailabilityZones", _stateless(geography.describe_availability_zones)),
    Read("DescribeImages", _stateless(images.describe_images)),
    Read("DescribeInstanceTypes", _stateless(instance_types.describe_instance_types)),
    Read(
        "DescribeInstanceTypeOfferings", _stateless(instance_types.describe_instance_type_offerings)
    ),
)

ACTIONS: Mapping[str, Action] = {action.name: action for action in _ACTIONS}
assert len(ACTIONS) == len(_ACTIONS), "an action is declared once"
