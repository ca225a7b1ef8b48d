"""EBS volumes: their states, and the instances that hold them."""

from __future__ import annotations

from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.moments import kept_moment
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

# Source: EBS user guide, "EBS volume lifecycle" (creating, available, in-use, deleting, error).
VOLUME = Kind(
    "volume",
    "vol",
    "InvalidVolume",
    "volume",
    transitions=states(
        creating="available in-use deleted error",
        available="in-use deleting deleted",
        in_use="available deleting deleted",
        deleting="deleted",
        error="deleted",
        deleted="",
    ),
    leaving=frozenset({"deleting"}),
    quota=Quota(code="VolumeLimitExceeded"),
    malformed="InvalidVolumeID.Malformed",
    hides_no_tags=True,
    missing_text="The {noun} '{ids}' {do} not exist.",
)


# Members of a spec that EC2's Volume shows as they are.
_SPECIFIED = (
    "Size", "VolumeType", "SnapshotId", "Iops", "Throughput", "Encrypted", "KmsKeyId", "Tags",
    "MultiAttachEnabled",
)  # fmt: skip


def document(spec: dict[str, Any]) -> dict[str, Any]:
    """The stored members of a new volume. `spec` has EC2's names, Size in GiB."""
    doc = {name: spec[name] for name in _SPECIFIED if spec.get(name) is not None}
    return {"MultiAttachEnabled": False, "Attachments": [], **doc}


def lay_out_attached(
    tx: Tx, *, id: str, account: str, region: str, zone: str, instance: str, spec: dict[str, Any]
) -> Row:
    """Lay out the row of a volume that a launch planned, attached to its instance.

    Beside the members of `document`, `spec` has Device and DeleteOnTermination.
    """
    doc = document(spec)
    deletes = spec["DeleteOnTermination"]
    doc["Attachments"] = [_attachment(tx, id, instance, spec["Device"], deletes=deletes)]
    return Row(id, VOLUME.name, account, region, "in-use", doc, tx.now, zone, parents=(instance,))


def attach(tx: Tx, row: Row, *, instance: str, device: str) -> Row:
    """Attach an available volume, to outlive its instance. The row must be locked."""
    rows.link(tx, instance, row.id)
    made = _attachment(tx, row.id, instance, device, deletes=False)
    attachments = [*row.doc["Attachments"], made]
    return rows.change(
        tx, VOLUME, row, state="in-use", cause=f"attached to {instance}", Attachments=attachments
    )


def detach(tx: Tx, row: Row, *, instance: str) -> Row:
    """Detach the volume from the instance. The row must be locked."""
    rows.unlink(tx, instance, row.id)
    kept = [one for one in row.doc["Attachments"] if one["InstanceId"] != instance]
    state = "in-use" if kept else "available"
    cause = f"detached from {instance}"
    return rows.change(tx, VOLUME, row, state=state, cause=cause, Attachments=kept)


def _attachment(
    tx: Tx, volume: str, instance: str, device: str, *, deletes: bool
) -> dict[str, Any]:
    return {
        "Device": device,
        "InstanceId": instance,
        "State": "attached",
        "VolumeId": volume,
        "DeleteOnTermination": deletes,
        **kept_moment("attached", tx.now),
    }


def set_delete_on_termination(tx: Tx, instance: str, device: str, *, deletes: bool) -> None:
    """Set whether an attached volume is deleted when its instance ends."""
    for child in rows.children(tx, [instance])[instance]:
        attachments = child.doc.get("Attachments", [])
        if child.kind == VOLUME.name and any(one["Device"] == device for one in attachments):
            row = rows.by_ids(tx, [child.id], lock=True)[child.id]
            changed = [
                {**one, "DeleteOnTermination": deletes} if one["Device"] == device else one
                for one in row.doc["Attachments"]
            ]
            rows.change(tx, VOLUME, row, Attachments=changed)
            return
    raise ServiceError(
        "InvalidInstanceAttributeValue", f"No device is currently mapped at {device}"
    )


def release_from(tx: Tx, instance: str, *, cause: str) -> None:
    """Delete or detach each volume of an instance that ends, as DeleteOnTermination says."""
    for child in rows.children(tx, [instance])[instance]:
        if child.kind != VOLUME.name:
            continue
        row = rows.by_ids(tx, [child.id], lock=True)[child.id]
        kept = [one for one in row.doc["Attachments"] if one["InstanceId"] != instance]
        gone = [one for one in row.doc["Attachments"] if one["InstanceId"] == instance]
        rows.unlink(tx, instance, row.id)
        if any(one["DeleteOnTermination"] for one in gone):
            endings.end_regardless(tx, VOLUME, row, cause=cause, Attachments=kept)
        else:
            state = "in-use" if kept else "available"
            rows.change(tx, VOLUME, row, state=state, cause=cause, Attachments=kept)
