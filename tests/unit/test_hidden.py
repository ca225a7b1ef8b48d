"""Ids that are not found yet: those that a create has made, for their time, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Read
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule, matched_by
from sametoken.server import hidden
from sametoken.server.hidden import Hidden, made_by

RULE = Rule(Kind.NOT_YET_FOUND, "mine", seconds=10.0)
NEW = "i-0aaaaaaaaaaaaaaaa"
LAUNCHED = {
    "ReservationId": "r-0aaaaaaaaaaaaaaab",
    "Instances": [{"InstanceId": NEW, "SubnetId": "subnet-0aaaaaaaaaaaaaaac"}],
}
# Creates whose answer has no id of a noun that others name by it.
WITHOUT_AN_ID = {"CreateTags", "CreateRoute"}


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_launch_made_its_instances_and_nothing_else_in_its_answer() -> None:
    assert made_by("RunInstances", {}, LAUNCHED) == [NEW]


@pytest.mark.parametrize(
    ("action", "params", "result", "made"),
    [
        ("CreateVpcEndpoint", {"VpcId": "vpc-0aaaaaaaaaaaaaaaa"},
         {"VpcEndpoint": {"VpcEndpointId": "vpce-0aaaaaaaaaaaaaaaa",
                          "VpcId": "vpc-0aaaaaaaaaaaaaaaa"}}, ["vpce-0aaaaaaaaaaaaaaaa"]),
        ("AllocateAddress", {}, {"AllocationId": "eipalloc-0aaaaaaaaaaaaaaaa"},
         ["eipalloc-0aaaaaaaaaaaaaaaa"]),
        ("CreateFlowLogs", {}, {"FlowLogIds": ["fl-0aaaaaaaaaaaaaaaa"]}, ["fl-0aaaaaaaaaaaaaaaa"]),
        ("CopySnapshot", {"SourceSnapshotId": "snap-0aaaaaaaaaaaaaaaa"},
         {"SnapshotId": "snap-0aaaaaaaaaaaaaaab"}, ["snap-0aaaaaaaaaaaaaaab"]),
        ("CreateNatGateway", {}, {"NatGateway": {"NatGatewayId": "nat-0aaaaaaaaaaaaaaaa"}},
         ["nat-0aaaaaaaaaaaaaaaa"]),
        ("CreateNetworkAclEntry", {"NetworkAclId": "acl-0aaaaaaaaaaaaaaaa"}, {}, []),
        ("CreateTags", {"Resources": [NEW]}, {}, []),
    ],
)  # fmt: skip
def test_a_create_made_the_ids_of_its_kind(
    action: str, params: Any, result: Any, made: list[str]
) -> None:
    assert made_by(action, params, result) == made


def test_every_create_is_known_by_what_it_makes() -> None:
    creates = {
        name
        for name, action in ACTIONS.items()
        if not isinstance(action, Read) and matched_by("Create*", (name,))
    }
    assert len(creates) > 20
    unknown = {name for name in creates if hidden._prefix_of(name) is None}
    assert unknown <= WITHOUT_AN_ID, unknown


def test_an_id_is_not_found_until_its_time() -> None:
    clock = Clock()
    ids = Hidden(clock)
    assert not ids
    ids.hide("RunInstances", {}, LAUNCHED, RULE)
    found = ids.find({"InstanceIds": ["i-0bbbbbbbbbbbbbbbb", NEW]})
    assert found is not None
    refusal, rule = found
    assert (refusal.code, rule) == ("InvalidInstanceID.NotFound", RULE)
    assert NEW in refusal.message
    clock.seconds = 9.9
    assert ids.find({"Attachment": {"InstanceId": NEW}}) is not None
    clock.seconds = 10.0
    assert ids.find({"InstanceIds": [NEW]}) is None
    assert not ids


def test_a_filter_that_names_a_hidden_id_is_no_error() -> None:
    ids = Hidden(Clock())
    ids.hide("RunInstances", {}, LAUNCHED, RULE)
    assert ids.find({"Filters": [{"Name": "instance-id", "Values": [NEW]}]}) is None


def test_no_more_ids_are_hidden_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "HIDDEN_MAX", 2)
    ids = Hidden(Clock())
    made = [f"vol-0aaaaaaaaaaaaaaa{number}" for number in range(3)]
    for id in made:
        ids.hide("CreateVolume", {}, {"VolumeId": id}, RULE)
    assert [ids.find({"VolumeId": id}) is not None for id in made] == [False, True, True]
