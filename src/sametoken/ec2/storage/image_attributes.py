"""Attributes of an image: its description, and who may launch it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.parameters import Accepted, refuse_unsupported
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage.images import owned
from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.storage import account_images
from sametoken.resources.storage.account_images import EVERYBODY, IMAGE, PERMISSIONS
from sametoken.store.port import Tx

_ACCOUNT = re.compile(r"[0-9]{12}\Z")
# Attributes that are a member of the image: by name, the member of the image and of the result.
_MEMBERS = {
    "bootMode": "BootMode",
    "description": "Description",
    "imdsSupport": "ImdsSupport",
    "sriovNetSupport": "SriovNetSupport",
    "tpmSupport": "TpmSupport",
}
_PERMITTED: Accepted = {"UserId": None, "Group": None}
_CHANGED_WITH: Accepted = {
    **dict.fromkeys(
        (
            "Attribute", "Description", "DryRun", "ImageId", "OperationType", "UserGroups",
            "UserIds", "Value",
        )
    ),
    "LaunchPermission": {"Add": _PERMITTED, "Remove": _PERMITTED},
}  # fmt: skip


def describe(tx: Tx, request: Request) -> Document:
    """Return one attribute of an image, to its owner alone."""
    row = owned(tx, request)
    result: Document = {"ImageId": row.id}
    match request.params["Attribute"]:
        case "launchPermission":
            result[PERMISSIONS] = row.private.get(PERMISSIONS, [])
        case "blockDeviceMapping":
            result["BlockDeviceMappings"] = row.doc["BlockDeviceMappings"]
        case "productCodes":
            result["ProductCodes"] = []
        case name if name in _MEMBERS:
            value = row.doc.get(_MEMBERS[name])
            result[_MEMBERS[name]] = {"Value": value} if value else {}
        case other:
            raise refusals.unsupported(f"Attribute={other}")
    return result


def validate(request: Request) -> None:
    refuse_unsupported("", request.params, _CHANGED_WITH)


def modify(tx: Tx, request: Request) -> Document:
    """Set the description, or the accounts that may launch the image. Repeats change nothing."""
    params = request.params
    row = owned(tx, request, lock=True)
    if params.get("Attribute", "description") == "description":
        # The older form has the value beside the attribute's name.
        description = params.get("Description", params).get("Value")
        if description is not None:
            rows.change(tx, IMAGE, row, Description=description)
            return {}
    added, removed = list(_named(params, "add")), list(_named(params, "remove"))
    if not added and not removed:
        raise refusals.unsupported(f"Attribute={params.get('Attribute')}")
    kept = [one for one in row.private.get(PERMISSIONS, ()) if one not in removed]
    account_images.permit(tx, row, [*kept, *(one for one in added if one not in kept)])
    return {}


def _named(params: Mapping[str, Any], operation: str) -> Iterator[Document]:
    """Yield the accounts and groups that a request adds or removes, in either of its forms."""
    given = params.get("LaunchPermission", {}).get(operation.capitalize(), [])
    if params.get("OperationType") == operation:
        users = [{"UserId": one} for one in params.get("UserIds", ())]
        given = [*given, *users, *({"Group": one} for one in params.get("UserGroups", ()))]
    for one in given:
        for name, item, valid in (
            ("UserId", "userId", _ACCOUNT.match),
            ("Group", "group", EVERYBODY.__eq__),
        ):
            if name in one and not valid(one[name]):
                raise ServiceError(
                    "InvalidAMIAttributeItemValue",
                    f'Invalid attribute item value "{one[name][:200]}" for {item} item type.',
                )
        yield {name: value for name, value in one.items() if name in _PERMITTED}


def reset(tx: Tx, request: Request) -> Document:
    """Take every launch permission back, the only attribute that can be reset."""
    if request.params["Attribute"] != "launchPermission":
        raise refusals.invalid_value("attribute", request.params["Attribute"])
    account_images.permit(tx, owned(tx, request, lock=True), [])
    return {}


ACTIONS: tuple[Action, ...] = (
    Read("DescribeImageAttribute", describe),
    Change("ModifyImageAttribute", modify, validate=validate, repeats=same("DER")),
    Change("ResetImageAttribute", reset, repeats=same("DER")),
)
