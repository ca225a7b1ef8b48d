"""DescribeInstanceAttribute and ModifyInstanceAttribute, for attributes that a launch sets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sametoken.ec2.compute.instances import show_rows
from sametoken.ec2.compute.launch_parameters import check_user_data
from sametoken.ec2.kit import narrowing
from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import pieces
from sametoken.ec2.kit.filters import compile_filters
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import rows
from sametoken.resources.kit.listings import By
from sametoken.resources.kit.looks import WHOLE
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces, vpcs
from sametoken.resources.storage import volumes
from sametoken.store.port import Tx

_Changes = dict[str, Any]

# Attribute -> the private member that holds it. Results and requests wrap these attributes in
# `Value`.
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
# Attributes that instances here never have, in the form EC2 shows for such instances; setting them
# is refused.
_EMPTY: dict[str, _Changes] = {
    "enclaveOptions": {"EnclaveOptions": {"Enabled": False}},
    "kernel": {"KernelId": {}},
    "productCodes": {"ProductCodes": []},
    "ramdisk": {"RamdiskId": {}},
    "sriovNetSupport": {"SriovNetSupport": {}},
}
# Attributes of an instance's interface, which must be named where it has several.
_OF_INTERFACE = frozenset({"groupSet", "sourceDestCheck"})
# EC2 changes these only while the instance is stopped.
_ONLY_STOPPED = frozenset({"instanceType", "userData", "ebsOptimized"})


def _member(attribute: str) -> str:
    """The model's spelling of an attribute: `instanceType` -> `InstanceType`."""
    return attribute[0].upper() + attribute[1:]


def describe_instance_attribute(tx: Tx, request: Request) -> Document:
    """Return an attribute of an instance."""
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
    elif attribute in _EMPTY:
        result |= _EMPTY[attribute]
    else:
        raise refusals.invalid_value("attribute", attribute)
    return result


def validate_modify(request: Request) -> None:
    if len(_asked(request.params)) != 1:
        raise refusals.invalid_combination(
            "Modify exactly one attribute in a request: "
            f"{', '.join(sorted(_asked(request.params))) or 'none'} given"
        )


def modify_instance_attribute(tx: Tx, request: Request) -> Document:
    """Set one attribute; setting it to the value that it has changes nothing and succeeds."""
    row = _get(tx, request, lock=True)
    [(attribute, value)] = _asked(request.params).items()
    stopped = row.state == InstanceState.STOPPED
    if attribute in _ONLY_STOPPED and not stopped and _current(row, attribute) != value:
        raise ServiceError(
            "IncorrectInstanceState",
            f"The instance '{row.id}' is not in the 'stopped' state; stop it to change "
            f"{attribute}.",
        )
    if attribute in _OF_INTERFACE:
        interfaces.only_attached_to(tx, row.id)
    _set(tx, row, attribute, value)
    return {}


def _asked(params: Mapping[str, Any]) -> _Changes:
    """The attributes that a request sets, in either of its two forms, by EC2's attribute name."""
    asked: _Changes = {}
    for name, value in params.items():
        if name in ("InstanceId", "DryRun", "Attribute", "Value"):
            continue
        attribute = {"Groups": "groupSet", "BlockDeviceMappings": "blockDeviceMapping"}.get(
            name, name[0].lower() + name[1:]
        )
        # `EnclaveOptions` alone is a structure without `Value`; it is refused by name later.
        asked[attribute] = value.get("Value", value) if isinstance(value, dict) else value
    if "Attribute" in params and "Value" in params:
        attribute, value = params["Attribute"], params["Value"]
        if attribute in ("groupSet", "blockDeviceMapping"):
            raise refusals.invalid_value("attribute", attribute, "It is no text; give its list.")
        is_flag = attribute.startswith("disable") or attribute in (
            "ebsOptimized",
            "enaSupport",
            "sourceDestCheck",
        )
        if is_flag and value not in ("true", "false"):
            raise refusals.invalid_value("value", value, "Use true or false.")
        asked[attribute] = value == "true" if is_flag else value
    if isinstance(asked.get("userData"), bytes):
        asked["userData"] = base64.b64encode(asked["userData"]).decode()
    if asked.get("userData") == "":
        # Store None, as for an instance that was launched without user data.
        asked["userData"] = None
    return asked


def _current(row: Row, attribute: str) -> Any:
    if attribute in _PRIVATE:
        return row.private[_PRIVATE[attribute]]
    return row.doc.get(_SHOWN.get(attribute, ""))


def _set(tx: Tx, row: Row, attribute: str, value: Any) -> None:
    if attribute == "userData":
        check_user_data(value)
    if attribute == "instanceInitiatedShutdownBehavior" and value not in ("stop", "terminate"):
        raise refusals.invalid_value(attribute, value, "Use stop or terminate.")
    if attribute in _PRIVATE:
        instances.set_private(tx, row, **{_PRIVATE[attribute]: value})
    elif attribute == "instanceType":
        _set_type(tx, row, value)
    elif attribute == "sourceDestCheck":
        instances.set_source_dest_check(tx, row, checks=value)
    elif attribute in _SHOWN and attribute != "rootDeviceName":
        rows.change(tx, INSTANCE, row, **{_SHOWN[attribute]: value})
    elif attribute == "groupSet":
        _set_groups(tx, row, value)
    elif attribute == "blockDeviceMapping":
        for mapping in value:
            _set_mapping(tx, row, mapping)
    else:
        raise refusals.unsupported(attribute)


def _set_type(tx: Tx, row: Row, name: str) -> None:
    kind = instance_types.INSTANCE_TYPES.get(name)
    if kind is None:
        raise refusals.invalid_value("instanceType", name)
    if row.doc["Architecture"] not in kind.architectures:
        raise refusals.invalid_combination(
            f"The instance '{row.id}' has architecture {row.doc['Architecture']}, "
            f"which {name} does not run."
        )
    # Reset the cores: those chosen for one type need not exist in another.
    cores = {"CoreCount": kind.cores, "ThreadsPerCore": kind.threads_per_core}
    if name != row.doc["InstanceType"]:
        rows.change(tx, INSTANCE, row, InstanceType=name, CpuOptions=cores)


def _set_groups(tx: Tx, row: Row, ids: list[str]) -> None:
    found = rows.get(tx, vpcs.SECURITY_GROUP, row.account, row.region, ids)
    for group in found:
        if group.doc["VpcId"] != row.doc["VpcId"]:
            raise ServiceError(
                "InvalidParameter",
                f"Security group {group.id} and instance {row.id} belong to different networks.",
            )
    groups = [{"GroupId": one.id, "GroupName": one.doc["GroupName"]} for one in found]
    instances.set_groups(tx, row, groups)


def _set_mapping(tx: Tx, row: Row, mapping: Document) -> None:
    """Change DeleteOnTermination of an attached device; EC2 changes nothing else of one."""
    deletes = mapping.get("Ebs", {}).get("DeleteOnTermination")
    if "DeviceName" not in mapping or deletes is None:
        raise refusals.missing_parameter(
            "BlockDeviceMapping.DeviceName"
            if "DeviceName" not in mapping
            else "BlockDeviceMapping.Ebs.DeleteOnTermination"
        )
    volumes.set_delete_on_termination(tx, row.id, mapping["DeviceName"], deletes=deletes)


def _get(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    ids = [request.params["InstanceId"]]
    return rows.get(tx, INSTANCE, request.account, request.region, ids, lock=lock)[0]


_CREDIT_FILTERS = {"instance-id": "InstanceId"}


def describe_credit_specifications(tx: Tx, request: Request) -> Document:
    """Return the CPU credits of burstable instances; others have none, and are left out."""
    ids = request.params.get("InstanceIds")
    given = request.params.get("Filters")
    matches = compile_filters(given, getters(_CREDIT_FILTERS))
    wishes = narrowing.wishes(given, _CREDIT_FILTERS, INSTANCE, columns={"InstanceId": By.ID})
    all_pieces = pieces(tx, WHOLE, request, INSTANCE, ids, "", wishes)
    found = (row for piece in all_pieces for row in piece)
    shown = [
        {"InstanceId": row.id, "CpuCredits": row.private["CpuCredits"]}
        for row in found
        if row.private["CpuCredits"] is not None
    ]
    listed = page(
        (one for one in shown if matches(one)),
        lambda one: str(one["InstanceId"]),
        max_results=request.params.get("MaxResults"),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=5,
        maximum=1000,
    )
    return {"InstanceCreditSpecifications": listed.items, "NextToken": listed.next_token}


ACTIONS: tuple[Action, ...] = (
    Change(
        "ModifyInstanceAttribute",
        modify_instance_attribute,
        validate=validate_modify,
        repeats=same("DER"),
    ),
    Read("DescribeInstanceAttribute", describe_instance_attribute),
    Read("DescribeInstanceCreditSpecifications", describe_credit_specifications),
)
