"""Exercises of storage: volumes, snapshots, images."""

from __future__ import annotations

from exercises.exercise import Document, Exercise, Ground, Live, after, changed, nothing_more, of

# A key that does not exist: EC2 answers `creating`, and the volume then disappears unannounced.
NO_KEY = "alias/not-there"


def _volume(ground: Ground) -> Document:
    asked: Document = {"AvailabilityZone": ground.zone(), "Size": ground.either(8, 9)}
    if ground.knows("snapshot") and ground.happens(0.4):
        return {**asked, "SnapshotId": ground.known("snapshot")}
    return {**asked, "Encrypted": True, "KmsKeyId": NO_KEY} if ground.happens(0.1) else asked


def _copied_volume(ground: Ground) -> Document:
    return {"SourceVolumeId": ground.known("volume"), "VolumeType": ground.either("gp2", "gp3")}


def _attaching(ground: Ground) -> Document:
    ids = {"VolumeId": ground.own("volume"), "InstanceId": ground.known("instance")}
    return {**ids, "Device": "/dev/sdf"}


attached = after("AttachVolume", _attaching, "VolumeId")


def _all_modified(ground: Live) -> Document:
    for one in ground.call("DescribeVolumes")["Volumes"]:
        ground.call("ModifyVolume", VolumeId=one["VolumeId"], Size=9)
    ground.later()
    return {}


def _snapshot(ground: Ground) -> Document:
    return {"VolumeId": ground.known("volume")}


def _copied_snapshot(ground: Ground) -> Document:
    return {"SourceSnapshotId": ground.known("snapshot"), "SourceRegion": ground.region}


# Few names, so that some requests meet one that is taken.
def _image_name(ground: Ground) -> str:
    return ground.name("golden", "silver", "bronze")


def _image(ground: Ground) -> Document:
    ebs = {"SnapshotId": ground.known("snapshot")}
    return {
        "Name": _image_name(ground),
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": ebs}],
    }


def _image_of_instance(ground: Ground) -> Document:
    return {"Name": _image_name(ground), "InstanceId": ground.known("instance")}


def _copied_image(ground: Ground) -> Document:
    source = {"SourceImageId": ground.known("image"), "SourceRegion": ground.region}
    return {**source, "Name": _image_name(ground)}


EXERCISES = (
    Exercise(
        kind="volume",
        make="CreateVolume",
        ask=_volume,
        other=changed(Size=10),
        end="DeleteVolume",
        brought_by="instance",
        lists={"DescribeVolumeStatus": nothing_more, "DescribeVolumesModifications": _all_modified},
        changes={
            "AttachVolume": _attaching,
            "DetachVolume": attached,
            "ModifyVolume": of("volume", "VolumeId", Size=9),
        },
    ),
    Exercise(
        kind="volume",
        make="CopyVolumes",
        ask=_copied_volume,
        other=changed(VolumeType="gp3"),
    ),
    Exercise(
        kind="snapshot",
        make="CreateSnapshot",
        ask=_snapshot,
        end="DeleteSnapshot",
        brought_by="image",
    ),
    Exercise(kind="snapshot", make="CopySnapshot", ask=_copied_snapshot),
    Exercise(
        kind="image",
        make="RegisterImage",
        ask=_image,
        end="DeregisterImage",
        changes={
            "ModifyImageAttribute": of("image", "ImageId", Description={"Value": "of mine"}),
            "ResetImageAttribute": of("image", "ImageId", Attribute="launchPermission"),
        },
    ),
    Exercise(kind="image", make="CreateImage", ask=_image_of_instance),
    Exercise(
        kind="image",
        make="CopyImage",
        ask=_copied_image,
        other=changed(Name="another-copy"),
    ),
)
