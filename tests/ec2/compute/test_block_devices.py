"""Volumes of a launch: the image's devices, changed by the request's, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import AT_ONCE, by_filter, code, described, launch, running, wait
from plane import LAUNCH, Plane

ROOT = "/dev/xvda"


def devices(*mappings: dict[str, Any]) -> dict[str, Any]:
    return {"BlockDeviceMappings": list(mappings)}


def ebs(device: str, **members: Any) -> dict[str, Any]:
    return {"DeviceName": device, "Ebs": members}


def volumes(client: Any, id: str) -> dict[str, dict[str, Any]]:
    """Return the volumes attached to an instance, by device."""
    answer = client.describe_volumes(Filters=by_filter("attachment.instance-id", id))
    return {one["Attachments"][0]["Device"]: one for one in answer["Volumes"]}


def test_a_plain_launch_has_the_images_root_volume(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    [image] = client.describe_images(ImageIds=[described(client, id)["ImageId"]])["Images"]
    [device] = image["BlockDeviceMappings"]
    volume = volumes(client, id)[ROOT]
    assert (volume["Size"], volume["VolumeType"]) == (8, "gp3")
    assert (volume["Iops"], volume["Throughput"]) == (3000, 125)
    assert volume["SnapshotId"] == device["Ebs"]["SnapshotId"]
    assert (volume["State"], volume["Encrypted"], volume["MultiAttachEnabled"]) == (
        "in-use", False, False,
    )  # fmt: skip
    assert volume["AvailabilityZone"] == described(client, id)["Placement"]["AvailabilityZone"]
    [attachment] = volume["Attachments"]
    assert attachment["State"] == "attached" and attachment["DeleteOnTermination"] is True
    assert attachment["InstanceId"] == id and attachment["AttachTime"]


def test_the_root_device_is_named_first(plane: Plane) -> None:
    client = plane.client()
    id = running(client, **devices(ebs("/dev/sdb", VolumeSize=1), ebs("/dev/sda2", VolumeSize=1)))
    names = [one["DeviceName"] for one in described(client, id)["BlockDeviceMappings"]]
    assert names[0] == ROOT
    assert sorted(names[1:]) == ["/dev/sda2", "/dev/sdb"]


def test_a_request_lays_its_devices_over_the_images(plane: Plane) -> None:
    client = plane.client()
    id = running(
        client,
        **devices(
            ebs(ROOT, VolumeSize=20, VolumeType="gp2"),
            ebs("/dev/sdf", VolumeSize=100, VolumeType="io2", Iops=5000),
            ebs("/dev/sdg", VolumeSize=5, VolumeType="gp3", Throughput=500, Iops=4000),
            ebs("/dev/sdh", VolumeSize=1, Encrypted=True, KmsKeyId="alias/mine"),
            {"DeviceName": "/dev/sdi", "VirtualName": "ephemeral0"},
        ),
    )
    made = volumes(client, id)
    shown = {
        device: (
            one["Size"], one["VolumeType"], one.get("Iops"), one.get("Throughput"),
            one["Encrypted"], one.get("KmsKeyId"),
        )
        for device, one in made.items()
    }  # fmt: skip
    assert shown == {
        ROOT: (20, "gp2", 100, None, False, None),
        "/dev/sdf": (100, "io2", 5000, None, False, None),
        "/dev/sdg": (5, "gp3", 4000, 500, False, None),
        "/dev/sdh": (1, "gp2", 100, None, True, "alias/mine"),
    }
    assert made[ROOT]["SnapshotId"].startswith("snap-") and made["/dev/sdf"]["SnapshotId"] == ""
    mapped = {one["DeviceName"] for one in described(client, id)["BlockDeviceMappings"]}
    assert mapped == set(made)


def test_an_instance_store_of_the_image_is_no_volume(plane: Plane) -> None:
    client = plane.client()
    filters = by_filter("name", "ubuntu*22.04-amd64*-20251015")
    [image] = client.describe_images(Filters=filters)["Images"]
    assert len(image["BlockDeviceMappings"]) > 1
    assert set(volumes(client, running(client, ImageId=image["ImageId"]))) == {"/dev/sda1"}


@pytest.mark.parametrize("value", ["", "true"])
def test_a_device_is_left_out_by_the_presence_of_no_device(plane: Plane, value: str) -> None:
    """The API reference says "specify an empty string", but clients are known to send others."""
    client = plane.client()
    mappings = [{"DeviceName": ROOT, "NoDevice": value}, ebs("/dev/sdf", VolumeSize=1)]
    assert set(volumes(client, running(client, BlockDeviceMappings=mappings))) == {"/dev/sdf"}


def test_a_snapshot_decides_the_size_when_the_request_does_not(plane: Plane) -> None:
    client = plane.client()
    filters = by_filter("name", "RHEL-9.6.0_HVM-20250910-x86_64*")
    [image] = client.describe_images(Filters=filters)["Images"]
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    id = running(client, **devices(ebs("/dev/sdf", SnapshotId=snapshot)))
    made = volumes(client, id)["/dev/sdf"]
    assert (made["Size"], made["SnapshotId"]) == (10, snapshot)
    params = {**LAUNCH, **devices(ebs("/dev/sdf", SnapshotId=snapshot, VolumeSize=9))}
    assert code(client.run_instances, **params) == "InvalidBlockDeviceMapping"
    params = {**LAUNCH, **devices(ebs(ROOT, SnapshotId=snapshot, VolumeSize=20))}
    assert code(client.run_instances, **params) == "InvalidBlockDeviceMapping"


INVALID = [
    (ebs(ROOT, VolumeSize=7), "InvalidBlockDeviceMapping"),  # smaller than its snapshot
    (ebs("/dev/sdf"), "MissingParameter"),
    (ebs("/dev/sdf", VolumeType="gp3"), "MissingParameter"),
    ({"Ebs": {"VolumeSize": 1}}, "MissingParameter"),
    (ebs("/dev/sdf", VolumeSize=0), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=100_000), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=1, VolumeType="st1"), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=1, VolumeType="floppy"), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=8, VolumeType="io1"), "MissingParameter"),
    (ebs("/dev/sdf", VolumeSize=8, VolumeType="io2", Iops=99), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=8, VolumeType="gp2", Iops=300), "InvalidParameterCombination"),
    (ebs("/dev/sdf", VolumeSize=8, Throughput=125), "InvalidParameterCombination"),
    (ebs("/dev/sdf", VolumeSize=8, VolumeType="gp3", Iops=2999), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=8, VolumeType="gp3", Throughput=2001), "InvalidParameterValue"),
    (ebs("/dev/sdf", VolumeSize=8, KmsKeyId="k"), "InvalidParameterDependency"),
    (ebs("/dev/sdf", SnapshotId="snap-00000000000000000"), "InvalidSnapshot.NotFound"),
    (ebs("no device", VolumeSize=8), "InvalidBlockDeviceMapping"),
    (ebs("/dev/sda123", VolumeSize=8), "InvalidBlockDeviceMapping"),
    ({"DeviceName": "/dev/sdf", "VirtualName": "disk0"}, "InvalidBlockDeviceMapping"),
    ({"DeviceName": "/dev/sdf", "VirtualName": "ephemeral24"}, "InvalidBlockDeviceMapping"),
]


@pytest.mark.parametrize(("mapping", "expected"), INVALID, ids=str)
def test_a_device_that_makes_no_sense_is_refused(
    plane: Plane, mapping: dict[str, Any], expected: str
) -> None:
    assert code(plane.client().run_instances, **LAUNCH, **devices(mapping)) == expected


def test_a_device_is_mapped_once(plane: Plane) -> None:
    twice = devices(ebs("/dev/sdf", VolumeSize=8), ebs("/dev/sdf", VolumeSize=9))
    assert code(plane.client().run_instances, **LAUNCH, **twice) == "InvalidBlockDeviceMapping"


def test_a_volume_that_is_to_survive_its_instance_is_available_afterwards(plane: Plane) -> None:
    client = plane.client(keys=plane.account("survivors"))
    id = running(
        client,
        **devices(
            ebs(ROOT, DeleteOnTermination=False),
            ebs("/dev/sdf", VolumeSize=1),
            ebs("/dev/sdg", VolumeSize=1, DeleteOnTermination=False),
        ),
    )
    made = {device: one["VolumeId"] for device, one in volumes(client, id).items()}
    # ModifyInstanceAttribute changes what the request said, in both directions.
    changes = [
        {"DeviceName": device, "Ebs": {"DeleteOnTermination": deletes}}
        for device, deletes in (("/dev/sdf", False), ("/dev/sdg", True))
    ]
    client.modify_instance_attribute(InstanceId=id, BlockDeviceMappings=changes)
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)
    kept = [made[ROOT], made["/dev/sdf"]]
    client.get_waiter("volume_available").wait(VolumeIds=kept, WaiterConfig=AT_ONCE)
    answer = client.describe_volumes()["Volumes"]
    assert {one["VolumeId"]: (one["State"], one["Attachments"]) for one in answer} == {
        volume: ("available", []) for volume in kept
    }
    gone = [made["/dev/sdg"]]
    assert code(client.describe_volumes, VolumeIds=gone) == "InvalidVolume.NotFound"


def test_volumes_are_found_by_what_they_are(plane: Plane) -> None:
    client = plane.client(keys=plane.account("volume filters"))
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "disk", "Value": "data"}]}]
    id = running(
        client,
        TagSpecifications=tags,
        **devices(ebs("/dev/sdf", VolumeSize=50, VolumeType="standard")),
    )
    launch(client)
    made = volumes(client, id)
    data = made["/dev/sdf"]["VolumeId"]

    def ids(name: str, *values: str) -> set[str]:
        answer = client.describe_volumes(Filters=by_filter(name, *values))["Volumes"]
        return {one["VolumeId"] for one in answer}

    for name, value in (
        ("size", "50"), ("volume-type", "standard"), ("attachment.device", "/dev/sdf"),
        ("volume-id", data), ("snapshot-id", ""),
    ):  # fmt: skip
        assert ids(name, value) == {data}, name
    both = {one["VolumeId"] for one in made.values()}
    for name, value in (
        ("attachment.instance-id", id), ("tag:disk", "data"), ("tag-key", "disk"),
    ):  # fmt: skip
        assert ids(name, value) == both, name
    assert both <= ids("status", "in-use") and both <= ids("attachment.status", "attached")
    assert both <= ids("encrypted", "false") and ids("encrypted", "true") == set()
    assert ids("availability-zone", made[ROOT]["AvailabilityZone"]) >= both
    assert (
        code(client.describe_volumes, Filters=by_filter("colour", "x")) == "InvalidParameterValue"
    )
    assert code(client.describe_volumes, VolumeIds=["vol-x"]) == "InvalidVolumeID.Malformed"
