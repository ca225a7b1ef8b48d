"""Access of keys, answers of DryRun, and the order in which a request is checked."""

from __future__ import annotations

from typing import Any

import pytest

from ec2 import peer
from ec2.asking import code, described, found, launch, refusal, running
from ec2.ground import Ground, Switched
from exercises.requests import request, requests
from plane import LAUNCH, Plane
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.protocol.model import ServiceModel

DRY_RUN = ("DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set.")


@pytest.fixture(scope="module")
def both(plane: Plane) -> tuple[Any, Any]:
    """Return two clients of one account: the first has full access, the second may only read."""
    full = plane.client(keys=plane.account("both"))
    return full, plane.client(keys=plane.account("both", access="read-only"))


def parts(refused: Any) -> tuple[str, int, str]:
    return refused.code, refused.status, refused.message


def mutations(id: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of each call that changes instances or tags, all valid."""
    ids = {"InstanceIds": [id]}
    tags = {"Resources": [id], "Tags": [{"Key": "a", "Value": "b"}]}
    return {
        "run_instances": dict(LAUNCH),
        "terminate_instances": ids,
        "stop_instances": ids,
        "start_instances": ids,
        "reboot_instances": ids,
        "modify_instance_attribute": {"InstanceId": id, "DisableApiStop": {"Value": True}},
        "create_tags": tags,
        "delete_tags": tags,
    }


def test_a_read_only_key_changes_nothing_and_is_told_so(both: tuple[Any, Any]) -> None:
    full, reader = both
    id = running(full)
    before = described(full, id)
    for name, params in mutations(id).items():
        for dry_run in (False, True):
            refused = refusal(getattr(reader, name), **params, DryRun=dry_run)
            assert (refused.code, refused.status) == ("UnauthorizedOperation", 403), name
            assert refused.message.startswith("You are not authorized to perform this operation.")
    assert described(full, id) == before


# Requests of the exercises that can be asked in any account, without preparation.
ASKED = [one.asked for one in requests().values() if one.draft]


@pytest.fixture(scope="module")
def switched(still: Plane) -> Switched:
    return Switched(still)


def takes_dry_run(asked: str) -> bool:
    return "DryRun" in ServiceModel.load("ec2").input_of(request(asked).action)


@pytest.mark.parametrize("asked", [one for one in ASKED if takes_dry_run(one)])
def test_a_dry_run_of_any_action_does_nothing(still: Plane, switched: Switched, asked: str) -> None:
    ground, asking = Ground(still, still.account(f"dry {asked}"), switched), request(asked)
    params = asking.ask(ground)
    # As any request, it finds the account with its default VPC.
    ground.call("DescribeVpcs")
    before = ground.census()
    told = refusal(ground.call, action=asking.action, **params, DryRun=True)
    assert parts(told) == DRY_RUN
    assert ground.census() == before


@pytest.mark.parametrize("asked", ASKED)
def test_a_read_only_key_may_ask_for_no_change(
    still: Plane, switched: Switched, asked: str
) -> None:
    name, asking = f"read {asked}", request(asked)
    ground = Ground(still, still.account(name), switched)
    params = asking.ask(ground)
    before = ground.census()
    reader = Ground(still, still.account(name, access="read-only"), switched)
    told = refusal(reader.call, action=asking.action, **params)
    assert (told.code, told.status) == ("UnauthorizedOperation", 403)
    assert ground.census() == before


def test_a_read_only_key_replays_nothing(both: tuple[Any, Any]) -> None:
    full, reader = both
    id = launch(full, ClientToken="not yours")["InstanceId"]
    params = {**LAUNCH, "ClientToken": "not yours"}
    for more in ({}, {"InstanceType": "t3.small"}):
        assert refusal(reader.run_instances, **{**params, **more}).code == "UnauthorizedOperation"
    assert launch(full, ClientToken="not yours")["InstanceId"] == id


def test_a_refused_key_binds_no_token(both: tuple[Any, Any]) -> None:
    full, reader = both
    assert refusal(reader.run_instances, **LAUNCH, ClientToken="tried").status == 403
    assert launch(full, ClientToken="tried", InstanceType="t3.small")


def test_a_read_only_key_reads(both: tuple[Any, Any]) -> None:
    full, reader = both
    id = running(full)
    assert described(reader, id) == described(full, id)
    assert reader.describe_vpcs() and reader.describe_tags() and reader.describe_regions()
    assert reader.get_console_output(InstanceId=id)["InstanceId"] == id
    assert parts(refusal(reader.describe_instances, DryRun=True)) == DRY_RUN


def test_every_action_but_a_read_is_closed_to_read_only_keys() -> None:
    """A mutation declared as a read would run on a snapshot, and for read-only keys."""
    for name, action in ACTIONS.items():
        assert isinstance(action, Read) == name.startswith(("Describe", "Get", "List")), name
        assert action.mutates == (not isinstance(action, Read)), name


def test_a_dry_run_changes_nothing_and_answers_412(both: tuple[Any, Any]) -> None:
    full, _ = both
    id = running(full)
    before, every = described(full, id), found(full, "instance-state-name", "*")
    for name, params in mutations(id).items():
        assert parts(refusal(getattr(full, name), **params, DryRun=True)) == DRY_RUN, name
    assert described(full, id) == before
    assert found(full, "instance-state-name", "*") == every


def test_a_dry_run_leaves_no_token_and_does_not_look_at_one(both: tuple[Any, Any]) -> None:
    full, _ = both
    params = {**LAUNCH, "ClientToken": "dry"}
    assert parts(refusal(full.run_instances, **params, DryRun=True)) == DRY_RUN
    id = launch(full, ClientToken="dry", InstanceType="t3.small")["InstanceId"]
    # A dry run tells what the key may do, not that the token was used with other parameters.
    assert parts(refusal(full.run_instances, **params, DryRun=True)) == DRY_RUN
    assert found(full, "client-token", "dry") == {id}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"ClientToken": "x" * 65}, "InvalidParameterValue"),
        ({"ClientToken": ""}, "InvalidParameterValue"),
        ({"InstanceType": "t9.huge"}, "InvalidParameterValue"),
        ({"MinCount": 2}, "InvalidParameterValue"),
        ({"ImageId": "ami-x"}, "InvalidAMIID.Malformed"),
        ({"KernelId": "aki-1"}, "UnsupportedOperation"),
    ],
    ids=str,
)
def test_what_the_request_alone_shows_is_refused_before_access_and_dry_run(
    both: tuple[Any, Any], params: dict[str, Any], expected: str
) -> None:
    for client in both:
        wrong = {**LAUNCH, **params, "DryRun": True}
        assert code(client.run_instances, **wrong) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"KeyName": "absent"}, "InvalidKeyPair.NotFound"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"LaunchTemplate": {"LaunchTemplateName": "no"}},
         "InvalidLaunchTemplateName.NotFoundException"),
    ],
    ids=str,
)  # fmt: skip
def test_a_dry_run_of_a_launch_looks_up_what_it_names(
    both: tuple[Any, Any], params: dict[str, Any], expected: str
) -> None:
    full, reader = both
    for client, told in ((full, expected), (reader, "UnauthorizedOperation")):
        assert refusal(client.run_instances, **{**LAUNCH, **params}, DryRun=True).code == told


def test_a_dry_run_looks_up_the_ids_that_it_names_and_no_more(both: tuple[Any, Any]) -> None:
    full, _ = both
    for call, absent, expected in (
        (full.terminate_instances, {"InstanceIds": ["i-00000000000000000"]},
         "InvalidInstanceID.NotFound"),
        (full.delete_vpc, {"VpcId": "vpc-00000000000000000"}, "InvalidVpcID.NotFound"),
        (full.delete_dhcp_options, {"DhcpOptionsId": "dopt-00000000000000000"},
         "InvalidDhcpOptionID.NotFound"),
    ):  # fmt: skip
        assert code(call, **absent, DryRun=True) == expected
    vpc = full.describe_vpcs()["Vpcs"][0]["VpcId"]
    told = refusal(full.delete_vpc, VpcId=vpc, DryRun=True)
    assert parts(told) == DRY_RUN, "it is in use"


def test_a_dry_run_of_some_actions_reads_none_of_their_values(both: tuple[Any, Any]) -> None:
    full, reader = both
    for name, params in (
        ("create_key_pair", {"KeyName": "k", "KeyFormat": "bad"}),
        ("create_dhcp_options", {"DhcpConfigurations": [{"Key": "bad", "Values": ["x"]}]}),
        ("create_launch_template", {"LaunchTemplateName": "taken", "LaunchTemplateData": {}}),
    ):
        assert parts(refusal(getattr(full, name), **params, DryRun=True)) == DRY_RUN
        told = refusal(getattr(reader, name), **params, DryRun=True)
        assert told.code == "UnauthorizedOperation"


def test_every_served_action_has_a_dry_run_if_ec2_has_one(plane: Plane) -> None:
    client = plane.client(parameter_validation=False)
    for name in ("DescribeInstances", "DescribeVolumes", "DescribeTags", "DescribeVpcs"):
        shape = peer.service("ec2").operation_model(name).input_shape
        assert "DryRun" in shape.members
        method = client.meta.method_to_api_mapping
        [python_name] = [key for key, value in method.items() if value == name]
        assert parts(refusal(getattr(client, python_name), DryRun=True)) == DRY_RUN
