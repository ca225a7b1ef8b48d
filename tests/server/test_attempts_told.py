"""Attempts in stories: what is told of each, what never is, and how long, on both databases."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from faults.struck import ask as ask_once
from faults.struck import launch_form
from plane import LAUNCH, everything
from sametoken import faults
from sametoken.errors import Misconfigured, Transient
from sametoken.faults import Point
from sametoken.operate.story.model import Verdict, as_json
from sametoken.resources.account.attempts import Attempt as Noted
from sametoken.resources.account.attempts import TokenKey
from sametoken.server.ends import DIFFERING_MAX
from sametoken.services.housekeeping import sweep
from server.telling import (
    PARTS,
    Place,
    outcomes,
)


def test_a_lost_reply_is_told_with_its_fault_and_then_the_replay(place: Place) -> None:
    place.strike("lose-reply", action="RunInstances", times=1, name="lost")
    form = launch_form("t")
    headers = {"amz-sdk-invocation-id": "11111111-2222-4333-8444-555555555555"}
    numbers = ({"amz-sdk-request": f"attempt={number}; max=3"} for number in (1, 2))
    statuses = [
        ask_once(place.plane, place.keys, form, {**headers, **number}).status for number in numbers
    ]
    assert statuses == [0, 200]
    story = place.story()
    assert outcomes(story) == [("new", 200, None), ("replay", 200, None)]
    first, second = story.attempts
    assert (first.heard, first.faults) == (False, ("lost",))
    assert (second.heard, second.faults) == (True, ())
    assert {one.invocation for one in story.attempts} == {headers["amz-sdk-invocation-id"]}
    assert [one.invocation_attempt for one in story.attempts] == [1, 2]


def test_a_mismatch_is_told_with_the_values_on_both_sides(place: Place) -> None:
    place.launch()
    assert (
        place.refused(InstanceType="t3.small", EbsOptimized=True) == "IdempotentParameterMismatch"
    )
    story = place.story()
    assert outcomes(story)[1] == ("mismatch", 400, "IdempotentParameterMismatch")
    found = {one.path: (one.bound, one.sent) for one in story.attempts[1].differing}
    assert found == {"InstanceType": ('"t3.micro"', '"t3.small"'), "EbsOptimized": (None, "true")}


def test_of_very_many_differing_parameters_some_are_told(place: Place) -> None:
    def tagged(value: str) -> list[dict[str, Any]]:
        tags = [{"Key": f"k{number}", "Value": value} for number in range(DIFFERING_MAX + 5)]
        return [{"ResourceType": "instance", "Tags": tags}]

    place.launch(TagSpecifications=tagged("one"))
    place.refused(TagSpecifications=tagged("two"))
    assert len(place.story().attempts[1].differing) == DIFFERING_MAX


def test_secrets_are_never_told(place: Place) -> None:
    one, other = "hunter2-of-the-first", "hunter3-of-the-second"
    place.launch(UserData=one)
    place.refused(UserData=other)
    story = place.story()
    [differing] = story.attempts[1].differing
    assert (differing.path, differing.hidden) == ("UserData", True)
    told = json.dumps(as_json(story)) + repr(everything(place.plane.store)["attempt"])
    for secret in (one, other):
        assert secret not in told and base64_of(secret) not in told


def base64_of(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_a_throttled_and_a_malformed_attempt_are_told_and_bind_nothing(place: Place) -> None:
    place.strike("throttle", action="RunInstances", times=1)
    codes = [place.refused(), place.refused(InstanceType="t3.none")]
    story = place.story()
    assert [one.code for one in story.attempts] == codes
    assert {one.outcome for one in story.attempts} == {"refused"}
    assert (story.verdict, story.claimed_at) == (Verdict.REFUSED, None)
    assert "is free" in story.said


def test_a_token_that_is_too_long_is_no_key(place: Place) -> None:
    assert ask_once(place.plane, place.keys, launch_form("x" * 300)).status == 400
    with pytest.raises(Misconfigured, match="nothing of account"):
        place.story("x" * 300)


@pytest.mark.parametrize("token", ["a\0b", "a\nb", "für-zwei"])
def test_what_is_no_token_of_any_action_is_no_key(place: Place, token: str) -> None:
    assert ask_once(place.plane, place.keys, launch_form(token)).status == 400
    assert place.plane.node.journal.take() == {}


def test_nobody_without_a_proof_writes_into_a_story(place: Place) -> None:
    place.launch()
    forged = replace(place.keys, secret="no secret of this account's")
    assert ask_once(place.plane, forged, launch_form("t")).status == 403
    assert len(place.story().attempts) == 1


def test_an_account_never_sees_the_stories_of_another(place: Place) -> None:
    id = place.launch()
    stranger = replace(place, keys=place.plane.account(f"{place.keys.account}-stranger"))
    [request] = [one.request_id for one in place.story().attempts]
    reservation = place.ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["ReservationId"]
    for named in ("t", id, reservation, str(request)):
        assert place.story(named).account == place.keys.account
        with pytest.raises(Misconfigured, match="nothing of account"):
            stranger.story(named)
    assert stranger.launch() != id
    assert stranger.story().resources[0].id != id


def test_an_attempt_whose_transaction_was_undone_made_nothing(place: Place) -> None:
    undone = False

    def undo(point: Point) -> None:
        nonlocal undone
        if point is Point.ENGINE_RECORDED and not undone:
            undone = True
            raise Transient("on purpose")

    faults.install(undo)
    try:
        assert place.refused() == "Unavailable"
    finally:
        faults.install(None)
    id = place.launch()
    story = place.story()
    assert outcomes(story) == [("refused", 503, "Unavailable"), ("new", 200, None)]
    assert story.resources[0].id == id


def test_an_answer_that_a_failover_undid_is_told_as_that(place: Place) -> None:
    """Its node had told its caller, and noted that, when the database lost the commit."""
    token = TokenKey("t", place.keys.account, "us-east-1", "RunInstances")
    noted = Noted(1, "11111111-2222-4333-8444-555555555555", "new", 200, "-", 5, "north:4590")
    place.plane.node.journal.note(token, noted, made=True)
    story = place.story()
    assert story.attempts[0].outcome == "undone"
    assert story.verdict is Verdict.REFUSED
    assert "undone after the answer" in story.unknown[0]


def test_a_claim_that_a_crash_forgot_is_told_as_unknown(place: Place) -> None:
    place.strike("no-capacity", action="RunInstances", times=1)
    place.refused()
    place.plane.node.journal.take()
    place.launch()
    assert [one.outcome for one in place.story().attempts] == ["new"], "it may come yet"
    place.plane.advance(timedelta(minutes=1))
    story = place.story()
    assert [one.outcome for one in story.attempts] == ["unknown", "new"]
    assert "is not kept" in story.unknown[0]


def test_of_a_storm_the_first_and_the_last_attempts_are_told_and_the_rest_counted(
    place: Place,
) -> None:
    ec2 = place.ec2
    for _ in range(30):
        ec2.run_instances(**LAUNCH, ClientToken="t")
        if _ % 7 == 0:
            place.plane.node.journal.write(place.plane.store)
    story = place.story()
    assert story.attempts[-1].number == 30
    assert len(story.attempts) + story.left_out == 30
    numbers = [one.number for one in story.attempts]
    assert numbers == sorted(set(numbers))


def test_attempts_go_with_the_entry_of_their_token(place: Place) -> None:
    id = place.launch()
    place.launch()
    place.settle()
    place.story()
    place.plane.advance(timedelta(hours=25))
    place.plane.run(lambda tx: sweep(tx, place.plane.node.engine))
    assert len(place.story().attempts) == 2, "the instance lives, so all of it is kept"
    place.ec2.terminate_instances(InstanceIds=[id])
    place.settle()
    assert place.story().verdict is Verdict.ENDED
    place.plane.advance(timedelta(hours=25))
    while place.plane.run(lambda tx: sweep(tx, place.plane.node.engine)):
        pass
    with pytest.raises(Misconfigured):
        place.story()


def test_attempts_of_a_token_that_was_never_bound_are_kept_for_a_day(place: Place) -> None:
    place.refused(InstanceType="t3.none")
    assert len(place.story().attempts) == 1
    place.plane.advance(timedelta(hours=25))
    while place.plane.run(lambda tx: sweep(tx, place.plane.node.engine)):
        pass
    with pytest.raises(Misconfigured):
        place.story()


def test_a_launch_without_a_token_is_told_by_its_ids(place: Place) -> None:
    form = launch_form()
    assert ask_once(place.plane, place.keys, form).status == 200
    place.settle()
    found = place.ec2.describe_instances()["Reservations"][0]
    for named in (found["ReservationId"], found["Instances"][0]["InstanceId"]):
        story = place.story(named)
        assert (story.client_token, story.verdict) == (None, Verdict.RUNNING)
        assert [one.kind for one in story.resources] == PARTS
        assert "no client token" in story.unknown[0]


def test_a_refused_attempt_is_found_by_its_request(place: Place) -> None:
    with pytest.raises(ClientError) as error:
        place.launch(InstanceType="t3.none")
    request = str(error.value.response["ResponseMetadata"]["RequestId"])
    assert place.story().client_token == "t"
    assert place.story(request).client_token == "t"


def test_a_create_without_steps_is_told_too(place: Place) -> None:
    made = place.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t")
    story = place.story()
    assert (story.verdict, story.action, story.launches) == (Verdict.MADE, "CreateVolume", ())
    assert [one.id for one in story.resources] == [made["VolumeId"]]
    place.plane.advance(timedelta(minutes=1))
    place.ec2.delete_volume(VolumeId=made["VolumeId"])
    assert place.story().verdict is Verdict.ENDED
