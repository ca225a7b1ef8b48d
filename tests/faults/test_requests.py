"""Faults of requests: what a client sees of each kind, and what a token buys."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from clients.process import until
from faults.struck import ask, due, fired, instances, launch_form, sent, strike, usual
from plane import LAUNCH, Plane, running_plane
from sametoken.control.controls import Controls
from sametoken.faults.kinds import OF_REQUESTS
from sdk import Keys

# Kinds that strike before the request acts, and the keys that they need here.
BEFORE: dict[str, dict[str, Any]] = {
    "lose-request": {},
    "fail-request": {},
    "unavailable": {},
    "throttle": {},
    "delay-request": {"seconds": 0.01},
}
# Kinds that strike after the COMMIT.
AFTER: dict[str, dict[str, Any]] = {
    "lose-reply": {},
    "cut-reply": {},
    "fail-reply": {},
    "delay-reply": {"seconds": 3600},
    "duplicate": {},
    "late-duplicate": {"seconds": 0.01},
}
OTHERS = {"error", "no-capacity", "not-yet-found"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("struck"), dev=True) as running:
        yield running


@pytest.fixture(autouse=True)
def no_rule_is_left(plane: Plane) -> Iterator[None]:
    yield
    plane.node.faults.clear()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip botocore's waits between its tries: no test depends on them."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def keys(plane: Plane, request: pytest.FixtureRequest) -> Keys:
    return plane.account(re.sub(r"\W", "-", request.node.name)[-60:])


def test_every_kind_is_tried_here() -> None:
    assert {*BEFORE, *AFTER, *OTHERS} == set(OF_REQUESTS)


@pytest.mark.parametrize("kind", BEFORE)
def test_what_strikes_before_the_act_is_brought_home_by_the_clients_retry(
    kind: str, plane: Plane, keys: Keys
) -> None:
    struck = strike(plane, kind, action="RunInstances", times=1, **BEFORE[kind])
    launched = usual(plane, keys).run_instances(**LAUNCH)["Instances"]
    assert instances(plane, keys) == [launched[0]["InstanceId"]]
    assert fired(plane, struck.name) == 1
    tries = plane.node.faults.standing()[0].matched
    assert tries == (1 if kind == "delay-request" else 2)


@pytest.mark.parametrize("kind", BEFORE)
def test_what_strikes_before_the_act_leaves_nothing_even_without_a_token(
    kind: str, plane: Plane, keys: Keys
) -> None:
    strike(plane, kind, action="RunInstances", times=1, **BEFORE[kind])
    told = ask(plane, keys, launch_form())
    made = 1 if kind == "delay-request" else 0
    assert len(instances(plane, keys)) == made
    assert (told.status == 200) == bool(made)


def launch_until_told(kind: str, token: str | None, plane: Plane, keys: Keys) -> None:
    """Launch, have the kind strike that, and ask again until told what was launched."""
    struck = strike(plane, kind, action="RunInstances", times=1, **AFTER[kind])
    if kind == "delay-reply":
        with sent(plane, keys, launch_form(token)):
            until(lambda: instances(plane, keys), "the launch is committed")
    else:
        told = ask(plane, keys, launch_form(token))
        assert told.status == {"lose-reply": 0, "cut-reply": 0, "fail-reply": 500}.get(kind, 200)
    if kind == "late-duplicate":
        until(lambda: not due(plane), "the late one has come")
    if kind not in ("duplicate", "late-duplicate"):
        assert ask(plane, keys, launch_form(token)).status == 200
    assert fired(plane, struck.name) == 1


@pytest.mark.parametrize("kind", AFTER)
def test_what_strikes_after_the_commit_makes_one_with_a_token(
    kind: str, plane: Plane, keys: Keys
) -> None:
    launch_until_told(kind, "mine", plane, keys)
    assert len(instances(plane, keys)) == 1


@pytest.mark.parametrize("kind", AFTER)
def test_what_strikes_after_the_commit_makes_two_without_a_token(
    kind: str, plane: Plane, keys: Keys
) -> None:
    launch_until_told(kind, None, plane, keys)
    assert len(instances(plane, keys)) == 2


@pytest.mark.parametrize("kind", sorted(AFTER.keys() - {"cut-reply", "delay-reply"}))
def test_the_token_that_boto3_fills_in_makes_one_of_a_call(
    kind: str, plane: Plane, keys: Keys
) -> None:
    strike(plane, kind, action="RunInstances", attempt=1, **AFTER[kind])
    launched = usual(plane, keys).run_instances(**LAUNCH)["Instances"]
    until(lambda: not due(plane), "the late one has come")
    assert instances(plane, keys) == [launched[0]["InstanceId"]]


def test_a_cut_reply_is_an_error_of_boto3_and_a_token_of_ones_own_makes_the_repeat_safe(
    plane: Plane, keys: Keys
) -> None:
    strike(plane, "cut-reply", action="RunInstances", attempt=1)
    ec2 = usual(plane, keys)
    with pytest.raises(ResponseParserError):
        ec2.run_instances(**LAUNCH, ClientToken="mine")
    launched = ec2.run_instances(**LAUNCH, ClientToken="mine")["Instances"]
    assert instances(plane, keys) == [launched[0]["InstanceId"]]


def test_an_error_by_name_makes_nothing_and_leaves_the_token_free(plane: Plane, keys: Keys) -> None:
    strike(plane, "error", code="InstanceLimitExceeded", message="No.", token="mine", times=2)
    ec2 = usual(plane, keys)
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            ec2.run_instances(**LAUNCH, ClientToken="mine")
        assert refused.value.response["Error"] == {
            "Code": "InstanceLimitExceeded",
            "Message": "No.",
        }
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert instances(plane, keys) == []
    other = {**LAUNCH, "InstanceType": "t3.small"}
    assert ec2.run_instances(**other, ClientToken="mine")["Instances"]
    assert len(instances(plane, keys)) == 1


@pytest.mark.parametrize(
    ("code", "status"), [("UnauthorizedOperation", 403), ("InsufficientAddressCapacity", 500)]
)
def test_an_error_has_the_status_of_its_code(
    code: str, status: int, plane: Plane, keys: Keys
) -> None:
    strike(plane, "error", code=code)
    told = ask(plane, keys, launch_form())
    assert (told.status, told.code) == (status, code)


def test_a_throttled_request_is_told_when_to_come_back(plane: Plane, keys: Keys) -> None:
    strike(plane, "throttle", seconds=1.5, times=1)
    told = ask(plane, keys, launch_form())
    assert (told.status, told.code) == (503, "RequestLimitExceeded")
    assert told.headers is not None
    assert told.headers["retry-after"] == "2"
    assert told.headers["x-amz-retry-after"] == "1500"


def test_without_capacity_nothing_is_made_and_the_token_stays_bound_to_its_parameters(
    plane: Plane, keys: Keys
) -> None:
    strike(plane, "no-capacity", zone="us-east-1a", until=3600)
    here = {"Placement.AvailabilityZone": "us-east-1a"}
    told = ask(plane, keys, launch_form("mine", **here))
    assert (told.status, told.code) == (500, "InsufficientInstanceCapacity")
    assert "you requested (us-east-1a)" in told.body
    assert "choosing us-east-1b, " in told.body, "it names zones that have room"
    assert instances(plane, keys) == []
    other = ask(plane, keys, launch_form("mine", **here, InstanceType="t3.small"))
    assert other.code == "IdempotentParameterMismatch"
    plane.node.faults.clear()
    assert ask(plane, keys, launch_form("mine", **here)).status == 200
    assert len(instances(plane, keys)) == 1


def test_a_zone_without_capacity_is_not_chosen_and_not_advised(plane: Plane, keys: Keys) -> None:
    zones = [f"us-east-1{letter}" for letter in "abcdef"]
    strike(plane, "no-capacity", zone=[one for one in zones if one != "us-east-1d"])
    launched = ask(plane, keys, launch_form())
    assert "<availabilityZone>us-east-1d</availabilityZone>" in launched.body
    told = ask(plane, keys, launch_form(**{"Placement.AvailabilityZone": "us-east-1b"}))
    assert "choosing us-east-1d." in told.body
    strike(plane, "no-capacity", zone="us-east-1d")
    told = ask(plane, keys, launch_form())
    assert told.code == "InsufficientInstanceCapacity"
    assert "choosing" not in told.body


def test_a_reservation_of_capacity_and_a_start_find_none_either(plane: Plane, keys: Keys) -> None:
    ec2 = plane.client(keys=keys)
    [launched] = ec2.run_instances(**LAUNCH)["Instances"]
    id = launched["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig={"Delay": 0})
    ec2.stop_instances(InstanceIds=[id])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[id], WaiterConfig={"Delay": 0})
    strike(plane, "no-capacity")
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        ec2.start_instances(InstanceIds=[id])
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        ec2.create_capacity_reservation(
            InstanceType="t3.micro", InstancePlatform="Linux/UNIX", InstanceCount=1,
            AvailabilityZone="us-east-1a",
        )  # fmt: skip


def test_an_id_that_is_not_found_yet_is_found_later_and_the_waiter_copes(
    plane: Plane, keys: Keys
) -> None:
    struck = strike(plane, "not-yet-found", action="RunInstances", seconds=60, times=1)
    ec2 = usual(plane, keys)
    launched = ec2.run_instances(**LAUNCH)["Instances"][0]
    for call in (ec2.describe_instances, ec2.terminate_instances):
        with pytest.raises(ClientError) as refused:
            call(InstanceIds=[launched["InstanceId"]])
        assert refused.value.response["Error"]["Code"] == "InvalidInstanceID.NotFound"
    # Older ids are found.
    assert ec2.describe_subnets(SubnetIds=[launched["SubnetId"]])["Subnets"]
    told: list[int] = []

    def pass_time(http_response: Any, **_: Any) -> None:
        told.append(http_response.status_code)
        plane.advance(timedelta(seconds=25))

    ec2.meta.events.register("after-call.ec2.DescribeInstances", pass_time)
    ec2.get_waiter("instance_running").wait(
        InstanceIds=[launched["InstanceId"]], WaiterConfig={"Delay": 0, "MaxAttempts": 10_000}
    )
    assert (told[:3], told[-1]) == ([400, 400, 400], 200)
    assert fired(plane, struck.name) == 1
    again = usual(plane, keys).run_instances(**LAUNCH)["Instances"][0]
    assert ec2.describe_instances(InstanceIds=[again["InstanceId"]])["Reservations"]


def test_ids_are_found_when_the_rule_that_hid_them_is_gone(plane: Plane, keys: Keys) -> None:
    strike(plane, "not-yet-found", seconds=3600)
    ec2 = plane.client(keys=keys)
    launched = ec2.run_instances(**LAUNCH)["Instances"][0]
    with pytest.raises(ClientError, match="NotFound"):
        ec2.describe_instances(InstanceIds=[launched["InstanceId"]])
    plane.node.faults.clear()
    assert ec2.describe_instances(InstanceIds=[launched["InstanceId"]])["Reservations"]


def test_a_rule_ends_by_the_clock_of_the_store(plane: Plane, keys: Keys) -> None:
    strike(plane, "unavailable", until=600)
    form = {"Action": "DescribeRegions", "Version": "2016-11-15"}
    assert ask(plane, keys, form).status == 503
    Controls(plane.node).advance(timedelta(minutes=10))
    assert ask(plane, keys, form).status == 200


@pytest.mark.parametrize(
    ("action", "member", "describe", "parameter", "code"),
    [
        ("create_volume", "VolumeId", "describe_volumes", "VolumeIds", "InvalidVolume.NotFound"),
        ("allocate_address", "AllocationId", "describe_addresses", "AllocationIds",
         "InvalidAllocationID.NotFound"),
    ],
)  # fmt: skip
def test_other_nouns_are_not_found_yet_by_their_own_codes(
    action: str, member: str, describe: str, parameter: str, code: str, plane: Plane, keys: Keys
) -> None:
    strike(plane, "not-yet-found", seconds=3600)
    ec2 = plane.client(keys=keys)
    asked = {"AvailabilityZone": "us-east-1a", "Size": 1} if action == "create_volume" else {}
    id = getattr(ec2, action)(**asked)[member]
    with pytest.raises(ClientError, match=re.escape(code)):
        getattr(ec2, describe)(**{parameter: [id]})


def test_the_line_of_a_request_tells_which_fault_struck_it(
    plane: Plane, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sametoken")
    strike(plane, "lose-reply", name="mine", action="RunInstances")
    ask(plane, keys, launch_form("one"))
    lines = [one.getMessage() for one in caplog.records]
    [of_fault] = [one for one in lines if one.startswith("fault=")]
    assert "rule=mine kind=lose-reply at=RunInstances" in of_fault
    [of_request] = [one for one in lines if one.startswith("action=RunInstances")]
    assert "outcome=new status=200" in of_request
    assert of_request.endswith("fault=mine")


def test_a_seed_gives_the_same_faults_to_the_same_requests(plane: Plane, keys: Keys) -> None:
    def told(seed: int) -> list[int]:
        plane.node.faults.clear()
        strike(plane, "unavailable", odds=0.4, seed=seed)
        form = {"Action": "DescribeRegions", "Version": "2016-11-15"}
        return [ask(plane, keys, form).status for _ in range(20)]

    first = told(1)
    assert set(first) == {200, 503}
    assert told(1) == first
    assert told(2) != first


def test_the_tries_of_a_call_are_counted_by_its_token_or_its_invocation(
    plane: Plane, keys: Keys
) -> None:
    strike(plane, "unavailable", attempt="1-2")
    form = {"Action": "DescribeRegions", "Version": "2016-11-15"}
    one, other = ({"amz-sdk-invocation-id": text} for text in ("1" * 32, "2" * 32))
    told = [ask(plane, keys, form, headers).status for headers in (one, other, one, one, other)]
    assert told == [503, 503, 503, 200, 503]
    assert [ask(plane, keys, launch_form("mine")).status for _ in range(3)] == [503, 503, 200]
    assert [ask(plane, keys, form).status for _ in range(3)] == [503, 503, 503], "no call is known"


def test_a_late_request_of_a_rule_that_is_gone_never_comes(plane: Plane, keys: Keys) -> None:
    strike(plane, "late-duplicate", seconds=0.2, action="RunInstances")
    ask(plane, keys, launch_form())
    plane.node.faults.clear()
    until(lambda: not due(plane), "its time has come")
    assert len(instances(plane, keys)) == 1


def test_a_late_request_is_as_old_as_it_is(
    plane: Plane, keys: Keys, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More than 15 minutes after it was signed it is refused, as by EC2."""
    caplog.set_level(logging.INFO, "sametoken.requests")
    now = plane.node.world.now
    moments = iter([now()])
    later = now() + timedelta(minutes=16)
    monkeypatch.setattr(plane.node.world, "now", lambda: next(moments, later))
    strike(plane, "late-duplicate", seconds=0.01, action="RunInstances", times=1)
    assert ask(plane, keys, launch_form()).status == 200
    until(lambda: not due(plane), "the late one has come")
    monkeypatch.undo()
    [late] = [one.getMessage() for one in caplog.records if "RequestExpired" in one.getMessage()]
    assert late.endswith("fault=late-duplicate")
    assert len(instances(plane, keys)) == 1


def test_a_late_request_of_an_account_that_was_reset_never_comes(plane: Plane, keys: Keys) -> None:
    strike(plane, "late-duplicate", seconds=0.2, action="RunInstances", times=1)
    ask(plane, keys, launch_form())
    Controls(plane.node).reset(keys.account)
    until(lambda: not due(plane), "its time has come")
    assert instances(plane, keys) == []


def test_two_faults_of_one_request_both_strike(plane: Plane, keys: Keys) -> None:
    strike(plane, "duplicate", action="RunInstances", times=1)
    strike(plane, "lose-reply", action="RunInstances", times=1)
    assert ask(plane, keys, launch_form()).status == 0
    assert len(instances(plane, keys)) == 2


def test_who_calls_is_told_whatever_the_rules(plane: Plane, keys: Keys) -> None:
    strike(plane, "unavailable")
    caller = plane.client("sts", keys=keys).get_caller_identity()
    assert caller["Account"] == keys.account


def test_rules_leave_the_stages_of_the_pipeline_as_they_are(plane: Plane, keys: Keys) -> None:
    pipeline = plane.node.app.pipeline
    before = pipeline.stages
    strike(plane, "unavailable", times=1)
    assert ask(plane, keys, launch_form()).status == 503
    plane.node.faults.clear()
    assert ask(plane, keys, launch_form()).status == 200
    assert pipeline.stages is before
