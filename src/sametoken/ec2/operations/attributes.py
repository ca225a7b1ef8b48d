"""Describe- and ModifyInstanceAttribute, for what a launch sets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sametoken.ec2.operations.instances import show_rows
from sametoken.ec2.operations.launch_parameters import check_user_data
from sametoken.ec2.request import Document, Request
from sametoken.errors import ServiceError
from sametoken.resources import instance_types, instances, refusals, rows, volumes, vpcs
from sametoken.resources.instances import INSTANCE, InstanceState
from sametoken.resources.rows import Row
from sametoken.store.port import Tx

# Attribute -> the private member that holds it. Their results and requests wrap it in `Value`.
_PRIVATE = {
    "disableApiStop": "DisableApiStop",
    "disableApiTermination": "DisableApiTermination",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "userData": "UserData",
}
# Attribute -> the shown member that holds it.
_SHOWN = {
    "ebsOptimized": "EbsOptimized",
    "enaSupport": "EnaSupport",
    "instanceType": "InstanceType",
    "rootDeviceName": "RootDeviceName",
    "sourceDestCheck": "SourceDestCheck",
}
# Attributes of EC2's that instances here never have: described as empty, refused when set.
_EMPTY = frozenset({"kernel", "ramdisk", "sriovNetSupport", "enclaveOptions", "productCodes"})
# EC2 changes these only while the instance is stopped.
_ONLY_STOPPED = frozenset({"instanceType", "userData", "ebsOptimized"})

_Changes = dict[str, Any]


def _member(attribute: str) -> str:
    """The model's spelling: `instanceType` -> `InstanceType`."""
    return attribute[0].upper() + attribute[1:]


def describe_instance_attribute(tx: Tx, request: Request) -> Document:
    """One attribute of one instance."""
    attribute = request.params["Attribute"]
    row = _get(tx, request)
    result: Document = {"InstanceId": row.id}
    if attribute in _PRIVATE:
        value = row.private[_PRIVATE[attribute]]
        result[_member(attribute)] = {} if value is None else {"Value": value}
    elif attribute in _SHOWN:
        result[_member(attribute)] = {"Value": row.doc[_SHOWN[attribute]]}
    elif attribute == "groupSet":
        result["Groups"] = row.doc["SecurityGroups"]
    elif attribute == "blockDeviceMapping":
        result["BlockDeviceMappings"] = show_rows(tx, [row])[0].document["BlockDeviceMappings"]
    elif attribute == "disableApiStop":
        result["DisableApiStop"] = {"Value": row.private["DisableApiStop"]}
    elif attribute == "enclaveOptions":
        result["EnclaveOptions"] = {"Enabled": False}
    elif attribute not in _EMPTY:
        raise refusals.invalid_value("attribute", attribute)
    return result


def validate_modify(request: Request) -> None:
    if len(_asked(request.params)) != 1:
        raise refusals.invalid_combination(
            "Modify exactly one attribute in a request: "
            f"{', '.join(sorted(_asked(request.params))) or 'none'} given"
        )


def modify_instance_attribute(tx: Tx, request: Request) -> Document:
    """Set one attribute; setting what it is already changes nothing and succeeds."""
    row = _get(tx, request, lock=True)
    [(attribute, value)] = _asked(request.params).items()
    stopped = row.state == InstanceState.STOPPED
    if attribute in _ONLY_STOPPED and not stopped and _current(row, attribute) != value:
        raise ServiceError(
            "IncorrectInstanceState",
            f"The instance '{row.id}' is not in the 'stopped' state; stop it to change "
            f"{attribute}.",
        )
    _set(tx, row, attribute, value)
    return {}


def _asked(params: Mapping[str, Any]) -> _Changes:
    """The attributes a request sets, in either of its two spellings, by EC2's attribute name."""
    asked: _Changes = {}
    for name, value in params.items():
        if name in ("InstanceId", "DryRun", "Attribute", "Value"):
            continue
        attribute = {"Groups": "groupSet", "BlockDeviceMappings": "blockDeviceMapping"}.get(
            name, name[0].lower() + name[1:]
        )
        asked[attribute] = value["Value"] if isinstance(value, dict) else value
    if "Attribute" in params:
        attribute, value = params["Attribute"], params.get("Value")
        is_flag = attribute.startswith("disable") or attribute in (
            "ebsOptimized",
            "sourceDestCheck",
        )
        asked[attribute] = value == "true" if is_flag else value
    if isinstance(asked.get("userData"), bytes):
        asked["userData"] = base64.b64encode(asked["userData"]).decode()
    return asked


def _current(row: Row, attribute: str) -> Any:
    if attribute in _PRIVATE:
        return row.private[_PRIVATE[attribute]]
    return row.doc.get(_SHOWN.get(attribute, ""))


def _set(tx: Tx, row: Row, attribute: str, value: Any) -> None:
    if attribute == "userData":
        check_user_data(value)
    if attribute == "instanceType" and value not in instance_types.INSTANCE_TYPES:
        raise refusals.invalid_value("instanceType", value)
    if attribute in _PRIVATE:
        instances.set_private(tx, row, **{_PRIVATE[attribute]: value})
    elif attribute in _SHOWN and attribute != "rootDeviceName":
        rows.change(tx, INSTANCE, row, **{_SHOWN[attribute]: value})
    elif attribute == "groupSet":
        found = rows.get(tx, vpcs.SECURITY_GROUP, row.account, row.region, value)
        groups = [{"GroupId": one.id, "GroupName": one.doc["GroupName"]} for one in found]
        instances.set_groups(tx, row, groups)
    elif attribute == "blockDeviceMapping":
        for mapping in value:
            deletes = mapping.get("Ebs", {}).get("DeleteOnTermination")
            volumes.set_delete_on_termination(tx, row.id, mapping["DeviceName"], deletes=deletes)
    else:
        raise refusals.unsupported(attribute)


def _get(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    ids = [request.params["InstanceId"]]
    return rows.get(tx, INSTANCE, request.account, request.region, ids, lock=lock)[0]
