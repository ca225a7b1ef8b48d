"""EBS volumes outside a launch: token, states, and attachments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import refusal, running, wait
from plane import Plane
from sametoken.resources.kit import ripening

ZONE = "us-east-1a"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[:60]))


def ripen(plane: Plane) -> None:
    """Let time pass until every resource has reached its next state."""
    plane.advance(timedelta(seconds=5))
    while plane.run(ripening.ripen_due):
        pass


def state(ec2: Any, volume: str) -> str:
    return str(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"])


def available(plane: Plane, ec2: Any, **more: Any) -> str:
    volume = ec2.create_volume(AvailabilityZone=ZONE, Size=8, **more)["VolumeId"]
    ripen(plane)
    return str(volume)


def running_in_zone(client: Any) -> str:
    """Launch an instance in the volumes' zone, wait until it runs, and return its id."""
    return running(client, Placement={"AvailabilityZone": ZONE})


def test_thirty_two_creates_with_one_token_make_one_volume(plane: Plane, ec2: Any) -> None:
    def create(_: int) -> str:
        made = ec2.create_volume(AvailabilityZone=ZONE, Size=8, ClientToken="one")
        return str(made["VolumeId"])

    with ThreadPoolExecutor(32) as pool:
        assert len(set(pool.map(create, range(32)))) == 1
    assert len(ec2.describe_volumes()["Volumes"]) == 1


def test_a_default_given_and_left_out_are_the_same_request(ec2: Any) -> None:
    plain = ec2.create_volume(AvailabilityZone=ZONE, Size=8, ClientToken="d")
    spelled = ec2.create_volume(AvailabilityZone=ZONE, Size=8, VolumeType="gp2", ClientToken="d")
    assert plain["VolumeId"] == spelled["VolumeId"]
    assert "ClientToken" not in plain


def test_the_throughput_of_gp3_has_a_default_and_of_other_types_none(ec2: Any) -> None:
    asked = {"AvailabilityZone": ZONE, "Size": 8, "VolumeType": "gp3", "ClientToken": "gp3"}
    ids = {ec2.create_volume(**asked, **more)["VolumeId"] for more in ({}, {"Throughput": 125}, {})}
    assert len(ids) == 1
    other = refusal(ec2.create_volume, **asked, Throughput=250)
    assert other.code == "IdempotentParameterMismatch"
    # Send the default first, and leave it out in the repeat. EC2 has a default throughput for gp3
    # alone: for gp2 a request with one is another request.
    said = {**asked, "Throughput": 125, "ClientToken": "gp3-said"}
    plain = {name: value for name, value in said.items() if name != "Throughput"}
    assert ec2.create_volume(**said)["VolumeId"] == ec2.create_volume(**plain)["VolumeId"]
    gp2 = {**asked, "VolumeType": "gp2", "ClientToken": "gp2"}
    ec2.create_volume(**gp2)
    refused = refusal(ec2.create_volume, **gp2, Throughput=125)
    assert refused.code == "IdempotentParameterMismatch"


def test_another_size_is_refused_in_the_words_of_ec2(ec2: Any) -> None:
    ec2.create_volume(AvailabilityZone=ZONE, Size=8, ClientToken="m")
    refused = refusal(ec2.create_volume, AvailabilityZone=ZONE, Size=9, ClientToken="m")
    assert refused.code == "IdempotentParameterMismatch"
    assert refused.message == (
        "Parameters on this idempotent request are inconsistent with parameters used in previous "
        "request(s)"
    )
    assert len(ec2.describe_volumes()["Volumes"]) == 1


def test_tags_are_compared_as_a_set(ec2: Any) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    ids = {
        ec2.create_volume(
            AvailabilityZone=ZONE,
            Size=1,
            ClientToken="t",
            TagSpecifications=[{"ResourceType": "volume", "Tags": order}],
        )["VolumeId"]
        for order in (tags, tags[::-1])
    }
    assert len(ids) == 1


def test_each_zone_has_a_volume_of_its_own_and_replays_there(ec2: Any) -> None:
    ids = [
        ec2.create_volume(AvailabilityZone=zone, Size=8, ClientToken="z")["VolumeId"]
        for zone in (ZONE, "us-east-1b", ZONE, "us-east-1b")
    ]
    assert ids[:2] == ids[2:] and ids[0] != ids[1]


def test_a_replay_shows_what_became_of_the_volume(plane: Plane, ec2: Any) -> None:
    asked = {"AvailabilityZone": ZONE, "Size": 8, "ClientToken": "r"}
    volume = ec2.create_volume(**asked)
    assert volume["State"] == "creating"
    ripen(plane)
    ec2.modify_volume(VolumeId=volume["VolumeId"], Size=20)
    again = ec2.create_volume(**asked)
    assert (again["VolumeId"], again["State"]) == (volume["VolumeId"], "available")
    assert again["Size"] == 20


def test_a_replay_after_deletion_is_refused_and_makes_nothing(plane: Plane, ec2: Any) -> None:
    asked = {"AvailabilityZone": ZONE, "Size": 8, "ClientToken": "g"}
    volume = available(plane, ec2, ClientToken="g")
    ec2.delete_volume(VolumeId=volume)
    refused = refusal(ec2.create_volume, **asked)
    assert refused.code == "IdempotentParameterMismatch" and "already deleted" in refused.message
    assert ec2.describe_volumes()["Volumes"] == []
    assert refusal(ec2.delete_volume, VolumeId=volume).code == "InvalidVolume.NotFound"


def test_an_unusable_key_fails_later_and_burns_the_token(plane: Plane, ec2: Any) -> None:
    asked = {
        "AvailabilityZone": ZONE,
        "Size": 8,
        "Encrypted": True,
        "KmsKeyId": "alias/nobody-made-it",
        "ClientToken": "k",
    }
    volume = ec2.create_volume(**asked)
    assert volume["State"] == "creating"
    ripen(plane)
    assert (
        refusal(ec2.describe_volumes, VolumeIds=[volume["VolumeId"]]).code
        == "InvalidVolume.NotFound"
    )
    assert refusal(ec2.create_volume, **asked).code == "IdempotentParameterMismatch"


def test_attach_and_detach_say_what_stands_in_the_way(plane: Plane, ec2: Any) -> None:
    volume, instance = available(plane, ec2), running_in_zone(ec2)
    asked = {"VolumeId": volume, "InstanceId": instance, "Device": "/dev/sdf"}
    assert ec2.attach_volume(**asked)["State"] == "attaching"
    assert state(ec2, volume) == "in-use"
    assert refusal(ec2.attach_volume, **asked).code == "VolumeInUse"
    assert refusal(ec2.delete_volume, VolumeId=volume).code == "VolumeInUse"
    assert ec2.detach_volume(VolumeId=volume)["State"] == "detaching"
    assert state(ec2, volume) == "available"
    assert refusal(ec2.detach_volume, VolumeId=volume).code == "IncorrectState"
    elsewhere = ec2.create_volume(AvailabilityZone="us-east-1b", Size=1)["VolumeId"]
    ripen(plane)
    asked["VolumeId"] = elsewhere
    assert refusal(ec2.attach_volume, **asked).code == "InvalidVolume.ZoneMismatch"


def test_an_attached_volume_outlives_its_instance(plane: Plane, ec2: Any) -> None:
    volume, instance = available(plane, ec2), running_in_zone(ec2)
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", instance)
    assert [(one["VolumeId"], one["State"]) for one in ec2.describe_volumes()["Volumes"]] == [
        (volume, "available")
    ]


@pytest.mark.parametrize(
    ("kind", "size"), [("io1", 8), ("io2", 8), ("st1", 125), ("sc1", 125), ("gp2", 8), ("gp3", 8)]
)
def test_a_volume_of_each_type_grows_twice(plane: Plane, ec2: Any, kind: str, size: int) -> None:
    figures = {"Iops": 200} if kind in ("io1", "io2") else {}
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=size, VolumeType=kind, **figures)
    for more in (1, 2):
        ripen(plane)
        told = ec2.modify_volume(VolumeId=made["VolumeId"], Size=size + more)
        assert told["VolumeModification"]["TargetSize"] == size + more
        assert told["VolumeModification"].get("TargetIops") == made.get("Iops") or kind == "gp2"


def test_modifying_a_volume_is_told(plane: Plane, ec2: Any) -> None:
    volume = available(plane, ec2)
    told = ec2.modify_volume(VolumeId=volume, Size=10, VolumeType="gp3")["VolumeModification"]
    assert (told["OriginalSize"], told["TargetSize"]) == (8, 10)
    assert told["ModificationState"] == "modifying" and "EndTime" not in told
    plane.advance(timedelta(seconds=1))
    [later] = ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
    assert (later["ModificationState"], later["Progress"] > 0) == ("optimizing", True)
    early = refusal(ec2.modify_volume, VolumeId=volume, Size=11)
    assert early.code == "IncorrectModificationState", "one at a time"
    plane.advance(timedelta(seconds=5))
    listed = ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
    assert [one["ModificationState"] for one in listed] == ["completed"]
    assert ec2.modify_volume(VolumeId=volume, Size=11)["VolumeModification"]["OriginalSize"] == 10
    plane.advance(timedelta(seconds=5))
    assert refusal(ec2.modify_volume, VolumeId=volume, Size=1).code == "InvalidParameterValue"
    assert ec2.describe_volume_status(VolumeIds=[volume])["VolumeStatuses"]


def test_what_is_not_done_with_a_volume_is_refused_by_name(plane: Plane, ec2: Any) -> None:
    volume = available(plane, ec2)
    many = refusal(ec2.modify_volume, VolumeId=volume, MultiAttachEnabled=True)
    assert (many.code, "MultiAttachEnabled" in many.message) == ("UnsupportedOperation", True)
    asked = {"VolumeId": volume, "InstanceId": "i-00000000", "Device": "/dev/sdf"}
    card = refusal(ec2.attach_volume, **asked, EbsCardIndex=1)
    assert (card.code, "EbsCardIndex" in card.message) == ("UnsupportedOperation", True)
    assert state(ec2, volume) == "available"
