"""CopyVolumes: a copy takes its source's properties, unless the request sets them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import by_filter, code
from plane import Plane
from sametoken.resources.kit import ripening

ZONE = "us-east-1b"
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def ripen(plane: Plane) -> None:
    plane.advance(timedelta(seconds=5))
    while plane.run(ripening.ripen_due):
        pass


def source(plane: Plane, ec2: Any, **more: Any) -> str:
    made = ec2.create_volume(**{"AvailabilityZone": ZONE, "Size": 20, **more})["VolumeId"]
    ripen(plane)
    return str(made)


def copy(ec2: Any, id: str, **more: Any) -> dict[str, Any]:
    [made] = ec2.copy_volumes(SourceVolumeId=id, **more)["Volumes"]
    shown: dict[str, Any] = made
    return shown


def test_a_copy_stands_in_the_zone_of_its_source_and_outlives_it(plane: Plane, ec2: Any) -> None:
    id = source(plane, ec2, VolumeType="gp3", Iops=4000)
    made = copy(ec2, id)
    assert (made["SourceVolumeId"], made["AvailabilityZone"], made["Size"]) == (id, ZONE, 20)
    assert (made["VolumeType"], made["State"], made["Encrypted"]) == ("gp2", "creating", False)
    assert made["VolumeId"] != id and made["Attachments"] == []
    ripen(plane)
    found = ec2.describe_volumes(Filters=by_filter("source-volume-id", id))["Volumes"]
    assert [(one["VolumeId"], one["State"]) for one in found] == [(made["VolumeId"], "available")]
    ec2.delete_volume(VolumeId=id)
    ec2.create_snapshot(VolumeId=made["VolumeId"])


def test_an_encrypted_source_has_encrypted_copies(plane: Plane, ec2: Any) -> None:
    id = source(plane, ec2, Encrypted=True, KmsKeyId=KEY)
    made = copy(ec2, id, Encrypted=False)
    assert made["Encrypted"] and made["KmsKeyId"].endswith(f":key/{KEY}")
    plain = source(plane, ec2)
    assert copy(ec2, plain, Encrypted=True)["Encrypted"] is True


def test_a_copy_is_as_large_as_its_source_at_least(plane: Plane, ec2: Any) -> None:
    id = source(plane, ec2)
    assert copy(ec2, id, Size=30)["Size"] == 30
    assert code(ec2.copy_volumes, SourceVolumeId=id, Size=19) == "InvalidParameterValue"
    assert code(ec2.copy_volumes, SourceVolumeId=id, VolumeType="io2") == "MissingParameter"


def test_a_source_that_is_not_there_or_not_ready_is_refused(plane: Plane, ec2: Any) -> None:
    absent = f"vol-{'0' * 17}"
    assert code(ec2.copy_volumes, SourceVolumeId=absent) == "InvalidVolume.NotFound"
    assert code(ec2.copy_volumes, SourceVolumeId="vol-x") == "InvalidVolumeID.Malformed"
    early = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    assert code(ec2.copy_volumes, SourceVolumeId=early) == "IncorrectState"


def test_a_repeat_needs_no_source_any_more_and_defaults_count_as_said(
    plane: Plane, ec2: Any
) -> None:
    id = source(plane, ec2)
    asked = {"VolumeType": "gp3", "ClientToken": "copied"}
    made = copy(ec2, id, **asked)["VolumeId"]
    ec2.delete_volume(VolumeId=id)
    assert copy(ec2, id, **asked, Throughput=125)["VolumeId"] == made
    assert len(ec2.describe_volumes()["Volumes"]) == 1
