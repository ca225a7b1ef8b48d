"""The harness itself: it reads each format, and sees what differs. By recordings made up here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ec2.ground import Ground
from plane import Plane
from recorded import differences, recording, shapes
from recorded.comparing import differences as told
from recorded.recording import Call, Tape
from recorded.replay import Here, replay


def test_every_row_of_the_page_is_one_of_a_few_and_patterns_belong_to_rows() -> None:
    rows = differences.rows()
    assert len(rows) <= differences.ROWS_MAX
    assert len(set(rows)) == len(rows)
    assert set(rows) >= differences.SHOWN_BY.keys()


@pytest.mark.parametrize(
    ("recorded", "given", "expected"),
    [
        ({"A": True}, {"A": True}, []),
        ({"A": True}, {"A": False}, ["A is False, not True"]),
        ({"A": 1}, {}, ["A is missing"]),
        ({}, {"Tags": []}, ["Tags is returned, and EC2 leaves it out"]),
        ({"A": [1, 2]}, {"A": [1]}, ["A has 1 elements, not 2"]),
        ({"State": "available"}, {"State": "pending"}, ["State is 'pending', not 'available'"]),
        ({"CreateTime": "2020"}, {"CreateTime": "2026"}, []),
        ({"A": "<vpc-id:1> of <b>"}, {"A": "vpc-1 of this"}, []),
    ],
)
def test_a_comparison_names_what_differs(recorded: Any, given: Any, expected: list[str]) -> None:
    assert list(told("", recorded, given, {})) == expected


def test_an_id_stands_for_one_recorded_id_from_its_first_use() -> None:
    ids: dict[str, str] = {}
    assert not list(told("", {"A": "vpc-00000001"}, {"A": "vpc-00000009"}, ids))
    assert not list(told("", {"B": "in vpc-00000001"}, {"B": "in vpc-00000009"}, ids))
    assert list(told("", {"A": "vpc-00000001"}, {"A": "vpc-00000008"}, ids))


def test_shapes_tell_what_is_missing_and_what_is_left_out() -> None:
    full = {"Things": [{"Id": "a", "Owner": "b", "Tags": [1]}, {"Id": "a", "Owner": "b"}]}
    told = shapes.rules(shapes.of([("Describe", full)] * shapes.SEEN_MIN))
    assert shapes.read(shapes.written(told)) == told
    here = shapes.of([("Describe", {"Things": [{"Id": "a", "Tags": []}]})])
    assert list(shapes.missing(told, here)) == ["Describe Things[].Owner is missing"]
    assert list(shapes.emptied(told, here)) == ["Describe Things[].Tags is returned empty"]


def test_a_format_of_each_source_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(recording.FOLDER_VARIABLE, str(tmp_path))
    error = {"Code": "InvalidVpcID.NotFound", "Message": "none"}
    call = {"label": "first", "service": "ec2", "operation": "DeleteVpc", "input": {"VpcId": "v"}}
    files = {
        "stackd/testdata/aws/ec2/vpcs.json": {
            "account": "0", "calls": [{**call, "error": error, "caller": "owner"}],
        },
        "cloud-custodian/tests/data/placebo/one/ec2.DeleteVpc_1.json": {
            "status_code": 400, "data": {"Error": error, "ResponseMetadata": {}},
        },
        "localstack/tests/aws/services/ec2/test_ec2.snapshot.json": {
            "test_ec2.py::test_one": {"recorded-content": {"first": {"Error": error}}},
        },
    }  # fmt: skip
    for name, content in files.items():
        assert recording.lacking(name.partition("/")[0])
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    for source in recording.PLACES:
        assert not recording.lacking(source)
        [tape] = recording.tapes(source)
        assert [(one.code, one.text) for one in tape.calls] == [(error["Code"], "none")]


def test_a_tape_is_replayed_with_the_ids_of_here(still: Plane) -> None:
    ground = Ground(still, still.account("a tape"))
    here = Here(lambda caller: ground.client, lambda caller: ground.account, ground.later)
    vpc = "vpc-0123456789abcdef0"
    gone = f"The vpc ID '{vpc}' does not exist"
    asked = {"VpcId": vpc}
    calls = (
        Call("StartSnapshot", params={}, of_ec2=False),
        Call(
            "CreateEgressOnlyInternetGateway",
            params={"VpcId": "vpc-0aaaaaaaaaaaaaaaa"},
            label="of what was left out",
        ),
        Call("CreateVpc", _vpc(vpc), params={"CidrBlock": "10.0.0.0/16"}, label="made"),
        Call("DeleteVpc", params=asked, label="deleted"),
        Call("DeleteVpc", {}, "InvalidVpcID.NotFound", gone, asked, label="again"),
        Call("DeleteVpc", {}, "InvalidVpcId.NotFound", gone, asked, label="another code"),
        Call("DeleteVpc", {}, "InvalidVpcID.NotFound", "Gone.", asked, label="another text"),
        Call("DescribeVpcs", {"Vpcs": []}, params={}, label="the default one"),
    )
    found = list(replay(Tape("stackd", "vpcs", calls), here))
    assert [one.partition(" ")[0].removeprefix("vpcs/") for one in found] == [
        "another", "another", "the",
    ]  # fmt: skip


def _vpc(id: str) -> dict[str, Any]:
    association = {
        "AssociationId": "vpc-cidr-assoc-0123456789abcdef0",
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockState": {"State": "associated"},
    }
    return {
        "Vpc": {
            "CidrBlock": "10.0.0.0/16",
            "CidrBlockAssociationSet": [association],
            "DhcpOptionsId": "dopt-0123456789abcdef0",
            "InstanceTenancy": "default",
            "Ipv6CidrBlockAssociationSet": [],
            "IsDefault": False,
            "OwnerId": "000000000000",
            "State": "available",
            "Tags": [],
            "VpcId": id,
        }
    }
