"""Snapshots: of a volume, or copies of others. EC2 takes no client token for either create."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sametoken.ec2.kit.actions import Action, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import Noun, Parents, named, shown_members
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import listings, quotas, ripening, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.regions import Place
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage import keys
from sametoken.resources.storage.account_images import IMAGE
from sametoken.resources.storage.snapshots import SNAPSHOT
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx

# COMPLETING_SECONDS is long enough that callers see `pending` and a progress.
COMPLETING_SECONDS = 2.0

# Filters of DescribeSnapshots whose names are not their paths.
SNAPSHOT_PATHS = {
    "owner-alias": "",
    "status": "State",
    "transfer-type": "TransferType",
}


def show(row: Row) -> Document:
    """EC2's Snapshot."""
    return {
        **shown_members(row),
        "SnapshotId": row.id,
        "OwnerId": row.account,
        "State": row.state,
        "StartTime": row.created_at,
        "Progress": "100%" if row.state == "completed" else "0%",
        "StorageTier": "standard",
        "TransferType": "standard",
        **_completed(row),
    }


def _completed(row: Row) -> Document:
    """The members that a snapshot has once it is complete; disks here have no content."""
    if row.state != "completed":
        return {}
    ended_at = row.created_at + timedelta(seconds=COMPLETING_SECONDS)
    return {"CompletionTime": ended_at, "FullSnapshotSizeInBytes": 0}


def _of_volume(tx: Tx, request: Request, parents: Parents) -> Document:
    volume = rows.get(tx, VOLUME, request.account, request.region, [request.params["VolumeId"]])[0]
    if volume.state not in ("available", "in-use"):
        raise ServiceError("IncorrectState", f"Volume '{volume.id}' is '{volume.state}'.")
    return {**of_volume(volume), "Description": request.params.get("Description", "")}


def of_volume(volume: Row) -> Document:
    """The members of a snapshot that follow from its volume."""
    key = keys.arn_of(volume.place, volume.doc.get("KmsKeyId"))
    return {
        "VolumeId": volume.id,
        "VolumeSize": volume.doc["Size"],
        **_encryption(key if volume.doc["Encrypted"] else None),
    }


def of_copy(place: Place, params: Mapping[str, Any], gib: int, *, encrypted: bool) -> Document:
    """The members of a copy in the account's Region, encrypted if its source is, or as asked.

    A copy has the key that the request names, else the account's own, whichever its source has.
    """
    key = keys.arn_of(place, params.get("KmsKeyId"))
    wanted = encrypted or params.get("Encrypted", False) or "KmsKeyId" in params
    return {"VolumeId": _NO_VOLUME, "VolumeSize": gib, **_encryption(key if wanted else None)}


def _encryption(key: str | None) -> Document:
    return {"Encrypted": False} if key is None else {"Encrypted": True, "KmsKeyId": key}


def add(tx: Tx, place: Place, document: Document) -> str:
    """Make a snapshot beside what the request asks for, such as an image's; return its id."""
    row = Row(mint(tx, SNAPSHOT.prefix), SNAPSHOT.name, *place, "pending", document, tx.now)
    quotas.check(tx, row)
    rows.insert(tx, [row])
    _created(tx, row)
    return row.id


# The volume that EC2 shows for a copy; no such volume exists.
_NO_VOLUME = "vol-ffffffff"


def _of_snapshot(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    source = rows.get(
        tx, SNAPSHOT, request.account, params["SourceRegion"], [params["SourceSnapshotId"]]
    )[0]
    if source.state != "completed":
        raise ServiceError("IncorrectState", f"Snapshot {source.id} is {source.state}")
    document = of_copy(
        request.place, params, source.doc["VolumeSize"], encrypted=source.doc["Encrypted"]
    )
    return {**document, "Description": params.get("Description", "")}


def _created(tx: Tx, row: Row) -> None:
    ripening.plan(tx, row, "completed", COMPLETING_SECONDS, cause="copied to the end")


def _copied(row: Row) -> Document:
    tags = {name: value for name, value in shown_members(row).items() if name == "Tags"}
    return {"SnapshotId": row.id, **tags}


SNAPSHOTS = Noun(
    SNAPSHOT,
    paths=SNAPSHOT_PATHS,
    accepts=dict.fromkeys(("VolumeId", "Description")),
    build=_of_volume,
    show=show,
    initial="pending",
    created=_created,
)
COPIES = Noun(
    SNAPSHOT,
    paths=SNAPSHOT_PATHS,
    accepts=dict.fromkeys(
        (
            "Description", "DestinationRegion", "Encrypted", "KmsKeyId", "PresignedUrl",
            "SourceRegion", "SourceSnapshotId",
        )
    ),
    build=_of_snapshot,
    show=_copied,
    initial="pending",
    created=_created,
)  # fmt: skip


def _refuse_used(tx: Tx, row: Row) -> None:
    for image in listings.every(tx, IMAGE, row.account, row.region):
        devices = image.doc.get("BlockDeviceMappings", ())
        if any(one.get("Ebs", {}).get("SnapshotId") == row.id for one in devices):
            raise ServiceError(
                "InvalidSnapshot.InUse", f"The snapshot {row.id} is currently in use by {image.id}"
            )


def describe_snapshots(tx: Tx, request: Request) -> Document:
    """Return the account's own snapshots: none are shared here, and EC2's own are not listed."""
    for name in ("OwnerIds", "RestorableByUserIds"):
        named = request.params.get(name, [])
        if named and not {"self", request.account} & set(named):
            return {"Snapshots": []}
    return describe(tx, request, SNAPSHOT, show, "Snapshots", SNAPSHOTS.filters, ids="SnapshotIds")


def describe_snapshot_attribute(tx: Tx, request: Request) -> Document:
    """Return no attribute: no snapshot is shared, and none has product codes."""
    row = named(tx, request, SNAPSHOT, "SnapshotId")
    match request.params["Attribute"]:
        case "createVolumePermission":
            return {"SnapshotId": row.id, "CreateVolumePermissions": []}
        case "productCodes":
            return {"SnapshotId": row.id, "ProductCodes": []}
        case other:
            raise refusals.invalid_value("attribute", other)


ACTIONS: tuple[Action, ...] = (
    creating(SNAPSHOTS, "CreateSnapshot"),
    creating(COPIES, "CopySnapshot"),
    deleting(SNAPSHOTS, "DeleteSnapshot", check=_refuse_used),
    Read("DescribeSnapshots", describe_snapshots),
    Read("DescribeSnapshotAttribute", describe_snapshot_attribute),
)
