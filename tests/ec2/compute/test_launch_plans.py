"""Launches that ask for the same share what they look up, and miss nothing that has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.asking import drive
from ec2.storage.test_volumes import ripen
from memory import checked_cache
from plane import LAUNCH, Plane, running_plane
from sametoken.ec2.compute import launch
from sametoken.ec2.storage import block_devices
from sametoken.store.cache import FORMS_MAX, Cache

# Makes something that launches can name; returns parameters with its name, and what ends it.
Named = tuple[dict[str, Any], Callable[[], Any]]


def work(plane: Plane) -> None:
    """Let all that was asked for come to its end."""
    drive(plane)
    ripen(plane)


@pytest.fixture
def unjudged(tmp_path: Path) -> Iterator[Any]:
    with running_plane(tmp_path, runners=0) as plane:
        client = plane.client()
        client.work = partial(work, plane)
        yield client


@pytest.fixture
def ec2(unjudged: Any) -> Iterator[Any]:
    with checked_cache():
        yield unjudged


def outcome(ec2: Any, asked: dict[str, Any]) -> str:
    """Launch; return the code of the refusal, "" if there is none."""
    try:
        ec2.run_instances(**{**LAUNCH, **asked})
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    return ""


def key_pair(ec2: Any) -> Named:
    ec2.create_key_pair(KeyName="key")
    return {"KeyName": "key"}, lambda: ec2.delete_key_pair(KeyName="key")


def image(ec2: Any) -> Named:
    instance = ec2.run_instances(**LAUNCH)["Instances"][0]["InstanceId"]
    ec2.work()
    id = ec2.create_image(InstanceId=instance, Name="own")["ImageId"]
    ec2.work()
    return {"ImageId": id}, lambda: ec2.deregister_image(ImageId=id)


def security_group(ec2: Any) -> Named:
    id = ec2.create_security_group(GroupName="own", Description="own")["GroupId"]
    return {"SecurityGroups": ["own"]}, lambda: ec2.delete_security_group(GroupId=id)


GONE: dict[Callable[[Any], Named], str] = {
    key_pair: "InvalidKeyPair.NotFound",
    image: "InvalidAMIID.NotFound",
    security_group: "InvalidGroup.NotFound",
}


def equal_launches_until_it_is_gone(ec2: Any, make: Callable[[Any], Named]) -> list[str]:
    asked, end = make(ec2)
    instances = [ec2.run_instances(**{**LAUNCH, **asked})["Instances"][0] for _ in range(2)]
    ids = [one["InstanceId"] for one in instances]
    ec2.modify_instance_attribute(InstanceId=ids[0], Groups=[default_group(ec2)])
    ec2.modify_instance_attribute(InstanceId=ids[1], Groups=[default_group(ec2)])
    end()
    return [outcome(ec2, asked), outcome(ec2, asked)]


def default_group(ec2: Any) -> str:
    [found] = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    id: str = found["GroupId"]
    return id


@pytest.mark.parametrize("make", GONE, ids=lambda make: make.__name__)
def test_a_launch_that_names_what_is_gone_is_refused_though_equal_ones_were_made(
    ec2: Any, make: Callable[[Any], Named]
) -> None:
    assert equal_launches_until_it_is_gone(ec2, make) == [GONE[make]] * 2


def test_the_bug_of_sharing_what_may_change_is_found(
    unjudged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_CHANGING", frozenset())
    assert equal_launches_until_it_is_gone(unjudged, key_pair) != [GONE[key_pair]] * 2


def test_a_change_of_a_subnet_counts_for_the_next_equal_launch(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    id = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]
    assert [outcome(ec2, {"SubnetId": id}) for _ in range(2)] == ["", ""]
    ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch={"Value": True})
    assert [outcome(ec2, {"SubnetId": id}) for _ in range(2)] == ["", ""]


def test_instances_of_equal_templates_tell_them_apart(ec2: Any) -> None:
    count = {"MinCount": LAUNCH["MinCount"], "MaxCount": LAUNCH["MaxCount"]}
    data = {name: value for name, value in LAUNCH.items() if name not in count}
    for name in ("one", "other"):
        made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        id = made["LaunchTemplate"]["LaunchTemplateId"]
        launched = ec2.run_instances(LaunchTemplate={"LaunchTemplateId": id}, **count)
        tags = {one["Key"]: one["Value"] for one in launched["Instances"][0]["Tags"]}
        assert tags["aws:ec2launchtemplate:id"] == id


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note each plan of a launch's volumes."""
    noted: list[Any] = []
    plan = block_devices.plan_volumes

    def note(*asked: Any) -> Any:
        noted.append(asked)
        return plan(*asked)

    monkeypatch.setattr(block_devices, "plan_volumes", note)
    return noted


def test_equal_launches_are_planned_once_and_keep_tokens_of_their_own(
    unjudged: Any, planned: list[Any]
) -> None:
    here = {**LAUNCH, "Placement": {"AvailabilityZone": "us-east-1a"}}
    tokens = [f"token-{number}" for number in range(4)]
    made = [unjudged.run_instances(ClientToken=one, **here)["Instances"][0] for one in tokens]
    assert [one["ClientToken"] for one in made] == tokens
    assert len(planned) == 1
    unjudged.run_instances(**here, EbsOptimized=True)
    assert len(planned) == 2


def test_a_long_launch_is_planned_for_itself(unjudged: Any, planned: list[Any]) -> None:
    long = {**LAUNCH, "UserData": "x" * launch._ASKED_BYTES_MAX}
    for _ in range(2):
        unjudged.run_instances(**long)
    assert len(planned) == 2


def test_no_more_forms_are_kept_than_there_may_be() -> None:
    kept, made = Cache(), "made"
    for key in range(FORMS_MAX + 2):
        assert kept.get_form("topic", "stamp", key, lambda: made) == made
        assert len(kept.forms) <= FORMS_MAX
    assert kept.get_form("topic", "stamp", FORMS_MAX, lambda: "again") == made
    assert kept.get_form("topic", "another", FORMS_MAX, lambda: "again") == "again"
