"""Hibernation: launches that may ask for it. A machine that hibernates only stops here. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.instance_types import InstanceType
from sametoken.resources.kit.rows import Row


def is_asked(params: Mapping[str, Any]) -> bool:
    return bool(params.get("HibernationOptions", {}).get("Configured"))


def check_type(params: Mapping[str, Any], instance_type: InstanceType) -> None:
    """Refuse a type whose machines cannot hibernate."""
    if is_asked(params) and not instance_type.fact("HibernationSupported"):
        raise _unsupported(f"The instance type {instance_type.name} does not support hibernation.")


def check_root(
    params: Mapping[str, Any], image: Document, volumes: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse a root volume that is not encrypted: memory is written to it (EC2 user guide)."""
    root = [one for one in volumes if one["Device"] == image["RootDeviceName"]]
    if is_asked(params) and not all(one["Encrypted"] for one in root):
        raise _unsupported("Hibernation needs an encrypted root volume.")


def check_configured(rows: Sequence[Row]) -> None:
    """Refuse to hibernate an instance that was not launched for it."""
    for row in rows:
        if not row.doc["HibernationOptions"]["Configured"]:
            raise _unsupported(f"The instance {row.id} is not enabled for hibernation.")


def _unsupported(message: str) -> ServiceError:
    return ServiceError("UnsupportedHibernationConfiguration", message)
