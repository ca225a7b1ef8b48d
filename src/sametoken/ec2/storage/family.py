"""Volumes, snapshots and images: the actions of this family."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action
from sametoken.ec2.storage import (
    ebs,
    image_attributes,
    image_copies,
    images,
    snapshots,
    volume_copies,
)

ACTIONS: tuple[Action, ...] = (
    *ebs.ACTIONS,
    *image_attributes.ACTIONS,
    *image_copies.ACTIONS,
    *images.ACTIONS,
    *snapshots.ACTIONS,
    *volume_copies.ACTIONS,
)
