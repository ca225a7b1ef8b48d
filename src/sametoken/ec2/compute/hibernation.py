"""Hibernation: launches that may be prepared for it, and instances that may be put to it.

A simulated machine has no memory to keep: to hibernate it is to stop it.

Source: EC2 user guide, "Prerequisites for EC2 instance hibernation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.ec2.compute.launch_documents import Blueprint
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.kit.rows import Row

# REASON is the StateReason, in EC2's words, of an instance that hibernates.
REASON = (
    "Client.UserInitiatedHibernate",
    "Client.UserInitiatedHibernate: User initiated hibernate",
)


def _configured(document: Mapping[str, Any]) -> bool:
    """Return whether a launch asks for hibernation, or an instance was launched for it."""
    return bool(document.get("HibernationOptions", {}).get("Configured"))


def check_launch(blueprint: Blueprint) -> None:
    """Refuse a launch prepared for hibernation on a type, or with a root volume, that has none."""
    if not _configured(blueprint.params):
        return
    kind = blueprint.instance_type
    if not instance_types.describe(kind)["HibernationSupported"]:
        raise _unsupported(f"Instances of type {kind.name} do not support hibernation.")
    roots = [one for one in blueprint.volumes if one["Device"] == blueprint.image["RootDeviceName"]]
    if not all(one["Encrypted"] for one in roots):
        raise _unsupported("The root volume must be encrypted for hibernation.")


def check_stop(found: Sequence[Row]) -> None:
    """Refuse to hibernate an instance that was not launched for it."""
    for row in found:
        if not _configured(row.doc):
            raise _unsupported(f"The instance '{row.id}' is not enabled for hibernation.")


def _unsupported(message: str) -> ServiceError:
    return ServiceError("UnsupportedHibernationConfiguration", message)
