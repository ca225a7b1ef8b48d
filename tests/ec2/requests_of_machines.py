"""A request of each action on instances, disks, images, keys and templates, and what it stands on.

Each is valid the first time it is made, and says the same the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ec2.ground import Ground

Document = dict[str, Any]
Ask = Callable[[Ground], Document]

# Anybody's: what counts is that it can be read.
PUBLIC_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMduvWA7Q35QVLBez30EIH7qXgyHjmUqQgB6+Klj7oM1"
_TAGS = [{"Key": "colour", "Value": "red"}]


def _named(name: str) -> Document:
    return {"KeyName": name, "KeyType": "ed25519"}


def _registered(ground: Ground) -> Document:
    ebs = {"SnapshotId": ground.snapshot()}
    return {
        "Name": "registered",
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": ebs}],
    }


def _tagged(ground: Ground) -> Document:
    asked = {"Resources": [ground.default_vpc], "Tags": _TAGS}
    ground.call("CreateTags", **asked)
    return asked


def _with_version(ground: Ground) -> Document:
    id, data = ground.template(), {"InstanceType": "t3.small"}
    ground.call("CreateLaunchTemplateVersion", LaunchTemplateId=id, LaunchTemplateData=data)
    return {"LaunchTemplateId": id, "Versions": ["2"]}


def _grouped(ground: Ground) -> Document:
    ground.call("CreatePlacementGroup", GroupName="close", Strategy="cluster")
    return {"GroupName": "close"}


def _monitored(ground: Ground) -> Document:
    asked = {"InstanceIds": [ground.instance()]}
    ground.call("MonitorInstances", **asked)
    return asked


def _keyed(ground: Ground, member: str) -> Document:
    return {member: ground.call("CreateKeyPair", **_named("mine"))[member]}


REQUESTS: dict[str, Ask] = {
    "AttachVolume": lambda ground: {
        "VolumeId": ground.volume(), "InstanceId": ground.instance(), "Device": "/dev/sdf",
    },
    "CancelCapacityReservation": lambda ground: {
        "CapacityReservationId": ground.call(
            "CreateCapacityReservation", AvailabilityZone=ground.zone, InstanceType="t3.micro",
            InstancePlatform="Linux/UNIX", InstanceCount=1,
        )["CapacityReservation"]["CapacityReservationId"],
    },
    "CopySnapshot": lambda ground: {
        "SourceRegion": ground.region, "SourceSnapshotId": ground.snapshot(),
    },
    "CopyVolumes": lambda ground: {"SourceVolumeId": ground.volume()},
    "CreateImage": lambda ground: {"InstanceId": ground.instance(), "Name": "mine"},
    "CreateKeyPair": lambda ground: _named("mine"),
    "CreatePlacementGroup": lambda ground: {"GroupName": "close", "Strategy": "cluster"},
    "CreateSnapshot": lambda ground: {"VolumeId": ground.volume()},
    "CreateTags": lambda ground: {"Resources": [ground.default_vpc], "Tags": _TAGS},
    "DeleteKeyPair": lambda ground: _keyed(ground, "KeyName"),
    "DeleteKeyPair by id": lambda ground: _keyed(ground, "KeyPairId"),
    "DeleteLaunchTemplate": lambda ground: {"LaunchTemplateId": ground.template()},
    "DeleteLaunchTemplateVersions": _with_version,
    "DeletePlacementGroup": _grouped,
    "DeleteSnapshot": lambda ground: {"SnapshotId": ground.snapshot()},
    "DeleteTags": _tagged,
    "DeleteVolume": lambda ground: {"VolumeId": ground.volume()},
    "DeregisterImage": lambda ground: {"ImageId": ground.image()},
    "DetachVolume": lambda ground: {"VolumeId": ground.attached_volume()},
    "ImportKeyPair": lambda ground: {"KeyName": "mine", "PublicKeyMaterial": PUBLIC_KEY},
    "ModifyImageAttribute": lambda ground: {
        "ImageId": ground.image(), "Description": {"Value": "of mine"},
    },
    "ModifyInstanceCreditSpecification": lambda ground: {
        "InstanceCreditSpecifications": [
            {"InstanceId": ground.instance(), "CpuCredits": "standard"}
        ]
    },
    "ModifyInstanceAttribute": lambda ground: {
        "InstanceId": ground.instance(), "DisableApiTermination": {"Value": True},
    },
    "ModifyVolume": lambda ground: {"VolumeId": ground.volume(), "Size": 9},
    "MonitorInstances": lambda ground: {"InstanceIds": [ground.instance()]},
    "RebootInstances": lambda ground: {"InstanceIds": [ground.instance()]},
    "RegisterImage": _registered,
    "StartInstances": lambda ground: {"InstanceIds": [ground.stopped()]},
    "StopInstances": lambda ground: {"InstanceIds": [ground.instance()]},
    "TerminateInstances": lambda ground: {"InstanceIds": [ground.instance()]},
    "UnmonitorInstances": _monitored,
}  # fmt: skip
