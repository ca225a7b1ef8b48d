"""Images that an account shares with others: seen, launched and copied by them, until it ends."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import refusal
from ec2.storage.test_snapshots_and_images import snapshot
from ec2.storage.test_volumes import ripen
from plane import LAUNCH, Plane
from sametoken.resources.kit import rows
from sametoken.resources.storage.account_images import IMAGE
from sametoken.store.port import Tx


class Pair:
    """An owner with an image, and another account."""

    def __init__(self, plane: Plane, name: str) -> None:
        self.plane = plane
        self.owner = plane.client(keys=plane.account(f"owner of {name}"))
        self.keys = plane.account(f"member of {name}")
        self.member = plane.client(keys=self.keys)
        self.snapshot = snapshot(plane, self.owner)
        self.image: str = self.owner.register_image(
            Name="shared",
            Architecture="x86_64",
            RootDeviceName="/dev/xvda",
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": self.snapshot}}],
            TagSpecifications=[
                {"ResourceType": "image", "Tags": [{"Key": "of", "Value": "the owner"}]}
            ],
        )["ImageId"]
        ripen(plane)

    def permit(self, **one: str) -> None:
        self.owner.modify_image_attribute(ImageId=self.image, LaunchPermission={"Add": [one]})

    def seen(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.member.describe_images(**params)["Images"]
        return found


@pytest.fixture
def pair(plane: Plane, request: pytest.FixtureRequest) -> Pair:
    return Pair(plane, request.node.name[-50:])


def test_a_private_image_is_left_out_and_cannot_be_used_by_others(pair: Pair) -> None:
    assert pair.seen(ImageIds=[pair.image]) == []
    assert all(one["ImageId"] != pair.image for one in pair.seen())
    launch = {**LAUNCH, "ImageId": pair.image}
    assert refusal(pair.member.run_instances, **launch).code == "InvalidAMIID.NotFound"
    copy = {"SourceImageId": pair.image, "SourceRegion": "us-east-1", "Name": "stolen"}
    assert refusal(pair.member.copy_image, **copy).code == "InvalidAMIID.NotFound"


@pytest.mark.parametrize("permission", ["UserId", "Group"])
def test_a_shared_image_is_seen_launched_and_copied_by_others(pair: Pair, permission: str) -> None:
    pair.permit(**{permission: "all" if permission == "Group" else pair.keys.account})
    [by_id] = pair.seen(ImageIds=[pair.image])
    assert [one for one in pair.seen() if one["ImageId"] == pair.image] == [by_id]
    assert "Tags" not in by_id, "only the owner sees its tags"
    assert by_id["Public"] == (permission == "Group")
    launched = pair.member.run_instances(**{**LAUNCH, "ImageId": pair.image})["Instances"]
    assert launched[0]["ImageId"] == pair.image
    copy = pair.member.copy_image(
        SourceImageId=pair.image, SourceRegion="us-east-1", Name="copy", CopyImageTags=True
    )["ImageId"]
    ripen(pair.plane)
    [own] = pair.seen(Owners=["self"])
    assert (own["ImageId"], own["OwnerId"], own.get("Tags")) == (copy, pair.keys.account, None)


def test_executable_users_are_those_with_a_permission_of_their_own(pair: Pair) -> None:
    pair.permit(UserId=pair.keys.account)
    ids = {"ImageIds": [pair.image]}
    assert pair.seen(**ids, ExecutableUsers=["self"])
    assert not pair.seen(**ids, ExecutableUsers=["all"])
    mine = pair.owner.describe_images
    assert mine(**ids, ExecutableUsers=[pair.keys.account])["Images"]
    assert mine(**ids, ExecutableUsers=["self"])["Images"] == [], "an owner needs no permission"


@pytest.mark.parametrize("way", ["Remove", "OperationType", "Reset", "Deregister"])
def test_what_is_taken_back_is_seen_no_longer(pair: Pair, way: str) -> None:
    user = pair.keys.account
    older = {"Attribute": "launchPermission", "UserIds": [user]}
    pair.owner.modify_image_attribute(ImageId=pair.image, OperationType="add", **older)
    assert pair.seen(ImageIds=[pair.image])
    change = pair.owner.modify_image_attribute
    if way == "Remove":
        change(ImageId=pair.image, LaunchPermission={"Remove": [{"UserId": user}]})
    elif way == "OperationType":
        change(ImageId=pair.image, OperationType="remove", **older)
    elif way == "Reset":
        pair.owner.reset_image_attribute(ImageId=pair.image, Attribute="launchPermission")
    else:
        pair.owner.deregister_image(ImageId=pair.image)
    assert pair.seen(ImageIds=[pair.image]) == []
    assert all(one["ImageId"] != pair.image for one in pair.seen())


def test_an_image_shared_by_an_older_release_is_listed_once_it_is_shared_again(pair: Pair) -> None:
    user = {"UserId": pair.keys.account}

    def share_as_before(tx: Tx) -> None:
        [row] = rows.by_ids(tx, [pair.image], lock=True).values()
        rows.change(tx, IMAGE, row, private={"LaunchPermissions": [user]})

    pair.plane.run(share_as_before)
    assert pair.seen(ImageIds=[pair.image])
    assert all(one["ImageId"] != pair.image for one in pair.seen())
    pair.permit(**user)
    assert any(one["ImageId"] == pair.image for one in pair.seen())


def test_an_image_changes_for_its_owner_alone(pair: Pair) -> None:
    pair.permit(Group="all")
    attribute = {"ImageId": pair.image, "Attribute": "launchPermission"}
    refused = refusal(pair.member.describe_image_attribute, **attribute)
    assert refused.code == "AuthFailure"
    assert refused.message == f"Not authorized for image:{pair.image}"
    assert refusal(pair.member.deregister_image, ImageId=pair.image).code == "AuthFailure"
    change = {"ImageId": pair.image, "LaunchPermission": {"Add": [{"UserId": "nobody"}]}}
    refused = refusal(pair.owner.modify_image_attribute, **change)
    assert refused.code == "InvalidAMIAttributeItemValue"


def test_a_copy_has_snapshots_of_its_own(pair: Pair) -> None:
    copy = pair.owner.copy_image(
        SourceImageId=pair.image,
        SourceRegion="us-east-1",
        Name="copy",
        Encrypted=True,
        CopyImageTags=True,
    )["ImageId"]
    ripen(pair.plane)
    [shown] = pair.owner.describe_images(ImageIds=[copy])["Images"]
    ebs = shown["BlockDeviceMappings"][0]["Ebs"]
    assert ebs["SnapshotId"] != pair.snapshot
    assert shown["Tags"] == [{"Key": "of", "Value": "the owner"}]
    [copied] = pair.owner.describe_snapshots(SnapshotIds=[ebs["SnapshotId"]])["Snapshots"]
    assert copied["Encrypted"] and ":key/" in copied["KmsKeyId"]
    pair.owner.deregister_image(ImageId=pair.image)
    pair.owner.delete_snapshot(SnapshotId=pair.snapshot)
    pair.owner.deregister_image(ImageId=copy)
    pair.owner.delete_snapshot(SnapshotId=ebs["SnapshotId"])


def test_a_volume_of_an_encrypted_image_is_encrypted_by_its_key(pair: Pair) -> None:
    key = "11111111-2222-3333-4444-555555555555"
    copy = pair.owner.copy_image(
        SourceImageId=pair.image,
        SourceRegion="us-east-1",
        Name="copy",
        Encrypted=True,
        KmsKeyId=key,
    )["ImageId"]
    ripen(pair.plane)
    launched = pair.owner.run_instances(**{**LAUNCH, "ImageId": copy})["Instances"][0]
    asked = [{"Name": "attachment.instance-id", "Values": [launched["InstanceId"]]}]
    pair.owner.get_waiter("instance_running").wait(
        InstanceIds=[launched["InstanceId"]], WaiterConfig={"Delay": 0, "MaxAttempts": 2000}
    )
    [volume] = pair.owner.describe_volumes(Filters=asked)["Volumes"]
    assert volume["Encrypted"] and volume["KmsKeyId"].endswith(f":key/{key}")
    [snapshot] = pair.owner.describe_snapshots(Filters=[{"Name": "encrypted", "Values": ["true"]}])[
        "Snapshots"
    ]
    made = pair.owner.create_volume(
        AvailabilityZone="us-east-1a", SnapshotId=snapshot["SnapshotId"]
    )
    assert made["Encrypted"] and made["KmsKeyId"] == volume["KmsKeyId"]
