"""Volumes in EC2's form. `ebs` has the actions that create and change them."""

from __future__ import annotations

from typing import Any

from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import shown_members
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.catalogues import geography
from sametoken.resources.kit.moments import get_moment, without_moments
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx

# Source: EC2 API reference, DescribeVolumes, "Filters".
VOLUME_FILTERS = {
    "attachment.attach-time": "Attachments[].AttachTime",
    "attachment.delete-on-termination": "Attachments[].DeleteOnTermination",
    "attachment.device": "Attachments[].Device",
    "attachment.instance-id": "Attachments[].InstanceId",
    "attachment.status": "Attachments[].State",
    "availability-zone": "AvailabilityZone",
    "availability-zone-id": "AvailabilityZoneId",
    "create-time": "CreateTime",
    "encrypted": "Encrypted",
    "fast-restored": "=false",
    "multi-attach-enabled": "MultiAttachEnabled",
    "operator.managed": "=false",
    "operator.principal": "",
    "size": "Size",
    "snapshot-id": "SnapshotId",
    "source-volume-id": "SourceVolumeId",
    "status": "State",
    "volume-id": "VolumeId",
    "volume-type": "VolumeType",
}

# Source: EC2 API reference, DescribeVolumeStatus. No disk here ever has an event or waits for an
# action.
STATUS_FILTERS = {
    "action.code": "",
    "action.description": "",
    "action.event-id": "",
    "attachment-status.instance-id": "",
    "attachment-status.io-performance": "",
    "availability-zone": "AvailabilityZone",
    "availability-zone-id": "AvailabilityZoneId",
    "event.description": "",
    "event.event-id": "",
    "event.event-type": "",
    "event.not-after": "",
    "event.not-before": "",
    "volume-status.details-name": "VolumeStatus.Details[].Name",
    "volume-status.details-status": "VolumeStatus.Details[].Status",
    "volume-status.status": "VolumeStatus.Status",
}
# Source: EC2 API reference, DescribeVolumesModifications.
MODIFICATION_FILTERS = {
    "modification-state": "ModificationState",
    "original-iops": "OriginalIops",
    "original-size": "OriginalSize",
    "original-volume-type": "OriginalVolumeType",
    "originalMultiAttachEnabled": "OriginalMultiAttachEnabled",
    "start-time": "StartTime",
    "target-iops": "TargetIops",
    "target-size": "TargetSize",
    "target-volume-type": "TargetVolumeType",
    "targetMultiAttachEnabled": "TargetMultiAttachEnabled",
    "volume-id": "VolumeId",
}


def show(row: Row) -> Document:
    """EC2's Volume."""
    document = shown_members(row)
    document["Attachments"] = [_attachment(one) for one in row.doc.get("Attachments", ())]
    return {
        **document,
        "VolumeId": row.id,
        "State": row.state,
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": geography.zone_id_of(row.zone),
        "CreateTime": row.created_at,
        "Operator": {"Managed": False},
    }


def _attachment(stored: dict[str, Any]) -> Document:
    return {**without_moments(stored), "AttachTime": get_moment(stored, "attached")}


def volume_mapping(row: Row, attachment: dict[str, Any]) -> Document:
    """EC2's InstanceBlockDeviceMapping: a volume as its instance shows it."""
    return {
        "DeviceName": attachment["Device"],
        "Ebs": {
            "AttachTime": get_moment(attachment, "attached"),
            "DeleteOnTermination": attachment["DeleteOnTermination"],
            "Status": attachment["State"],
            "VolumeId": row.id,
            "EbsCardIndex": 0,
        },
    }


def describe_volumes(tx: Tx, request: Request) -> Document:
    return describe(
        tx, request, VOLUME, show, "Volumes", VOLUME_FILTERS,
        ids="VolumeIds", parents=("Attachments.InstanceId",),
    )  # fmt: skip
