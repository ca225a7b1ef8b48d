"""Served actions compared with EC2's model: names, tokens, filters, answers."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from botocore.model import OperationModel, Shape

from ec2 import peer
from ec2.asking import by_filter, refusal, running
from exercises.catalogue import own
from memory import checked_fragments
from plane import LAUNCH, Plane
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import NOT_INTENT, Read, Tokened
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import filter_paths
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.errors import ServiceError
from sametoken.store.port import Tx

READS = [name for name, action in ACTIONS.items() if isinstance(action, Read)]


@pytest.fixture(scope="module")
def lived_in(plane: Plane) -> Plane:
    """Return the plane after a launch with tags, an image of the instance and a launch template."""
    kinds = ("instance", "volume", "network-interface")
    tags = [{"ResourceType": kind, "Tags": [{"Key": "a", "Value": "b"}]} for kind in kinds]
    client = plane.client()
    client.create_image(InstanceId=running(client, TagSpecifications=tags), Name="own")
    client.create_launch_template(
        LaunchTemplateName="own", LaunchTemplateData={"InstanceType": "t3.micro"}
    )
    return plane


def model(action: str) -> OperationModel:
    return peer.service("ec2").operation_model(action)


def members(shape: Shape | None) -> dict[str, Shape]:
    return {} if shape is None else dict(shape.members)


def test_every_served_action_is_one_of_ec2s() -> None:
    assert ACTIONS.keys() <= set(peer.actions("ec2"))


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_that_carries_a_token_goes_through_the_engine(name: str) -> None:
    """An action that took a token and ignored it would break the project's main promise."""
    if "ClientToken" in members(model(name).input_shape):
        assert isinstance(ACTIONS[name], Tokened)


@pytest.mark.parametrize("name", [n for n, a in ACTIONS.items() if isinstance(a, Tokened)])
def test_the_current_rules_of_a_create_leave_token_and_dry_run_out(name: str) -> None:
    action = ACTIONS[name]
    assert isinstance(action, Tokened)
    assert {"ClientToken", "DryRun"} <= action.rules[-1].ignored
    versions = [rules.version for rules in action.rules]
    assert versions == sorted(set(versions)), "each version of the rules is kept, once"


@pytest.mark.parametrize("name", [n for n, a in ACTIONS.items() if isinstance(a, Tokened)])
def test_the_rules_of_a_create_name_paths_that_its_input_has(name: str) -> None:
    action = ACTIONS[name]
    assert isinstance(action, Tokened)
    for rules in action.rules:
        named = rules.sets | rules.secrets | rules.ignored | rules.defaults.keys()
        for path in named - NOT_INTENT:
            shape: Shape = model(name).input_shape
            for step in path.split("."):
                shape = shape.members[step.removesuffix("[]")]
                if step.endswith("[]"):
                    shape = shape.member
            assert path not in rules.sets or shape.type_name == "list", path


def documented_filters(name: str) -> list[str]:
    """Return the names of an action's filters, as the model's documentation lists them."""
    filters = members(model(name).input_shape).get("Filters")
    if filters is None:
        return []
    names = html.unescape(" ".join(top_level_codes(filters.documentation))).split()
    # Documentation writes `<code>tag</code>:<key>` or `<code>tag:<key></code>` for the filter by a
    # tag's key.
    return ["tag:k" if one in ("tag", "tag:<key>") else one for one in names]


def top_level_codes(documentation: str) -> Iterator[str]:
    """Yield the first word of each item of the outermost list; inner lists are of values."""
    depth = 0
    for tag, text in re.findall(
        r"<(/?ul|li)>\s*(?:<p>\s*)?(?:<code>([^<]+)</code>)?", documentation
    ):
        depth += {"ul": 1, "/ul": -1, "li": 0}[tag]
        if tag == "li" and depth == 1 and text:
            yield text.strip()


# Numbers of filters that each action has at least, to show that the documentation was parsed.
LEAST = {
    "DescribeInstances": 100,
    "DescribeInstanceStatus": 12,
    "DescribeVolumes": 15,
    "DescribeNetworkInterfaces": 30,
    "DescribeVpcs": 10,
    "DescribeSubnets": 20,
    "DescribeSecurityGroups": 20,
    "DescribeRouteTables": 15,
    "DescribeNetworkAcls": 14,
    "DescribeTags": 4,
}


@pytest.mark.parametrize("name", [one for one in READS if documented_filters(one)])
def test_every_filter_that_the_model_documents_is_known(lived_in: Plane, name: str) -> None:
    names = documented_filters(name)
    assert len(names) >= LEAST.get(name, 1)
    unknown = []
    for one in names:
        try:
            ask(lived_in, name, Filters=by_filter(one, "x"))
        except ServiceError as refused:
            assert refused.message.startswith("The filter '"), refused
            unknown.append(one)
    assert unknown == []


def test_a_filter_that_only_a_newer_model_documents_stops_no_list() -> None:
    model = ServiceModel.load("ec2")
    newer = replace(
        model.codec("DescribeVpcs"), documented_filters=("vpc-id", "not-made-yet", "state.of-it")
    )
    with patch.object(ServiceModel, "codec", return_value=newer):
        found = filter_paths(model, "DescribeVpcs", "Vpc", {"cidr": "CidrBlock"})
    assert found == {"vpc-id": "VpcId", "cidr": "CidrBlock"}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_sensitive_parameter_is_known(name: str) -> None:
    """The model's secrets, found anew with botocore's own shapes."""

    def walk(path: str, shape: Shape, above: tuple[str, ...]) -> Iterator[str]:
        if shape.type_name == "list":
            yield from walk(f"{path}[]", shape.member, above)
        elif shape.metadata.get("sensitive"):
            yield path
        elif shape.type_name == "structure" and shape.name not in above:
            for member, inner in shape.members.items():
                yield from walk(f"{path}.{member}".lstrip("."), inner, (*above, shape.name))

    taken = model(name).input_shape
    expected = set() if taken is None else set(walk("", taken, ()))
    assert ServiceModel.load("ec2").codec(name).secrets == expected


@pytest.mark.parametrize("name", [one for one in READS if documented_filters(one)])
def test_a_filter_that_is_not_documented_is_refused(lived_in: Plane, name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        ask(lived_in, name, Filters=by_filter("no-such-filter", "x"))
    assert (caught.value.code, caught.value.http_status) == ("InvalidParameterValue", 400)


# Parameters that an action requires although the model calls them optional.
NEEDED = {"DescribeLaunchTemplateVersions": {"LaunchTemplateName": "own"}}


def ask(plane: Plane, name: str, **params: Any) -> dict[str, Any]:
    """Run a read action, and return its result before it is rendered as XML."""
    given = {**NEEDED.get(name, {}), **params}
    request = Request(plane.keys.account, "us-east-1", name, given, "request", "key", "full")
    with checked_fragments(documents=True):
        action = ACTIONS[name]
        assert isinstance(action, Read)
        action.validate(request)
        result: dict[str, Any] = plane.store.read(lambda tx: action.run(tx, request))
    return result


def required(name: str, seen: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return an action's required parameters, once for each value of an enum among them."""
    shape = model(name).input_shape
    fixed: dict[str, Any] = {}
    variants: list[dict[str, Any]] = [{}]
    named = shape.required_members if shape is not None else []
    # The model calls `Attribute` optional for one action; the documentation requires it everywhere.
    for member in [*named, *({"Attribute"} & members(shape).keys() - set(named))]:
        inner = shape.members[member]
        if inner.type_name == "string" and inner.enum:
            variants = [{member: value} for value in inner.enum]
        else:
            fixed[member] = seen.get(member, NOBODYS)
    return ({**fixed, **variant} for variant in variants)


# Stands for an id where the account has no resource of the kind: the action must refuse it.
NOBODYS = "nobodys"


@pytest.fixture(scope="module")
def seen(lived_in: Plane) -> dict[str, Any]:
    """Return a value of each member that the account's lists show, by the member's name."""
    values: dict[str, Any] = {}

    def gather(value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                gather(inner)
        elif isinstance(value, dict):
            for name, inner in value.items():
                if isinstance(inner, str):
                    values.setdefault(name, inner)
                gather(inner)

    for name in sorted(READS, key=lambda one: not own(one)):
        if model(name).input_shape is None or not model(name).input_shape.required_members:
            gather(ask(lived_in, name, **own(name)))
    assert {"InstanceId", "VolumeId", "ImageId", "SnapshotId"} <= values.keys()
    return values


# Members for which EC2 answers values that the model's enums lack: the enum has `Windows`, the
# documentation and EC2 have `windows`; an internet gateway's attachment is `available`.
UNLIKE_THE_MODEL = (".Platform", "InternetGateways[].Attachments[].State")


def misfits(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """Yield the values of a result that the model's enums lack, and their places."""
    match shape.type_name:
        case "structure":
            for member, inner in value.items():
                if inner is not None:
                    yield from misfits(inner, shape.members[member], f"{where}.{member}")
        case "list":
            for inner in value:
                yield from misfits(inner, shape.member, f"{where}[]")
        case "string" if shape.enum and value not in shape.enum:
            if not where.endswith(UNLIKE_THE_MODEL):
                yield f"{where}: {value!r}"


@pytest.mark.parametrize("name", READS)
def test_every_read_answers_what_botocore_reads(
    lived_in: Plane, seen: dict[str, Any], name: str
) -> None:
    """Rendering refuses unknown members and wrong types; botocore then parses the result."""
    for params in required(name, seen):
        try:
            result = ask(lived_in, name, **params)
        except ServiceError as refused:
            not_there = NOBODYS in params.values() and not refused.retryable
            assert not_there or (refused.code == "UnsupportedOperation" and "Attribute" in params)
            continue
        output = model(name).output_shape
        assert list(misfits(result, output, name)) == []
        written = ServiceModel.load("ec2").codec(name).render(result, "the-request")
        read = peer.parsed(model(name), written)
        assert read.pop("ResponseMetadata") == {"RequestId": "the-request"}
        assert read.keys() == {key for key, value in result.items() if value is not None}


def test_the_answer_of_a_launch_is_what_botocore_reads(plane: Plane) -> None:
    action = ACTIONS["RunInstances"]
    assert isinstance(action, Tokened)
    request = Request(
        plane.keys.account, "us-east-1", "RunInstances", dict(LAUNCH), "request", "key", "full"
    )

    def run(tx: Tx) -> dict[str, Any]:
        made = action.perform(tx, request)
        viewed: dict[str, Any] = action.view(tx, request, made.identities)
        return viewed

    plane.client().describe_vpcs()
    result = plane.run(run)
    assert list(misfits(result, model("RunInstances").output_shape, "RunInstances")) == []
    written = ServiceModel.load("ec2").codec("RunInstances").render(result, "id")
    assert peer.parsed(model("RunInstances"), written)["Instances"][0]["InstanceId"]


def test_an_action_that_is_ec2s_but_not_served_says_so(plane: Plane) -> None:
    client = plane.client(parameter_validation=False)
    refused = refusal(client.describe_fleets)
    assert (refused.code, refused.status) == ("InvalidAction", 400)
    assert "not served by this endpoint" in refused.message
