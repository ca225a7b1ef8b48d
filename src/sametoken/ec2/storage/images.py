"""Images of an account: made from an instance, from snapshots, or copied; and their attributes."""

from __future__ import annotations

from typing import Any

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.nouns import Noun, Parents, requested_tags, shown_members
from sametoken.ec2.kit.parameters import Accepted
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import image_forms as forms
from sametoken.ec2.storage import snapshots as snapshot_forms
from sametoken.errors import ServiceError
from sametoken.idempotency import TokenGrammar
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import endings, listings, quotas, ripening, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage import account_images, snapshots
from sametoken.resources.storage.account_images import IMAGE
from sametoken.resources.storage.snapshots import SNAPSHOT
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx

AVAILABLE_SECONDS = 2.0
# CopyImage's ClientToken shape says `max: 128`.
COPY_GRAMMAR = TokenGrammar(characters_max=128)

_EBS: Accepted = dict.fromkeys(
    (
        "DeleteOnTermination", "Encrypted", "Iops", "KmsKeyId", "SnapshotId", "Throughput",
        "VolumeSize", "VolumeType",
    )
)  # fmt: skip
_DEVICES: Accepted = {"DeviceName": None, "NoDevice": None, "VirtualName": None, "Ebs": _EBS}
# Members that an image of an instance inherits from the image it was launched from.
_INHERITED = ("Architecture", "PlatformDetails", "UsageOperation", "BootMode", "Platform")


def _of_instance(tx: Tx, request: Request, parents: Parents) -> Document:
    ids = [request.params["InstanceId"]]
    instance = rows.get(tx, INSTANCE, request.account, request.region, ids)[0]
    if instance.state not in ("running", "stopped"):
        raise ServiceError("IncorrectState", f"{instance.id} is {instance.state}")
    attached = rows.children(tx, [instance.id])[instance.id]
    devices = [
        _snapshot_of(tx, request, volume) for volume in attached if volume.kind == VOLUME.name
    ]
    inherited = {name: instance.doc[name] for name in _INHERITED if name in instance.doc}
    return _document(tx, request, instance.doc["RootDeviceName"], devices) | inherited


def _snapshot_of(tx: Tx, request: Request, volume: Row) -> Document:
    """Snapshot a volume of the instance; return the device of the image that it becomes."""
    doc = {
        "VolumeId": volume.id,
        "VolumeSize": volume.doc["Size"],
        "Encrypted": volume.doc["Encrypted"],
        "Description": f"Created by CreateImage({request.params['InstanceId']})",
        "Tags": requested_tags(request, SNAPSHOT),
    }
    row = Row(
        mint(tx, SNAPSHOT.prefix), SNAPSHOT.name, request.account, request.region, "pending", doc,
        tx.now,
    )  # fmt: skip
    quotas.check(tx, row)
    rows.insert(tx, [row])
    ripening.plan(
        tx, row, "completed", snapshot_forms.COMPLETING_SECONDS, cause="copied to the end"
    )
    attachment = volume.doc["Attachments"][0]
    ebs = {
        "SnapshotId": row.id,
        "VolumeSize": volume.doc["Size"],
        "VolumeType": volume.doc["VolumeType"],
        "DeleteOnTermination": attachment["DeleteOnTermination"],
        "Encrypted": volume.doc["Encrypted"],
    }
    return {"DeviceName": attachment["Device"], "Ebs": ebs}


def _of_snapshots(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    root = params.get("RootDeviceName")
    if root is None:
        raise refusals.missing_parameter("RootDeviceName")
    devices = []
    for given in params.get("BlockDeviceMappings", ()):
        ebs = dict(given.get("Ebs", {}))
        if "SnapshotId" in ebs:
            size = snapshots.size_gib(tx, request.account, request.region, ebs["SnapshotId"])
            ebs.setdefault("VolumeSize", size)
        ebs = {"DeleteOnTermination": True, "VolumeType": "gp2", "Encrypted": False, **ebs}
        devices.append({**given, "Ebs": ebs} if "Ebs" in given else dict(given))
    return _document(tx, request, root, devices) | {
        "Architecture": params.get("Architecture", "i386"),
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        **{
            name: params[name]
            for name in ("BootMode", "ImdsSupport", "TpmSupport")
            if name in params
        },
    }


def _of_image(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    source = account_images.find_document(
        tx, request.account, params["SourceRegion"], params["SourceImageId"]
    )
    if source is None:
        raise ServiceError(
            "InvalidAMIID.NotFound", f"The image id '[{params['SourceImageId']}]' does not exist"
        )
    document = {
        name: source[name]
        for name in (*_INHERITED, "RootDeviceName", "BlockDeviceMappings", "ImdsSupport")
        if name in source
    }
    return {**_document(tx, request, source["RootDeviceName"], []), **document}


def _document(tx: Tx, request: Request, root: str, devices: list[Document]) -> Document:
    params = request.params
    name = params["Name"]
    other = rows.find_named(tx, IMAGE, request.account, request.region, name)
    if other is not None:
        raise ServiceError(
            "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {other.id}"
        )
    return {
        "Name": name,
        "Description": params.get("Description", ""),
        "ImageLocation": f"{request.account}/{name}",
        "RootDeviceName": root,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": devices,
        "VirtualizationType": params.get("VirtualizationType", "hvm"),
        "EnaSupport": True,
        "SriovNetSupport": "simple",
        "Hypervisor": "xen",
        "ImageType": "machine",
        "Public": False,
    }


def _created(tx: Tx, row: Row) -> None:
    ripening.plan(tx, row, "available", AVAILABLE_SECONDS, cause="its snapshots are there")


def _only_id(row: Row) -> Document:
    return {"ImageId": row.id}


def _noun(accepts: Accepted, build: Any) -> Noun:
    return Noun(
        IMAGE,
        spelled={"one": None},
        accepts=accepts,
        build=build,
        show=_only_id,
        initial="pending",
        created=_created,
        name=lambda request, document: str(document["Name"]),
        also_tags=("snapshot",),
    )


FROM_INSTANCE = _noun(
    {"InstanceId": None, "Name": None, "Description": None, "NoReboot": None}, _of_instance
)
FROM_SNAPSHOTS = _noun(
    {
        **dict.fromkeys(
            (
                "Architecture", "BootMode", "Description", "EnaSupport", "ImdsSupport", "Name",
                "RootDeviceName", "SriovNetSupport", "TpmSupport", "VirtualizationType",
            )
        ),
        "BlockDeviceMappings": _DEVICES,
    },
    _of_snapshots,
)  # fmt: skip
FROM_IMAGE = _noun(
    dict.fromkeys(
        (
            "CopyImageTags", "Description", "Encrypted", "KmsKeyId", "Name", "SourceImageId",
            "SourceRegion",
        )
    ),
    _of_image,
)  # fmt: skip


def deregister_image(tx: Tx, request: Request) -> Document:
    """Deregister an image; instances launched from it stay, and so do its snapshots."""
    if request.params.get("DeleteAssociatedSnapshots"):
        raise refusals.unsupported("DeleteAssociatedSnapshots")
    row = _own(tx, request, lock=True)
    endings.end(tx, IMAGE, row, cause="DeregisterImage")
    return {"Return": True}


def describe_images(tx: Tx, request: Request) -> Document:
    own = [show(row) for row in listings.every(tx, IMAGE, request.account, request.region)]
    return forms.describe_images(request, own)


def show(row: Row) -> Document:
    """EC2's Image."""
    return {
        **shown_members(row),
        "ImageId": row.id,
        "OwnerId": row.account,
        "State": row.state,
        "CreationDate": f"{row.created_at:%Y-%m-%dT%H:%M:%S}.000Z",
    }


def describe_image_attribute(tx: Tx, request: Request) -> Document:
    row = _own(tx, request)
    result: Document = {"ImageId": row.id}
    match request.params["Attribute"]:
        case "description":
            result["Description"] = {"Value": row.doc["Description"]}
        case "launchPermission":
            result["LaunchPermissions"] = row.private.get("LaunchPermissions", [])
        case "blockDeviceMapping":
            result["BlockDeviceMappings"] = row.doc["BlockDeviceMappings"]
        case "productCodes":
            result["ProductCodes"] = []
        case other:
            raise refusals.unsupported(f"Attribute={other}")
    return result


def modify_image_attribute(tx: Tx, request: Request) -> Document:
    """Set the description, or the accounts that may launch the image. Repeats change nothing."""
    params = request.params
    row = _own(tx, request, lock=True)
    by_name = params if params.get("Attribute") == "description" else {}
    description = params.get("Description", by_name).get("Value")
    if description is not None:
        rows.change(tx, IMAGE, row, Description=description)
        return {}
    changes = params.get("LaunchPermission")
    if changes is None:
        raise refusals.unsupported(f"Attribute={params.get('Attribute')}")
    kept = row.private.get("LaunchPermissions", [])
    removed = changes.get("Remove", [])
    added = [one for one in changes.get("Add", []) if one not in kept]
    permissions = [one for one in kept if one not in removed] + added
    public = any(one.get("Group") == "all" for one in permissions)
    private = {**row.private, "LaunchPermissions": permissions}
    rows.change(tx, IMAGE, row, private=private, Public=public)
    return {}


def _own(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    """Return the account's image that is named; a deregistered one is `Unavailable` (captured)."""
    id, owner = request.params["ImageId"], (IMAGE.name, request.account, request.region)
    row = rows.find(tx, id)
    if row is not None and row.gone_at and (row.kind, row.account, row.region) == owner:
        raise ServiceError(
            "InvalidAMIID.Unavailable", f"The image ID '{id}' is no longer available"
        )
    return rows.get(tx, IMAGE, request.account, request.region, [id], lock=lock)[0]


ACTIONS: tuple[Action, ...] = (
    creating(FROM_INSTANCE, "CreateImage", repeats=conflicts("InvalidAMIName.Duplicate", "ERR")),
    creating(FROM_SNAPSHOTS, "RegisterImage", repeats=conflicts("InvalidAMIName.Duplicate", "ERR")),
    creating(
        FROM_IMAGE,
        "CopyImage",
        grammar=COPY_GRAMMAR,
        repeats=conflicts("InvalidAMIName.Duplicate", "DER"),
    ),
    Change(
        "DeregisterImage", deregister_image, repeats=conflicts("InvalidAMIID.Unavailable", "NAT")
    ),
    Read("DescribeImages", describe_images),
    Read("DescribeImageAttribute", describe_image_attribute),
    Change("ModifyImageAttribute", modify_image_attribute, repeats=same("DER")),
)
