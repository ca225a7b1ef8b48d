"""Images of an account: made from an instance, from snapshots, or copied; and their attributes."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.nouns import Build, LayOut, Noun, Parents, requested_tags, shown_members
from sametoken.ec2.kit.parameters import Accepted
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import image_forms as forms
from sametoken.ec2.storage import snapshots
from sametoken.errors import ServiceError
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import endings, listings, ripening, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage import account_images
from sametoken.resources.storage import snapshots as stored_snapshots
from sametoken.resources.storage.account_images import IMAGE, is_seen
from sametoken.resources.storage.snapshots import SNAPSHOT
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx

AVAILABLE_SECONDS = 2.0

_EBS: Accepted = dict.fromkeys(
    (
        "DeleteOnTermination", "Encrypted", "Iops", "KmsKeyId", "SnapshotId", "Throughput",
        "VolumeSize", "VolumeType",
    )
)  # fmt: skip
_DEVICES: Accepted = {"DeviceName": None, "NoDevice": None, "VirtualName": None, "Ebs": _EBS}
# Members that an image of an instance inherits from the image it was launched from.
INHERITED = (
    "Architecture", "BootMode", "EnaSupport", "Platform", "PlatformDetails", "UsageOperation",
)  # fmt: skip


def _of_instance(tx: Tx, request: Request, parents: Parents) -> Document:
    ids = [request.params["InstanceId"]]
    instance = rows.get(tx, INSTANCE, request.account, request.region, ids)[0]
    if instance.state not in ("running", "stopped"):
        raise ServiceError("IncorrectState", f"{instance.id} is {instance.state}")
    attached = rows.children(tx, [instance.id])[instance.id]
    devices = [
        _snapshot_of(tx, request, volume) for volume in attached if volume.kind == VOLUME.name
    ]
    inherited = {name: instance.doc[name] for name in INHERITED if name in instance.doc}
    shown = document(tx, request, instance.doc["RootDeviceName"], devices)
    return {**shown, **inherited, "SourceInstanceId": instance.id}


def _snapshot_of(tx: Tx, request: Request, volume: Row) -> Document:
    """Snapshot a volume of the instance; return the device of the image that it becomes."""
    members = {
        **snapshots.of_volume(volume),
        "Description": f"Created by CreateImage({request.params['InstanceId']})",
        "Tags": requested_tags(request, SNAPSHOT),
    }
    attachment = volume.doc["Attachments"][0]
    ebs = {
        "SnapshotId": snapshots.add(tx, request.place, members),
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
            source = stored_snapshots.content(tx, request.place, ebs["SnapshotId"])
            ebs.setdefault("VolumeSize", source.gib)
            ebs["Encrypted"] = source.encrypted or ebs.get("Encrypted", False)
        ebs = {"DeleteOnTermination": True, "VolumeType": "gp2", "Encrypted": False, **ebs}
        devices.append({**given, "Ebs": ebs} if "Ebs" in given else dict(given))
    return document(tx, request, root, devices) | {
        "Architecture": params.get("Architecture", "i386"),
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        **{
            name: params[name]
            for name in ("BootMode", "EnaSupport", "ImdsSupport", "SriovNetSupport", "TpmSupport")
            # False is the same as nothing: EC2 shows no such member.
            if params.get(name)
        },
    }


def document(tx: Tx, request: Request, root: str, devices: list[Document]) -> Document:
    """The members that every new image has."""
    params = request.params
    name = params["Name"]
    other = rows.find_named(tx, IMAGE, request.account, request.region, name)
    if other is not None:
        raise ServiceError(
            "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {other.id}"
        )
    return {
        "Name": name,
        **({"Description": params["Description"]} if params.get("Description") else {}),
        "ImageLocation": f"{request.account}/{name}",
        "RootDeviceName": root,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": devices,
        "VirtualizationType": params.get("VirtualizationType", "hvm"),
        "Hypervisor": "xen",
        "ImageType": "machine",
        "Public": False,
    }


def created(tx: Tx, row: Row) -> None:
    ripening.plan(tx, row, "available", AVAILABLE_SECONDS, cause="its snapshots are there")


def _only_id(row: Row) -> Document:
    return {"ImageId": row.id}


def noun(accepts: Accepted, build: Build | None = None, *, lay_out: LayOut | None = None) -> Noun:
    """The noun of an action that makes an image, with what the action takes."""
    return Noun(
        IMAGE,
        spelled={"one": None},
        accepts=accepts,
        build=build,
        lay_out=lay_out,
        show=_only_id,
        initial="pending",
        created=created,
        name=lambda request, document: str(document["Name"]),
        also_tags=("snapshot",),
    )


FROM_INSTANCE = noun(
    {"InstanceId": None, "Name": None, "Description": None, "NoReboot": None}, _of_instance
)
FROM_SNAPSHOTS = noun(
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


def deregister_image(tx: Tx, request: Request) -> Document:
    """Deregister an image; instances launched from it stay, and so do its snapshots."""
    if request.params.get("DeleteAssociatedSnapshots"):
        raise refusals.unsupported("DeleteAssociatedSnapshots")
    row = owned(tx, request, lock=True)
    endings.end(tx, IMAGE, row, cause="DeregisterImage")
    return {"Return": True, "DeleteSnapshotResults": []}


def describe_images(tx: Tx, request: Request) -> Document:
    """Return the images that the account may launch; its own, those of others, the built-in ones.

    By id, an image that is another's or has ended is left out: only one that never was is missing.
    """
    ids = request.params.get("ImageIds")
    if not ids:
        own = listings.every(tx, IMAGE, *request.place)
        shared = account_images.shared_with(tx, request.place)
        return forms.describe_images(request, [_candidate(request, row) for row in [*own, *shared]])
    named = [row for row in rows.by_ids(tx, ids).values() if row.kind == IMAGE.name]
    here = [row for row in named if row.region == request.region]
    seen = [row for row in here if row.gone_at is None and is_seen(row, request.place)]
    return forms.describe_images(
        request, [_candidate(request, row) for row in seen], hidden={row.id for row in here}
    )


def _candidate(request: Request, row: Row) -> forms.Candidate:
    shown = show(row)
    if row.account != request.account:
        # EC2 shows these to nobody but the owner (captured).
        shown = {name: value for name, value in shown.items() if name not in _OWNERS}
    return forms.Candidate(shown, permitted=tuple(account_images.permitted(row)))


_OWNERS = ("DeregistrationProtection", "Tags")


def show(row: Row) -> Document:
    """EC2's Image, as its owner is shown it."""
    return {
        **shown_members(row),
        "ImageId": row.id,
        "OwnerId": row.account,
        "State": row.state,
        "CreationDate": f"{row.created_at:%Y-%m-%dT%H:%M:%S}.000Z",
        "DeregistrationProtection": "disabled",
        "FreeTierEligible": True,
    }


def owned(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    """Return the account's image that is named; a deregistered one is `Unavailable` (captured)."""
    id, place = request.params["ImageId"], request.place
    row = rows.find(tx, id)
    if row is not None and (row.kind, row.region) == (IMAGE.name, request.region):
        if row.account != request.account:
            raise ServiceError("AuthFailure", f"Not authorized for image:{id}")
        if row.gone_at:
            raise ServiceError(
                "InvalidAMIID.Unavailable", f"The image ID '{id}' is no longer available"
            )
    return rows.get(tx, IMAGE, *place, [id], lock=lock)[0]


ACTIONS: tuple[Action, ...] = (
    creating(FROM_INSTANCE, "CreateImage", repeats=conflicts("InvalidAMIName.Duplicate", "ERR")),
    creating(FROM_SNAPSHOTS, "RegisterImage", repeats=conflicts("InvalidAMIName.Duplicate", "ERR")),
    Change(
        "DeregisterImage", deregister_image, repeats=conflicts("InvalidAMIID.Unavailable", "NAT")
    ),
    Read("DescribeImages", describe_images),
)
