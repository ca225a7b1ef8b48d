"""Tags: at launch, afterwards, and as DescribeTags finds them."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import by_filter, code, described, found, launch, refusal, running, wait
from plane import LAUNCH, Plane
from sametoken.resources.account import tags
from sametoken.resources.compute.placements import placement_id
from sametoken.resources.kit import rows
from sametoken.resources.network.vpcs import VPC
from sametoken.store.port import Stale, Tx


def listed(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def of(client: Any, id: str) -> dict[str, str]:
    """Ask DescribeTags for the tags of a resource."""
    answer = client.describe_tags(Filters=by_filter("resource-id", id))["Tags"]
    assert all(one["ResourceId"] == id for one in answer)
    return {one["Key"]: one["Value"] for one in answer}


def test_an_instance_without_tags_is_shown_without_the_member(plane: Plane) -> None:
    client = plane.client()
    [made] = client.run_instances(**LAUNCH)["Instances"]
    assert "Tags" not in made
    assert "Tags" not in described(client, made["InstanceId"])


def test_a_launch_tags_what_it_makes(plane: Plane) -> None:
    client = plane.client()
    specifications = [
        {"ResourceType": kind, "Tags": listed(kind=kind, empty="")}
        for kind in ("instance", "volume", "network-interface")
    ]
    id = running(client, TagSpecifications=specifications)
    shown = described(client, id)
    volume = shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    interface = shown["NetworkInterfaces"][0]["NetworkInterfaceId"]
    for made, kind in ((id, "instance"), (volume, "volume"), (interface, "network-interface")):
        answer = client.describe_tags(Filters=by_filter("resource-id", made))["Tags"]
        assert {one["ResourceType"] for one in answer} == {kind}
        assert of(client, made) == {"kind": kind, "empty": ""}
    assert shown["Tags"] == listed(kind="instance", empty="")
    [alone] = client.describe_volumes(VolumeIds=[volume])["Volumes"]
    assert alone["Tags"] == listed(kind="volume", empty="")
    [alone] = client.describe_network_interfaces(NetworkInterfaceIds=[interface])[
        "NetworkInterfaces"
    ]
    assert alone["TagSet"] == listed(kind="network-interface", empty="")


def test_tags_are_added_overwritten_and_removed_by_key_or_by_key_and_value(plane: Plane) -> None:
    client = plane.client()
    first, second = launch(client)["InstanceId"], launch(client)["InstanceId"]
    for _ in range(2):
        client.create_tags(Resources=[first, second], Tags=listed(a="1", b="2", c="3"))
        assert of(client, first) == of(client, second) == {"a": "1", "b": "2", "c": "3"}
    client.create_tags(Resources=[first], Tags=listed(b="changed", d=""))
    assert of(client, first) == {"a": "1", "b": "changed", "c": "3", "d": ""}
    for _ in range(2):
        tags = [{"Key": "a"}, {"Key": "b", "Value": "other"}, {"Key": "c", "Value": "3"}]
        client.delete_tags(Resources=[first], Tags=tags)
        assert of(client, first) == {"b": "changed", "d": ""}
    client.delete_tags(Resources=[first], Tags=[{"Key": "b", "Value": ""}])
    assert of(client, first) == {"b": "changed", "d": ""}
    client.delete_tags(Resources=[first, second])
    assert of(client, first) == of(client, second) == {}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (listed(**{"aws:mine": "x"}), "InvalidParameterValue"),
        (listed(**{"AWS:mine": "x"}), "InvalidParameterValue"),
        (listed(**{"k" * 129: "x"}), "InvalidParameterValue"),
        (listed(k="v" * 257), "InvalidParameterValue"),
        ([*listed(twice="1"), *listed(twice="2")], "InvalidParameterValue"),
        (listed(**{f"k{n}": "" for n in range(51)}), "TagLimitExceeded"),
        ([], "MissingParameter"),
    ],
    ids=["aws:", "AWS:", "long key", "long value", "twice", "51", "none"],
)
def test_tags_that_ec2_does_not_take_are_refused(
    plane: Plane, tags: list[dict[str, str]], expected: str
) -> None:
    client = plane.client(parameter_validation=False)
    id = launch(client)["InstanceId"]
    assert code(client.create_tags, Resources=[id], Tags=tags) == expected
    assert of(client, id) == {}
    specification = [{"ResourceType": "instance", "Tags": tags}]
    at_launch = code(client.run_instances, **LAUNCH, TagSpecifications=specification)
    assert at_launch == ("InvalidParameterValue" if expected == "MissingParameter" else expected)


def test_the_limit_counts_the_tags_a_resource_has(plane: Plane) -> None:
    client = plane.client()
    id = launch(client)["InstanceId"]
    client.create_tags(Resources=[id], Tags=listed(**{f"k{n}": "" for n in range(49)}))
    client.create_tags(Resources=[id], Tags=listed(k0="changed", k49=""))
    call = client.create_tags
    assert code(call, Resources=[id], Tags=listed(k50="")) == "TagLimitExceeded"


def test_only_what_a_launch_makes_is_tagged_by_it(plane: Plane) -> None:
    specification = [{"ResourceType": "subnet", "Tags": listed(a="b")}]
    call = plane.client().run_instances
    assert code(call, **LAUNCH, TagSpecifications=specification) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("i-00000000000000000", "InvalidInstanceID.NotFound"),
        ("vol-00000000000000000", "InvalidVolume.NotFound"),
        ("eni-00000000000000000", "InvalidNetworkInterfaceID.NotFound"),
        ("vpc-00000000000000000", "InvalidVpcID.NotFound"),
        ("subnet-00000000000000000", "InvalidSubnetID.NotFound"),
        ("sg-00000000000000000", "InvalidGroup.NotFound"),
        ("rtb-00000000000000000", "InvalidRouteTableID.NotFound"),
        ("acl-00000000000000000", "InvalidNetworkAclID.NotFound"),
        ("igw-00000000000000000", "InvalidInternetGatewayID.NotFound"),
        ("snap-00000000000000000", "InvalidSnapshot.NotFound"),
        ("ami-00000000000000000", "InvalidAMIID.NotFound"),
        ("i-x", "InvalidID"),
        ("nonsense", "InvalidID"),
    ],
)
@pytest.mark.parametrize("action", ["create_tags", "delete_tags"])
def test_one_wrong_id_and_nothing_is_tagged(
    plane: Plane, action: str, wrong: str, expected: str
) -> None:
    client = plane.client()
    id = launch(client, TagSpecifications=[{"ResourceType": "instance", "Tags": listed(a="1")}])
    resources = [id["InstanceId"], wrong]
    call = getattr(client, action)
    assert code(call, Resources=resources, Tags=listed(a="2" if action[0] == "c" else "1")) == (
        expected
    )
    assert of(client, id["InstanceId"]) == {"a": "1"}


def test_what_is_not_the_callers_is_not_there_to_be_tagged(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    strangers = (
        launch(plane.client(keys=plane.account("stranger")))["InstanceId"],
        launch(plane.client(region="eu-west-1"))["InstanceId"],
    )
    for stranger in strangers:
        call = client.create_tags
        assert code(call, Resources=[stranger], Tags=listed(a="b")) == "InvalidInstanceID.NotFound"
        assert of(client, stranger) == {}
    placement = placement_id(id)
    assert code(client.create_tags, Resources=[placement], Tags=listed(a="b")) == "InvalidID"


def test_tags_of_another_region_and_account_are_not_described(plane: Plane) -> None:
    tags = [{"ResourceType": "instance", "Tags": listed(shared="key")}]
    ids = {}
    for name, client in (
        ("here", plane.client(keys=plane.account("here"))),
        ("there", plane.client(keys=plane.account("here"), region="eu-west-1")),
        ("other", plane.client(keys=plane.account("other"))),
    ):
        ids[name] = launch(client, TagSpecifications=tags)["InstanceId"]
    client = plane.client(keys=plane.account("here"))
    answer = client.describe_tags(Filters=by_filter("key", "shared"))["Tags"]
    assert [one["ResourceId"] for one in answer] == [ids["here"]]
    answer = client.describe_tags(Filters=by_filter("resource-id", *ids.values()))["Tags"]
    assert [one["ResourceId"] for one in answer] == [ids["here"]]


def test_tags_are_found_by_each_filter_and_page(plane: Plane) -> None:
    client = plane.client(keys=plane.account("finding"))
    ids = [launch(client)["InstanceId"] for _ in range(3)]
    for number, id in enumerate(ids):
        client.create_tags(Resources=[id], Tags=listed(Name=f"n{number}", team="red"))

    def tags(name: str, *values: str) -> set[tuple[str, str]]:
        answer = client.describe_tags(Filters=by_filter(name, *values))["Tags"]
        return {(one["ResourceId"], one["Key"]) for one in answer}

    assert tags("key", "Name") == {(id, "Name") for id in ids}
    assert tags("value", "n1", "n2") == {(id, "Name") for id in ids[1:]}
    assert tags("resource-id", ids[0]) == {(ids[0], "Name"), (ids[0], "team")}
    assert tags("tag:Name", "n0") == {(ids[0], "Name")}
    assert len(tags("resource-type", "instance")) == 6 and tags("resource-type", "volume") == set()
    assert code(client.describe_tags, Filters=by_filter("colour", "x")) == "InvalidParameterValue"
    pages = list(client.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Tags"]) for page in pages] == [5, 1]
    assert found(client, "tag:team", "red") == set(ids)


def test_a_terminated_instance_takes_no_tags(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)
    refused = refusal(client.create_tags, Resources=[id], Tags=listed(a="b"))
    assert refused.code == "InvalidInstanceID.NotFound"


def test_a_version_of_a_template_has_no_tags(plane: Plane) -> None:
    client = plane.client()
    data = {"InstanceType": "t3.micro"}
    made = client.create_launch_template(LaunchTemplateName="untagged", LaunchTemplateData=data)
    version = f"{made['LaunchTemplate']['LaunchTemplateId']}:1"
    assert code(client.create_tags, Resources=[version], Tags=listed(a="1")) == "InvalidID"


def test_a_change_of_a_row_as_it_was_before_its_tags_is_stale(plane: Plane) -> None:
    client = plane.client()
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def overtaken(tx: Tx) -> None:
        read = rows.by_ids(tx, [vpc])[vpc]
        tags.set_all(tx, read, {"a": "1"})
        with pytest.raises(Stale):
            rows.change(tx, VPC, read, InstanceTenancy="dedicated")
            tx.see()

    plane.run(overtaken)
    assert of(client, vpc) == {"a": "1"}
