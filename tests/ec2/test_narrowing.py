"""A filter that an index serves finds what a filter finds that no index can serve."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from ec2.ground import Ground
from exercises import catalogue, requests
from exercises.catalogue import ACTIONS
from exercises.requests import EXERCISES
from plane import LAUNCH, running_plane
from sametoken.ec2.compute import launch_templates
from sametoken.ec2.compute.instance_filters import INSTANCE_FILTERS, STATUS_FILTERS
from sametoken.ec2.compute.key_pairs import KEY_PAIR_FILTERS
from sametoken.ec2.kit import narrowing
from sametoken.ec2.kit.filters import member, tags_of_document
from sametoken.ec2.network import flow_logs
from sametoken.ec2.storage import volumes
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit.listings import By, Wish
from sametoken.settings import read_database
from store import servers

Document = dict[str, Any]
Filters = list[Document]

# Matches nothing here, and has a wildcard: with it, a filter asks for the same, and is served by no
# index.
NOTHING = "*there is no such value"
TRIES = 12
# So many of them are asked for page by page as well.
PAGED = 4
STATUSES = ("DescribeInstanceStatus",)
# Lists of what has no tags of its own.
UNTAGGED = (*STATUSES, "DescribeVolumeStatus")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """Yield the ground of an account that has some of each noun: tagged, changed and ended."""
    folder: Path = tmp_path_factory.mktemp("narrowing")
    database = None
    if request.param == "postgresql":
        database = read_database(servers.new_database(), folder / "plane.key")
    with running_plane(folder, database=database, runners=0) as plane:
        ground = Ground(plane, plane.account("narrowing")).together()
        fill(ground)
        yield ground


def fill(ground: Ground) -> None:
    dice = random.Random(20_061_211)
    ended = {one.kind for one in EXERCISES if one.end}
    for kind in sorted({one.kind for one in EXERCISES if one.makes}):
        if kind in catalogue.QUOTAS:
            ground.raise_quota(kind)
        if kind not in ended:
            making = requests.making(kind)
            ground.call(making.action, **making.ask(ground))
            continue
        ids = [ground.new(kind) for _ in range(3)]
        ground.later()
        for id in ids:
            tags = [{"Key": dice.choice("xy"), "Value": dice.choice("ab")}]
            ground.client.create_tags(Resources=[id], Tags=tags)
        ground.end(ids[0])
    launched(ground)
    ground.later()


def launched(ground: Ground) -> None:
    """Launch instances in every default subnet; stop, terminate and tag some of them."""
    vpc = ground.vpc()
    groups = [
        ground.call("CreateSecurityGroup", GroupName=name, Description="a", VpcId=vpc)["GroupId"]
        for name in ("one", "two")
    ]
    subnet = ground.call("CreateSubnet", VpcId=vpc, CidrBlock="172.31.200.0/24")["Subnet"][
        "SubnetId"
    ]
    many: list[str] = []
    for number in range(8):
        more: Document = {"SubnetId": subnet, "SecurityGroupIds": groups[: 1 + number // 2 % 2]}
        asked = {**LAUNCH, "MaxCount": 1 + number % 3, **(more if number % 2 else {})}
        asked["TagSpecifications"] = [
            {"ResourceType": "instance", "Tags": [{"Key": "x", "Value": "ab"[number // 2 % 2]}]}
        ]
        many += [one["InstanceId"] for one in ground.call("RunInstances", **asked)["Instances"]]
    ground.later()
    ground.client.stop_instances(InstanceIds=many[::3])
    ground.client.terminate_instances(InstanceIds=many[1::4])


def nouns() -> dict[str, tuple[str, Mapping[str, str]]]:
    """Return the list and the filters of each Describe that this suite asks, by its action."""
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    for noun in catalogue.records():
        if noun.describe in ACTIONS and noun.kind.name != "image":
            found[noun.describe] = (noun.many, noun.filters)
    found["DescribeKeyPairs"] = ("KeyPairs", KEY_PAIR_FILTERS)
    found["DescribeFlowLogs"] = ("FlowLogs", flow_logs.FILTERS)
    found["DescribeLaunchTemplates"] = ("LaunchTemplates", launch_templates.FILTERS)
    found["DescribeVolumeStatus"] = ("VolumeStatuses", volumes.STATUS_FILTERS)
    found["DescribeInstances"] = ("Instances", INSTANCE_FILTERS)
    found["DescribeInstanceStatus"] = ("InstanceStatuses", STATUS_FILTERS)
    return found


NOUNS = nouns()


def shown(action: str, answer: Document) -> list[Document]:
    if action == "DescribeInstances":
        return [
            {**one, "ReservationId": reservation["ReservationId"]}
            for reservation in answer["Reservations"]
            for one in reservation["Instances"]
        ]
    found: list[Document] = answer[NOUNS[action][0]]
    return found


def ask(ground: Ground, action: str, filters: Filters, **more: Any) -> list[Document]:
    if action in STATUSES:
        more = {"IncludeAllInstances": len(filters) != 1, **more}
    return shown(action, ground.call(action, **{named(action): filters}, **more))


def named(action: str) -> str:
    """Return the parameter that has the action's filters."""
    return "Filter" if "Filter" in catalogue.inputs(action) else "Filters"


def values_of(action: str, whole: list[Document]) -> dict[str, list[str]]:
    """Return the values that each filter has in a list."""
    found = {
        name: {value for one in whole for value in member(path.replace("[]", ""))(one)}
        for name, path in NOUNS[action][1].items()
        if path and not path.startswith("=")
    }
    if action not in UNTAGGED:
        tags = [tags_of_document({"Tags": one.get("Tags", one.get("TagSet", []))}) for one in whole]
        found["tag-key"] = {key for one in tags for key in one}
        for key in found["tag-key"]:
            found[f"tag:{key}"] = {one[key] for one in tags if key in one}
    return {name: sorted(values)[:40] for name, values in sorted(found.items()) if values}


def filters_of(dice: random.Random, values: Mapping[str, list[str]]) -> Filters:
    """Return one to three filters; more often of those that an index serves."""
    likely = [
        name
        for name in values
        if name.startswith("tag") or name.endswith(("-id", "state", "state-name", "zone", "status"))
    ]
    chosen = [dice.choice(likely if likely and dice.random() < 0.8 else sorted(values))
              for _ in range(dice.choice((1, 1, 2, 2, 3)))]  # fmt: skip
    return [
        {
            "Name": name,
            "Values": dice.sample(values[name], min(len(values[name]), dice.choice((1, 1, 2)))),
        }
        for name in chosen
    ]


def unserved(filters: Filters) -> Filters:
    return [{**one, "Values": [*one["Values"], NOTHING]} for one in filters]


def test_a_filter_with_a_wildcard_or_an_empty_member_is_served_by_no_index() -> None:
    paths = {"vpc-id": "VpcId", "group": "Placement.GroupName", "type": "InstanceType"}

    def wished(name: str, *values: str) -> list[Wish]:
        return narrowing.wishes([{"Name": name, "Values": list(values)}], paths, INSTANCE)

    through = Wish(By.TRAIT, ("a", "b*"), "SubnetId", below="subnet")
    assert wished("vpc-id", "a", r"b\*") == [through]
    assert wished("vpc-id", "a", "") == []
    assert wished("tag:x", "") == [Wish(By.TRAIT, ("",), "tag:x")]
    assert wished("vpc-id", "a", "b*") == []
    assert wished("tag-key", "?") == []
    assert wished("group", "a", "") == []
    assert wished("type", "a") == []


@pytest.mark.parametrize("action", sorted(NOUNS))
def test_a_narrowed_list_is_the_whole_one_tested(ground: Ground, action: str) -> None:
    dice = random.Random(action)
    more = {"IncludeAllInstances": True} if action in STATUSES else {}
    whole = ask(ground, action, [], **more)
    assert whole, f"there is something to list for {action}"
    values = values_of(action, whole)
    for number in range(TRIES):
        filters = filters_of(dice, values)
        tested = ask(ground, action, unserved(filters))
        assert ask(ground, action, filters) == tested, filters
        if number < PAGED and ground.client.can_paginate(xform_name(action)):
            assert in_pages(ground, action, filters) == tested, filters


def in_pages(ground: Ground, action: str, filters: Filters) -> list[Document]:
    every = {"IncludeAllInstances": len(filters) != 1} if action in STATUSES else {}
    pages = ground.client.get_paginator(xform_name(action)).paginate(
        **{named(action): filters}, **every, PaginationConfig={"PageSize": 5}
    )
    return [one for page in pages for one in shown(action, page)]
