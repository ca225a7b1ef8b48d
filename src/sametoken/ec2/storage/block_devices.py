"""Block devices of a launch: the image's mappings with the request's laid over them.

The only I/O is to look up the size of a snapshot that the request names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.regions import Place
from sametoken.resources.storage import keys, snapshots
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx

# Least and most GiB of a volume of each type (EBS user guide).
SIZES_GIB = {
    "standard": (1, 1024),
    "gp2": (1, 16384),
    "gp3": (1, 65536),
    "io1": (4, 16384),
    "io2": (4, 65536),
    "st1": (125, 16384),
    "sc1": (125, 16384),
}
# Least and most IOPS, and MiB/s, of the types whose callers choose them.
IOPS = {"gp3": (3000, 80000), "io1": (100, 64000), "io2": (100, 256000)}
THROUGHPUT_MIBPS = {"gp3": (125, 2000)}
DEFAULT_TYPE = "gp2"
# Names of devices, from "Device names for volumes on Amazon EC2 instances" (EC2 user guide); on
# Windows they begin with xvd.
_DEVICE = re.compile(r"(?:/dev/)?(?:sd|xvd|hd)[a-z]{1,2}[0-9]{0,2}\Z")
_VIRTUAL = re.compile(r"ephemeral(?:[0-9]|1[0-9]|2[0-3])\Z")
# EC2's defaults for a gp3 volume.
_GP3_IOPS, GP3_THROUGHPUT = 3000, 125
# EC2 gives gp2 three IOPS a GiB, at least 100, at most 16,000.
_GP2_IOPS_PER_GIB, _GP2_IOPS_MIN, _GP2_IOPS_MAX = 3, 100, 16000


def plan_volumes(
    tx: Tx, request: Request, image: Document, tags: list[Document]
) -> list[dict[str, Any]]:
    """Plan the volumes of each instance, in EC2's names; see `volumes.lay_out_attached`.

    Raises `InvalidBlockDeviceMapping` and the refusals of `measured`.
    """
    return [
        {**volume, "Tags": tags}
        for volume in (_volume(tx, request, mapping) for mapping in _merged(tx, request, image))
        if volume is not None
    ]


def mint_volumes(tx: Tx, planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the planned volumes of one instance, with ids."""
    return [{**volume, "VolumeId": mint(tx, VOLUME.prefix)} for volume in planned]


def _merged(tx: Tx, request: Request, image: Document) -> list[Document]:
    merged = {one["DeviceName"]: dict(one) for one in image["BlockDeviceMappings"]}
    _check_devices(request.params.get("BlockDeviceMappings", ()))
    for given in request.params.get("BlockDeviceMappings", ()):
        name = given["DeviceName"]
        if "NoDevice" in given:
            merged.pop(name, None)
            continue
        if "VirtualName" in given:
            merged[name] = dict(given)
            continue
        ebs = _merged_ebs(tx, request, merged.get(name, {}).get("Ebs", {}), given.get("Ebs", {}))
        if name == image["RootDeviceName"] and ebs["SnapshotId"] != _root_snapshot(image):
            raise ServiceError(
                "InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device"
            )
        merged[name] = {"DeviceName": name, "Ebs": ebs}
    return list(merged.values())


def _check_devices(given: Sequence[Document]) -> None:
    """Refuse mappings without a device's name, or with one that is none, or is there twice."""
    for one in given:
        name = one.get("DeviceName")
        if name is None:
            raise refusals.missing_parameter("BlockDeviceMapping.DeviceName")
        if not _DEVICE.match(name):
            raise ServiceError("InvalidBlockDeviceMapping", f"Invalid device name {name[:200]}")
        if sum(name == other.get("DeviceName") for other in given) > 1:
            raise ServiceError(
                "InvalidBlockDeviceMapping",
                f"The device '{name}' is used in more than one block-device mapping",
            )
        virtual = one.get("VirtualName")
        if virtual is not None and not _VIRTUAL.match(virtual):
            raise ServiceError(
                "InvalidBlockDeviceMapping",
                f"Invalid virtual name {virtual[:200]}: use ephemeral0 to ephemeral23",
            )


def _root_snapshot(image: Document) -> str:
    named = (one for one in image["BlockDeviceMappings"] if "Ebs" in one)
    snapshots = {one["DeviceName"]: str(one["Ebs"].get("SnapshotId", "")) for one in named}
    return snapshots.get(image["RootDeviceName"], "")


def _merged_ebs(tx: Tx, request: Request, own: Document, given: Document) -> Document:
    """Lay the request's device over the image's; the snapshot's size is the least."""
    if given.get("VolumeType", own.get("VolumeType")) != own.get("VolumeType"):
        # Drop the image's figures: they are for its volume type, not for the one asked for.
        own = {name: own[name] for name in own if name not in ("Iops", "Throughput")}
    ebs = {"SnapshotId": "", **own, **given}
    snapshot_gib: int = own.get("VolumeSize", 0)
    if ebs["SnapshotId"] != own.get("SnapshotId", ""):
        source = snapshots.content(tx, request.place, ebs["SnapshotId"])
        snapshot_gib = source.gib
        ebs.setdefault("VolumeSize", snapshot_gib)
        ebs = encrypted_as(source.key, {**ebs, "Encrypted": given.get("Encrypted", False)})
    elif own.get("Encrypted"):
        # A volume from an encrypted snapshot is encrypted, whatever the request says.
        ebs["Encrypted"] = True
    _check_size(ebs.get("VolumeSize", 0), ebs["SnapshotId"], snapshot_gib)
    return ebs


def _check_size(size: int, snapshot: str, snapshot_gib: int) -> None:
    if size < snapshot_gib:
        raise ServiceError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot}', "
            f"expect size >= {snapshot_gib}GB",
        )


def _volume(tx: Tx, request: Request, mapping: Document) -> dict[str, Any] | None:
    """The spec of an EBS volume; None for an instance-store device, which makes no volume."""
    if "VirtualName" in mapping:
        return None
    ebs, device = mapping["Ebs"], mapping["DeviceName"]
    if ebs.get("Encrypted") and "KmsKeyId" not in ebs and ebs.get("SnapshotId"):
        source = rows.find(tx, ebs["SnapshotId"])
        ebs = encrypted_as(None if source is None else snapshots.key_of(source), ebs)
    return {
        "Device": device,
        "DeleteOnTermination": ebs.get("DeleteOnTermination", True),
        **measured(ebs, request.place),
    }


def encrypted_as(key: str | None, ebs: Document) -> Document:
    """The members of a volume from a snapshot: encrypted if that is, by its key unless asked."""
    return ebs if key is None else {"KmsKeyId": key, **ebs, "Encrypted": True}


def measured(ebs: Document, place: Place) -> dict[str, Any]:
    """The members of a volume as asked for, with EC2's defaults, in EC2's names for a volume.

    `ebs` has VolumeSize, VolumeType, Iops, Throughput, Encrypted, KmsKeyId, SnapshotId. Raises
    EC2's refusals of a volume.
    """
    kind = ebs.get("VolumeType", DEFAULT_TYPE)
    size = ebs.get("VolumeSize")
    if size is None:
        raise refusals.missing_parameter("size/snapshot")
    least, most = SIZES_GIB[kind]
    if not least <= size <= most:
        raise refusals.invalid_value(
            "VolumeSize", size, f"A volume of type {kind} has {least} to {most} GiB."
        )
    _check_performance(kind, ebs)
    return {
        "Encrypted": ebs.get("Encrypted", False),
        "Iops": ebs.get("Iops", _default_iops(kind, size)),
        "KmsKeyId": keys.arn_of(place, ebs.get("KmsKeyId")) if ebs.get("Encrypted") else None,
        "Size": size,
        "SnapshotId": ebs.get("SnapshotId", ""),
        "Throughput": ebs.get("Throughput", GP3_THROUGHPUT if kind == "gp3" else None),
        "VolumeType": kind,
    }


def _check_performance(kind: str, ebs: Document) -> None:
    """Refuse figures that the type does not take, and types without figures that they need."""
    for name, limits in (("Iops", IOPS), ("Throughput", THROUGHPUT_MIBPS)):
        parameter = name.lower()
        if kind not in limits:
            if name in ebs:
                raise refusals.invalid_combination(
                    f"The parameter {parameter} is not supported for {kind} volumes."
                )
            continue
        least, most = limits[kind]
        if name in ebs and not least <= ebs[name] <= most:
            raise refusals.invalid_value(
                parameter, ebs[name], f"A volume of type {kind} takes {least} to {most}."
            )
    if kind in ("io1", "io2") and "Iops" not in ebs:
        raise ServiceError(
            "MissingParameter", f"The parameter iops must be specified for {kind} volumes."
        )
    if "KmsKeyId" in ebs and not ebs.get("Encrypted"):
        raise ServiceError(
            "InvalidParameterDependency",
            "The parameter KmsKeyId requires the parameter Encrypted to be set.",
        )


def _default_iops(kind: str, size: int) -> int | None:
    if kind == "gp3":
        return _GP3_IOPS
    if kind == "gp2":
        return min(_GP2_IOPS_MAX, max(_GP2_IOPS_MIN, size * _GP2_IOPS_PER_GIB))
    return None
