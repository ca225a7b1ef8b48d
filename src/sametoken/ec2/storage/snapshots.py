"""Snapshots: of a volume, or copies of others. EC2 takes no client token for either create."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import Noun, Parents, named, shown_members
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import listings, ripening, rows
from sametoken.resources.kit.rows import Row
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
    "transfer-type": "",
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
    }


def _of_volume(tx: Tx, request: Request, parents: Parents) -> Document:
    volume = rows.get(tx, VOLUME, request.account, request.region, [request.params["VolumeId"]])[0]
    if volume.state not in ("available", "in-use"):
        raise ServiceError("IncorrectState", f"Volume '{volume.id}' is '{volume.state}'.")
    return _document(request, volume.id, volume.doc["Size"], encrypted=volume.doc["Encrypted"])


def _document(request: Request, volume: str, gib: int, *, encrypted: bool) -> Document:
    return {
        "VolumeId": volume,
        "VolumeSize": gib,
        "Encrypted": encrypted,
        "Description": request.params.get("Description", ""),
    }


# The volume that EC2 shows for a copy; no such volume exists.
_NO_VOLUME = "vol-ffffffff"


def _of_snapshot(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    source = rows.get(
        tx, SNAPSHOT, request.account, params["SourceRegion"], [params["SourceSnapshotId"]]
    )[0]
    if source.state != "completed":
        raise ServiceError("IncorrectState", f"Snapshot {source.id} is {source.state}")
    encrypted = params.get("Encrypted", source.doc["Encrypted"])
    return _document(request, _NO_VOLUME, source.doc["VolumeSize"], encrypted=encrypted)


def _created(tx: Tx, row: Row) -> None:
    ripening.plan(tx, row, "completed", COMPLETING_SECONDS, cause="copied to the end")


def _copied(row: Row) -> Document:
    return {"SnapshotId": row.id, "Tags": row.doc.get("Tags", [])}


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
    owners = request.params.get("OwnerIds", [])
    if owners and not {"self", request.account} & set(owners):
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
