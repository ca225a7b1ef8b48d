"""Snapshots and images that an account has made itself."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import refusal, running
from ec2.storage.test_volumes import ZONE, available, ripen
from plane import LAUNCH, Plane


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[:60]))


def snapshot(plane: Plane, ec2: Any) -> str:
    volume = available(plane, ec2)
    made = ec2.create_snapshot(VolumeId=volume, Description="nightly")
    assert made["State"] == "pending"
    ripen(plane)
    return str(made["SnapshotId"])


def test_a_snapshot_completes_and_repeats_make_others(plane: Plane, ec2: Any) -> None:
    first = snapshot(plane, ec2)
    volume = ec2.describe_snapshots(SnapshotIds=[first])["Snapshots"][0]["VolumeId"]
    second = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert first != second, "CreateSnapshot has no token: a repeat is another snapshot"
    found = ec2.describe_snapshots(OwnerIds=["self"], SnapshotIds=[first])["Snapshots"]
    assert [(one["State"], one["Progress"]) for one in found] == [("completed", "100%")]


def test_a_volume_from_a_snapshot_has_its_size_at_least(plane: Plane, ec2: Any) -> None:
    source = snapshot(plane, ec2)
    made = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=source)
    assert (made["Size"], made["SnapshotId"]) == (8, source)
    asked = {"AvailabilityZone": ZONE, "SnapshotId": source, "Size": 4}
    assert refusal(ec2.create_volume, **asked).code == "InvalidParameterValue"
    asked = {"AvailabilityZone": ZONE, "SnapshotId": "snap-00000000000000000"}
    assert refusal(ec2.create_volume, **asked).code == "InvalidSnapshot.NotFound"


def test_a_snapshot_is_copied_to_another_region(plane: Plane, ec2: Any) -> None:
    source = snapshot(plane, ec2)
    keys = plane.account("test_a_snapshot_is_copied_to_another_region"[:60])
    there = plane.client(keys=keys, region="eu-west-1")
    copied = there.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=source)["SnapshotId"]
    assert there.describe_snapshots(SnapshotIds=[copied])["Snapshots"][0]["VolumeSize"] == 8
    ec2.delete_snapshot(SnapshotId=source)
    assert refusal(ec2.delete_snapshot, SnapshotId=source).code == "InvalidSnapshot.NotFound"


def test_an_image_of_an_instance_can_be_launched(plane: Plane, ec2: Any) -> None:
    instance = running(ec2)
    image = ec2.create_image(InstanceId=instance, Name="mine")["ImageId"]
    launch = {**LAUNCH, "ImageId": image}
    assert refusal(ec2.run_instances, **launch).code == "InvalidAMIID.Unavailable"
    ripen(plane)
    [shown] = ec2.describe_images(Owners=["self"])["Images"]
    assert (shown["ImageId"], shown["State"], shown["Name"]) == (image, "available", "mine")
    assert ec2.run_instances(**launch)["Instances"][0]["ImageId"] == image
    asked = {"InstanceId": instance, "Name": "mine"}
    assert refusal(ec2.create_image, **asked).code == "InvalidAMIName.Duplicate"


def test_a_deregistered_image_is_gone_but_its_token_still_replays(plane: Plane, ec2: Any) -> None:
    instance = running(ec2)
    image = ec2.create_image(InstanceId=instance, Name="short-lived")["ImageId"]
    ripen(plane)
    launch = {**LAUNCH, "ImageId": image, "ClientToken": "of-an-image"}
    first = ec2.run_instances(**launch)
    used = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["SnapshotId"]
    assert refusal(ec2.delete_snapshot, SnapshotId=used).code == "InvalidSnapshot.InUse"
    whole = refusal(ec2.deregister_image, ImageId=image, DeleteAssociatedSnapshots=True)
    assert whole.code == "UnsupportedOperation"
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=used)
    assert ec2.describe_images(ImageIds=[image])["Images"] == [], "as EC2 answers a waiting client"
    never = "ami-00000000000000000"
    assert refusal(ec2.describe_images, ImageIds=[never]).code == "InvalidAMIID.NotFound"
    again = ec2.run_instances(**launch)
    assert again["ReservationId"] == first["ReservationId"]
    launch["ClientToken"] = "another"
    assert refusal(ec2.run_instances, **launch).code == "InvalidAMIID.NotFound"


def test_an_image_is_registered_and_copied_once_for_its_token(plane: Plane, ec2: Any) -> None:
    source = snapshot(plane, ec2)
    image = ec2.register_image(
        Name="registered",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": source}}],
    )["ImageId"]
    ripen(plane)
    asked = {"Name": "copied", "SourceImageId": image, "SourceRegion": "us-east-1"}
    copies = {ec2.copy_image(**asked, ClientToken="c" * 128)["ImageId"] for _ in range(2)}
    assert len(copies) == 1
    asked["Name"] = "copied-again"
    assert (
        refusal(ec2.copy_image, **asked, ClientToken="c" * 128).code
        == "IdempotentParameterMismatch"
    )
    assert ec2.run_instances(**{**LAUNCH, "ImageId": image})["Instances"]


def test_launch_permissions_and_descriptions_are_kept(plane: Plane, ec2: Any) -> None:
    instance = running(ec2)
    image = ec2.create_image(InstanceId=instance, Name="shared")["ImageId"]
    permission = {"Add": [{"UserId": "123456789012"}]}
    for _ in range(2):
        ec2.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    told = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    assert told["LaunchPermissions"] == [{"UserId": "123456789012"}]
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "ours"})
    told = ec2.describe_image_attribute(ImageId=image, Attribute="description")
    assert told["Description"] == {"Value": "ours"}


def test_snapshots_are_restorable_by_their_owner_alone(plane: Plane, ec2: Any) -> None:
    made = snapshot(plane, ec2)

    def found(*users: str) -> list[str]:
        shown = ec2.describe_snapshots(RestorableByUserIds=list(users))["Snapshots"]
        return [one["SnapshotId"] for one in shown]

    assert found("self") == [made]
    assert found("all") == []
