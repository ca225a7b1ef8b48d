"""Instances, how they are launched, and what they are launched from: the actions of this family."""

from __future__ import annotations

from sametoken.ec2.compute import (
    capacity_moves,
    capacity_reservations,
    instance_attributes,
    instance_credits,
    instance_lifecycle,
    instance_monitoring,
    instance_reservations,
    instance_types,
    instances,
    key_pairs,
    launch,
    launch_templates,
    placement_groups,
)
from sametoken.ec2.kit.actions import Action

ACTIONS: tuple[Action, ...] = (
    *capacity_moves.ACTIONS,
    *capacity_reservations.ACTIONS,
    *instance_attributes.ACTIONS,
    *instance_credits.ACTIONS,
    *instance_lifecycle.ACTIONS,
    *instance_monitoring.ACTIONS,
    *instance_reservations.ACTIONS,
    *instance_types.ACTIONS,
    *instances.ACTIONS,
    *key_pairs.ACTIONS,
    *launch.ACTIONS,
    *launch_templates.ACTIONS,
    *placement_groups.ACTIONS,
)
