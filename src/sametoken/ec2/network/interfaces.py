"""Network interfaces by themselves: made, attached, changed, given more addresses, and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.ec2.kit.actions import NOT_INTENT, Action, Change, Read
from sametoken.ec2.kit.nouns import Noun, Parents, named, requested_tags
from sametoken.ec2.kit.parameters import refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, describing
from sametoken.ec2.network import ipv6_addresses
from sametoken.ec2.network.interface_addresses import (
    ADDRESS_ACTIONS,
    check_asked,
    primary_asked,
    secondary_asked,
)
from sametoken.ec2.network.interface_documents import (
    INTERFACE_PATHS,
    attachment_form,
    show,
)
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import elastic_addresses, interfaces, vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import SECURITY_GROUP, SUBNET
from sametoken.store.port import Tx

# _TYPES are the interfaces a caller can make here. EC2's others need hardware or services.
_TYPES = ("interface", "efa", "efa-only")
_CREATED_WITH = (
    "Description", "EnablePrimaryIpv6", "Groups", "InterfaceType", "Ipv6AddressCount",
    "PrivateIpAddress", "SecondaryPrivateIpAddressCount",
)  # fmt: skip
_ATTACHED_WITH = (
    "DeviceIndex", "DryRun", "InstanceId", "NetworkCardIndex", "NetworkInterfaceId",
)  # fmt: skip
# Attributes that a request changes, one at a time.
_CHANGEABLE = ("Attachment", "Description", "EnablePrimaryIpv6", "Groups", "SourceDestCheck")


def _validate_create(request: Request) -> None:
    kind = request.params.get("InterfaceType", "interface")
    if kind not in _TYPES:
        raise refusals.invalid_value("interfaceType", kind, f"Use one of: {', '.join(_TYPES)}.")
    check_asked(request.params)
    ipv6_addresses.check_asked(request.params)


def _lay_out(tx: Tx, request: Request, parents: Parents) -> Row:
    """Lay out the new interface with every address it asks for. A replay never comes here."""
    params, subnet = request.params, parents["SubnetId"]
    groups = _groups(tx, request, subnet.doc["VpcId"], params.get("Groups"))
    return interfaces.plan_row(
        tx,
        id=mint(tx, INTERFACE.prefix),
        account=request.account,
        region=request.region,
        subnet=subnet,
        groups=groups,
        address=primary_asked(params),
        instance=None,
        spec={
            "Description": params.get("Description", ""),
            "InterfaceType": params.get("InterfaceType", "interface"),
            "Tags": requested_tags(request, INTERFACE),
            **secondary_asked(params),
            **ipv6_addresses.asked(params, subnet),
        },
    )


def _groups(tx: Tx, request: Request, vpc: str, ids: list[str] | None) -> list[Row]:
    """The security groups with these ids, all of the VPC; without ids the VPC's default group."""
    account, region = request.account, request.region
    if not ids:
        return [vpcs.default_group(tx, account, region, vpc)]
    found = rows.get(tx, SECURITY_GROUP, account, region, ids)
    for group in found:
        if group.doc["VpcId"] != vpc:
            raise ServiceError(
                "InvalidParameter",
                f"Security group {group.id} does not belong to the VPC of the interface, {vpc}.",
            )
    return found


def _lately_detached(tx: Tx, found: Sequence[Row]) -> list[Document]:
    ended = [interfaces.lately_detached(tx, row) for row in found]
    return [{} if one is None else {"Attachment": attachment_form(one)} for one in ended]


INTERFACES = Noun(
    INTERFACE,
    paths=INTERFACE_PATHS,
    parents={"SubnetId": SUBNET},
    accepts={
        **dict.fromkeys(_CREATED_WITH),
        "Ipv6Addresses": {"Ipv6Address": None},
        "PrivateIpAddresses": {"Primary": None, "PrivateIpAddress": None},
    },
    lay_out=_lay_out,
    show=show,
    joins=_lately_detached,
    under=frozenset({"Groups.GroupId"}),
)


def delete_interface(tx: Tx, request: Request) -> Document:
    """Delete an unused interface. Elastic addresses are disassociated, and stay the account's."""
    row = _lock(tx, request)
    interfaces.refuse_used(row)
    row = elastic_addresses.take_off(tx, row, cause="its interface was deleted")
    interfaces.delete(tx, row, cause="DeleteNetworkInterface", end=endings.end)
    return {}


def attach_interface(tx: Tx, request: Request) -> Document:
    """Attach an interface to an instance that runs or is stopped."""
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(_ATTACHED_WITH))
    if params.get("NetworkCardIndex", 0) != 0:
        raise refusals.invalid_value(
            "NetworkCardIndex", params["NetworkCardIndex"], "Only card 0 exists."
        )
    row = _lock(tx, request)
    interfaces.refuse_used(row)
    owner = rows.get(
        tx, INSTANCE, request.account, request.region, [params["InstanceId"]], lock=True
    )[0]
    if owner.state not in (InstanceState.RUNNING, InstanceState.STOPPED):
        raise ServiceError(
            "IncorrectState",
            f"Instance '{owner.id}' is not 'running' or 'stopped' ({owner.state}).",
        )
    _check_room(tx, owner, row, params["DeviceIndex"])
    attached = interfaces.attach(
        tx, row, instance=owner.id, device_index=params["DeviceIndex"], zone=owner.zone,
        status="attached",
    )  # fmt: skip
    return {"AttachmentId": attached.doc["Attachment"]["AttachmentId"], "NetworkCardIndex": 0}


def _check_room(tx: Tx, owner: Row, row: Row, device_index: int) -> None:
    present = interfaces.attached_to(tx, owner.id)
    if any(one.doc["Attachment"]["DeviceIndex"] == device_index for one in present):
        raise refusals.invalid_value(
            "deviceIndex",
            device_index,
            f"Instance '{owner.id}' has an interface attached at that device index.",
        )
    kind = instance_types.INSTANCE_TYPES[owner.doc["InstanceType"]]
    if len(present) >= kind.interfaces:
        raise ServiceError(
            "AttachmentLimitExceeded",
            f"{owner.doc['InstanceType']} takes {kind.interfaces} network interfaces, and "
            f"{owner.id} has as many.",
        )
    ipv6_addresses.check_room(kind, len(row.doc["Ipv6Addresses"]))
    if len(interfaces.addresses_of(row)) > kind.ipv4_per_interface:
        raise ServiceError(
            "PrivateIpAddressLimitExceeded",
            f"{owner.doc['InstanceType']} takes {kind.ipv4_per_interface} private addresses per "
            f"interface; {row.id} has more.",
        )


def detach_interface(tx: Tx, request: Request) -> Document:
    """Detach an interface from its instance. `Force` changes nothing: no detachment hangs here."""
    id = request.params["AttachmentId"]
    row = interfaces.by_attachment(tx, request.account, request.region, id)
    attachment = row.doc["Attachment"]
    if attachment["DeviceIndex"] == 0:
        raise ServiceError(
            "OperationNotPermitted",
            "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        )
    if attachment["Status"] != "attached":
        raise ServiceError(
            "IncorrectState", f"Attachment '{id}' is not yet attached ({attachment['Status']})."
        )
    interfaces.detach(tx, row, cause="DetachNetworkInterface")
    return {}


def modify_attribute(tx: Tx, request: Request) -> Document:
    """Set one attribute; setting it to the value that it has changes nothing and succeeds."""
    params = request.params
    refuse_unsupported("", params, dict.fromkeys((*_CHANGEABLE, "NetworkInterfaceId", "DryRun")))
    asked = [name for name in _CHANGEABLE if name in params]
    if len(asked) != 1:
        raise refusals.invalid_combination(
            f"Modify exactly one attribute in a request: {', '.join(asked) or 'none'} given"
        )
    row = _lock(tx, request)
    match asked[0]:
        case "Description":
            rows.change(tx, INTERFACE, row, Description=params["Description"].get("Value", ""))
        case "EnablePrimaryIpv6":
            ipv6_addresses.set_primary(tx, row, enabled=params["EnablePrimaryIpv6"])
        case "SourceDestCheck":
            _set_source_dest_check(tx, row, checks=params["SourceDestCheck"]["Value"])
        case "Groups":
            _set_groups(tx, request, row)
        case "Attachment":
            _set_attachment(tx, row, params["Attachment"])
    return {}


def _primary_owner(tx: Tx, row: Row) -> Row | None:
    """The instance whose primary interface this is, locked; it shows the same SourceDestCheck."""
    attachment = row.doc.get("Attachment")
    if attachment is None or attachment["DeviceIndex"] != 0:
        return None
    return rows.find(tx, attachment["InstanceId"], lock=True)


def _set_source_dest_check(tx: Tx, row: Row, *, checks: bool) -> None:
    owner = _primary_owner(tx, row)
    if owner is not None:
        instances.set_source_dest_check(tx, owner, checks=checks)
    else:
        rows.change(tx, INTERFACE, row, SourceDestCheck=checks)


def _set_groups(tx: Tx, request: Request, row: Row) -> None:
    found = _groups(tx, request, row.doc["VpcId"], request.params["Groups"])
    groups = [{"GroupId": one.id, "GroupName": one.doc["GroupName"]} for one in found]
    owner = _primary_owner(tx, row)
    if owner is not None:
        instances.set_groups(tx, owner, groups)
    else:
        interfaces.set_groups(tx, row, groups)


def _set_attachment(tx: Tx, row: Row, asked: Mapping[str, Any]) -> None:
    refuse_unsupported("Attachment", asked, dict.fromkeys(("AttachmentId", "DeleteOnTermination")))
    attachment = row.doc.get("Attachment")
    id = asked.get("AttachmentId")
    if id is None:
        raise refusals.missing_parameter("Attachment.AttachmentId")
    if attachment is None or attachment["AttachmentId"] != id:
        raise ServiceError(
            "InvalidAttachmentID.NotFound",
            f"The networkInterface attachment with ID '{id[:200]}' does not exist",
        )
    deletes = asked.get("DeleteOnTermination", attachment["DeleteOnTermination"])
    rows.change(tx, INTERFACE, row, Attachment={**attachment, "DeleteOnTermination": deletes})


def describe_attribute(tx: Tx, request: Request) -> Document:
    """Return an attribute of an interface."""
    row = named(tx, request, INTERFACE, "NetworkInterfaceId")
    result: Document = {"NetworkInterfaceId": row.id}
    match request.params.get("Attribute"):
        case "description":
            result["Description"] = {"Value": row.doc["Description"]}
        case "groupSet":
            result["Groups"] = row.doc["Groups"]
        case "sourceDestCheck":
            result["SourceDestCheck"] = {"Value": row.doc["SourceDestCheck"]}
        case "attachment":
            attachment = row.doc.get("Attachment")
            result["Attachment"] = None if attachment is None else attachment_form(attachment)
        case "associatePublicIpAddress":
            result["AssociatePublicIpAddress"] = row.private["PublicIp"]
        case _:
            raise refusals.missing_parameter("Attribute")
    return result


def _lock(tx: Tx, request: Request) -> Row:
    return named(tx, request, INTERFACE, "NetworkInterfaceId", lock=True)


ACTIONS: tuple[Action, ...] = (
    # EC2 compares neither tags nor the order of groups (captured).
    creating(
        INTERFACES,
        "CreateNetworkInterface",
        ignored=NOT_INTENT | {"TagSpecifications"},
        sets=frozenset({"Groups"}),
        validate=_validate_create,
    ),
    describing(INTERFACES),
    Change(
        "DeleteNetworkInterface",
        delete_interface,
        repeats=conflicts("InvalidNetworkInterfaceID.NotFound", "MEM"),
    ),
    Change(
        "AttachNetworkInterface",
        attach_interface,
        repeats=conflicts("InvalidNetworkInterface.InUse", "ERR"),
    ),
    Change(
        "DetachNetworkInterface",
        detach_interface,
        repeats=conflicts("InvalidAttachmentID.NotFound", "ERR"),
    ),
    Change("ModifyNetworkInterfaceAttribute", modify_attribute, repeats=same("DER")),
    Read("DescribeNetworkInterfaceAttribute", describe_attribute),
    *ADDRESS_ACTIONS,
    *ipv6_addresses.ACTIONS,
)
