"""Block devices of a launch: the image's mappings with the request's laid over them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.request import Document
from sametoken.errors import ServiceError
from sametoken.resources import refusals
from sametoken.resources.volumes import VOLUME
from sametoken.store.port import Tx

# The least and the most GiB of a volume of each type (EBS user guide).
SIZES_GIB = {
    "standard": (1, 1024),
    "gp2": (1, 16384),
    "gp3": (1, 65536),
    "io1": (4, 16384),
    "io2": (4, 65536),
    "st1": (125, 16384),
    "sc1": (125, 16384),
}
_DEFAULT_TYPE = "gp2"
# What EC2 gives a gp3 volume that asks for nothing.
_GP3_IOPS, _GP3_THROUGHPUT = 3000, 125
# gp2: three IOPS a GiB, at least 100, at most 16,000.
_GP2_IOPS_PER_GIB, _GP2_IOPS_MIN, _GP2_IOPS_MAX = 3, 100, 16000


def plan_volumes(
    tx: Tx, image: Document, params: Mapping[str, Any], tags: list[Document]
) -> list[dict[str, Any]]:
    """The volumes one instance gets, ids minted, in EC2's names; see `volumes.create_attached`.

    Raises `InvalidBlockDeviceMapping` and its like.
    """
    return [
        {**volume, "VolumeId": tx.mint(VOLUME.prefix), "Tags": tags}
        for volume in (_volume(mapping) for mapping in _merged(image, params))
        if volume is not None
    ]


def _merged(image: Document, params: Mapping[str, Any]) -> list[Document]:
    merged = {one["DeviceName"]: dict(one) for one in image["BlockDeviceMappings"]}
    for given in params.get("BlockDeviceMappings", ()):
        name = given.get("DeviceName")
        if name is None:
            raise refusals.missing_parameter("BlockDeviceMapping.DeviceName")
        if "NoDevice" in given:
            merged.pop(name, None)
            continue
        ebs = {**merged.get(name, {}).get("Ebs", {}), **given.get("Ebs", {})}
        _check_size(name, ebs, merged.get(name, {}).get("Ebs", {}).get("VolumeSize", 0))
        merged[name] = {**given, "Ebs": ebs} if "VirtualName" not in given else dict(given)
    return list(merged.values())


def _check_size(device: str, ebs: Document, snapshot_gib: int) -> None:
    if ebs.get("VolumeSize", snapshot_gib) < snapshot_gib:
        raise ServiceError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {ebs['VolumeSize']}GB is smaller than snapshot "
            f"'{ebs.get('SnapshotId')}' of {device}, expect size >= {snapshot_gib}GB",
        )


def _volume(mapping: Document) -> dict[str, Any] | None:
    """One EBS volume's spec; None for an instance-store device, which makes no volume."""
    if "VirtualName" in mapping:
        return None
    ebs, device = mapping["Ebs"], mapping["DeviceName"]
    kind = ebs.get("VolumeType", _DEFAULT_TYPE)
    size = ebs.get("VolumeSize")
    if size is None:
        raise ServiceError(
            "MissingParameter", f"The device {device} needs a VolumeSize or a SnapshotId."
        )
    least, most = SIZES_GIB[kind]
    if not least <= size <= most:
        raise refusals.invalid_value(
            "VolumeSize", size, f"A volume of type {kind} has {least} to {most} GiB."
        )
    return {
        "Device": device,
        "DeleteOnTermination": ebs.get("DeleteOnTermination", True),
        "Encrypted": ebs.get("Encrypted", False),
        "Iops": ebs.get("Iops", _default_iops(kind, size)),
        "KmsKeyId": ebs.get("KmsKeyId"),
        "Size": size,
        "SnapshotId": ebs.get("SnapshotId", ""),
        "Throughput": ebs.get("Throughput", _GP3_THROUGHPUT if kind == "gp3" else None),
        "VolumeType": kind,
    }


def _default_iops(kind: str, size: int) -> int | None:
    if kind == "gp3":
        return _GP3_IOPS
    if kind == "gp2":
        return min(_GP2_IOPS_MAX, max(_GP2_IOPS_MIN, size * _GP2_IOPS_PER_GIB))
    return None
