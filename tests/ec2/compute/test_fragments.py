"""DescribeInstances from kept fragments: each change shows at once, on both databases.

Every answer of a plane is held against a fresh rendering (`memory.checked_fragments`), so these
tests only bring about the changes, and look whether what is kept is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2.asking import drive
from ec2.storage.test_volumes import ripen
from plane import LAUNCH, Plane, new_database, running_plane
from sametoken.ec2.compute import instances
from sametoken.ec2.kit import fragments
from sametoken.server.pools import Pools


@pytest.fixture(params=["sqlite", "postgresql"])
def still(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plane]:
    with running_plane(
        tmp_path, runners=0, database=new_database(tmp_path, request.param)
    ) as plane:
        yield plane


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The instances that are rendered, of which a judge renders each a second time."""
    found: list[str] = []
    render = instances.render

    def noted(one: instances.Shown) -> fragments.Fragment:
        found.append(one.id)
        return render(one)

    monkeypatch.setattr(instances, "render", noted)
    return found


def launched(plane: Plane, ec2: Any, **more: Any) -> list[str]:
    made = ec2.run_instances(**{**LAUNCH, **more})
    drive(plane)
    return [one["InstanceId"] for one in made["Instances"]]


def shown(ec2: Any, **asked: Any) -> list[list[str]]:
    answer = ec2.describe_instances(**asked)
    return [[one["InstanceId"] for one in each["Instances"]] for each in answer["Reservations"]]


def test_every_change_of_an_instance_and_of_what_it_shows_is_shown_at_once(still: Plane) -> None:
    ec2 = still.client()
    [id] = launched(still, ec2)

    def look() -> dict[str, Any]:
        for _ in range(2):
            [[one]] = [each["Instances"] for each in
                       ec2.describe_instances(InstanceIds=[id])["Reservations"]]  # fmt: skip
        assert isinstance(one, dict)
        return one

    first = look()
    ec2.create_tags(Resources=[id], Tags=[{"Key": "a", "Value": "é<&"}])
    assert look()["Tags"] == [{"Key": "a", "Value": "é<&"}]
    volume = ec2.create_volume(
        AvailabilityZone=first["Placement"]["AvailabilityZone"], Size=1, ClientToken="v"
    )["VolumeId"]
    ripen(still)
    ec2.attach_volume(InstanceId=id, VolumeId=volume, Device="/dev/sdf")
    assert len(look()["BlockDeviceMappings"]) == 2
    ripen(still)
    interface = first["NetworkInterfaces"][0]["NetworkInterfaceId"]
    allocation = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=allocation["AllocationId"], NetworkInterfaceId=interface)
    assert look()["PublicIpAddress"] == allocation["PublicIp"]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=1)
    assert len(look()["NetworkInterfaces"][0]["PrivateIpAddresses"]) == 2
    group = ec2.create_security_group(
        GroupName="other", Description="x", VpcId=first["VpcId"]
    )["GroupId"]  # fmt: skip
    ec2.modify_instance_attribute(InstanceId=id, Groups=[group])
    assert look()["SecurityGroups"][0]["GroupId"] == group
    ec2.stop_instances(InstanceIds=[id])
    drive(still)
    assert look()["State"]["Name"] == "stopped"
    ec2.detach_volume(VolumeId=volume)
    assert len(look()["BlockDeviceMappings"]) == 1
    ec2.terminate_instances(InstanceIds=[id])
    drive(still)
    assert look()["NetworkInterfaces"] == []


def test_an_instance_is_rendered_once_for_all_who_ask(still: Plane, rendered: list[str]) -> None:
    ec2 = still.client()
    pair, alone = launched(still, ec2, MinCount=2, MaxCount=2), launched(still, ec2)
    in_order = [sorted(pair), alone] if min(pair) < alone[0] else [alone, sorted(pair)]
    assert sorted(shown(ec2)) == sorted(in_order)
    # A judge renders all of them a second time.
    assert sorted(rendered) == sorted(2 * [*pair, *alone])
    rendered.clear()
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    asked: list[dict[str, Any]] = [{}, {"InstanceIds": [pair[1]]}, {"MaxResults": 5}]
    asked += [{"Filters": running}, {"Filters": running}]
    for each in asked:
        assert len([id for ids in shown(ec2, **each) for id in ids]) == (
            1 if "InstanceIds" in each else 3
        )
    # Each was rendered by the judge, and by nobody else.
    assert len(rendered) == 3 + 1 + 3 + 3 + 3


def test_filters_see_what_they_have_not_passed(still: Plane) -> None:
    ec2 = still.client()
    [id] = launched(still, ec2)
    for number in range(2 * fragments.PASSED_MAX):
        tag = [{"Name": "tag:number", "Values": [str(number)]}]
        for _ in range(2):
            assert shown(ec2, Filters=tag) == []
        ec2.create_tags(Resources=[id], Tags=[{"Key": "number", "Value": str(number)}])
        for _ in range(2):
            assert shown(ec2, Filters=tag) == [[id]]


def test_a_fragment_remembers_so_many_filters() -> None:
    one = fragments.Fragment("i-1", b"<item/>")
    for number in range(3 * fragments.PASSED_MAX):
        one.note(b"%d" % number)
        assert one.passes(b"%d" % number)
        assert len(one.passed) <= fragments.PASSED_MAX


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Plane]:
    with running_plane(
        tmp_path, runners=0, database=new_database(tmp_path, "sqlite")
    ) as plane:  # fmt: skip
        yield plane


def test_a_repeated_describe_of_few_needs_no_thread(
    on_sqlite: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = on_sqlite.client()
    [id] = launched(on_sqlite, ec2)
    apart: list[object] = []
    read = Pools.read

    async def noted(self: Pools, account: str, fn: Any) -> Any:
        apart.append(fn)
        return await read(self, account, fn)

    monkeypatch.setattr(Pools, "read", noted)

    def threads(**asked: Any) -> int:
        apart.clear()
        shown(ec2, **asked)
        return len(apart)

    unindexed = [{"Name": "architecture", "Values": ["x86_64"]}]
    assert [threads(InstanceIds=[id]) for _ in range(3)] == [1, 0, 0]
    assert [threads(Filters=unindexed) for _ in range(3)] == [1, 1, 1]
    ec2.create_tags(Resources=[id], Tags=[{"Key": "a", "Value": "b"}])
    assert [threads(InstanceIds=[id]) for _ in range(3)] == [1, 0, 0]
    monkeypatch.setattr(fragments, "HURRIED_MAX", 0)
    assert [threads(InstanceIds=[id]) for _ in range(2)] == [1, 1]
