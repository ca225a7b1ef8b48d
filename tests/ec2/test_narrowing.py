"""A filter that an index serves finds what a filter finds that no index can serve."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ec2.ground import Ground
from exercises import catalogue, requests
from exercises.catalogue import ACTIONS
from plane import LAUNCH, running_plane
from sametoken.ec2.compute.instance_filters import INSTANCE_FILTERS, STATUS_FILTERS
from sametoken.ec2.kit.filters import member, tags_of_document
from sametoken.settings import read_database
from store import servers

Document = dict[str, Any]
Filters = list[Document]

# Matches nothing here, and has a wildcard: with it, a filter asks for the same, and is served by no
# index.
NOTHING = "*there is no such value"
TRIES = 12


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
    for kind in catalogue.nouns():
        if requests.is_brought(kind):
            continue
        ground.raise_quota(kind)
        ids = [ground.new(kind) for _ in range(3)]
        ground.later()
        for id in ids:
            tags = [{"Key": key, "Value": dice.choice("ab")} for key in dice.sample(("x", "y"), 1)]
            ground.client.create_tags(Resources=[id], Tags=tags)
        action, asked = requests.end_of(ids[0])
        ground.call(action, **asked)
    launched(ground)
    ground.later()


def launched(ground: Ground) -> None:
    """Launch instances in every default subnet; stop, terminate and tag some of them."""
    vpc = ground.vpc()
    groups = [
        ground.call("CreateSecurityGroup", GroupName=name, Description="a", VpcId=vpc)["GroupId"]
        for name in ("one", "two")
    ]
    subnet = ground.call("CreateSubnet", VpcId=vpc, CidrBlock="10.0.77.0/24")["Subnet"]["SubnetId"]
    many: list[str] = []
    for number in range(8):
        more: Document = {"SubnetId": subnet, "SecurityGroupIds": groups[: 1 + number % 2]}
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
    if action == "DescribeInstanceStatus":
        more = {"IncludeAllInstances": len(filters) != 1, **more}
    named = "Filter" if "Filter" in catalogue.inputs(action) else "Filters"
    return shown(action, ground.call(action, **{named: filters}, **more))


def values_of(action: str, whole: list[Document]) -> dict[str, list[str]]:
    """Return the values that each filter has in a list."""
    found = {
        name: {value for one in whole for value in member(path.replace("[]", ""))(one)}
        for name, path in NOUNS[action][1].items()
        if path and not path.startswith("=")
    }
    if action != "DescribeInstanceStatus":
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


@pytest.mark.parametrize("action", sorted(NOUNS))
def test_a_narrowed_list_is_the_whole_one_tested(ground: Ground, action: str) -> None:
    dice = random.Random(action)
    more = {} if action != "DescribeInstanceStatus" else {"IncludeAllInstances": True}
    whole = ask(ground, action, [], **more)
    assert whole, f"there is something to list for {action}"
    values = values_of(action, whole)
    for _ in range(TRIES):
        filters = filters_of(dice, values)
        assert ask(ground, action, filters) == ask(ground, action, unserved(filters)), filters
