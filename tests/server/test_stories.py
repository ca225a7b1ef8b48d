"""Stories: every attempt, code, step, node and resource of a token, on both databases.

The launches are driven by hand and the clock is moved on, so no test waits.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from ec2.asking import hand_runner
from faults.struck import ask as ask_once
from faults.struck import launch_form, rule
from plane import LAUNCH, Plane, everything, new_database, running_plane
from sametoken import faults
from sametoken.cli import main
from sametoken.control.controls import Controls
from sametoken.errors import Misconfigured, Transient
from sametoken.faults import Point
from sametoken.node import NAME_CHARACTERS_MAX, name_of
from sametoken.operate.asking import ask
from sametoken.operate.opened import Opened
from sametoken.operate.story.model import Story, Verdict, as_json, from_json
from sametoken.resources.account.attempts import Attempt as Noted
from sametoken.resources.account.attempts import TokenKey
from sametoken.server.ends import DIFFERING_MAX
from sametoken.services.housekeeping import sweep
from sametoken.settings import KEY_FILE_VARIABLE
from sametoken.workflow import turns, work
from sametoken.workflow.plans import PLANS
from sametoken.workflow.runner import Runner
from sdk import Keys

STEPS = [step.name for step in PLANS["launch"].steps]
ENDING_STEPS = [step.name for step in PLANS["terminate"].steps]
NO_CAPACITY = "InsufficientInstanceCapacity"
PARTS = ["instance", "volume", "network-interface", "placement"]
# Rounds of waiting in which anything is done that is ever done.
ROUNDS_MAX = 100


@dataclass(frozen=True)
class Place:
    """An account of a plane without runners, and a runner that the test drives by hand."""

    plane: Plane
    keys: Keys
    runner: Runner

    @property
    def ec2(self) -> Any:
        return self.plane.client(keys=self.keys)

    def launch(self, token: str = "t", **more: Any) -> str:
        answer = self.ec2.run_instances(**{**LAUNCH, **more}, ClientToken=token)
        return str(answer["Instances"][0]["InstanceId"])

    def refused(self, token: str = "t", **more: Any) -> str:
        with pytest.raises(ClientError) as error:
            self.launch(token, **more)
        return str(error.value.response["Error"]["Code"])

    def strike(self, kind: str, **keys: Any) -> None:
        self.plane.node.faults.add([rule(kind, account=self.keys.account, **keys)])

    def drive(self) -> None:
        while self.runner.run_once():
            pass

    def settle(self, runner: Runner | None = None) -> None:
        """Do all work, and let all time pass that it waits for."""
        for _ in range(ROUNDS_MAX):
            while (runner or self.runner).run_once():
                pass
            now, due_at = self.plane.store.read(lambda tx: (tx.now, turns.next_due(tx)))
            if due_at is None:
                return
            self.plane.advance(max(due_at - now, timedelta()) + timedelta(milliseconds=1))
        raise AssertionError("the work never ends")

    def story(self, named: str = "t") -> Story:
        [found] = Controls(self.plane.node).stories(named, self.keys.account)
        assert from_json(json.loads(json.dumps(as_json(found)))) == found
        return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def plane(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("stories")
    database = new_database(folder, request.param)
    with running_plane(folder, runners=0, dev=True, database=database) as running:
        yield running


@pytest.fixture
def place(plane: Plane, request: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(plane, plane.account(request.node.name[:60]), hand_runner(plane))
    plane.node.faults.clear()


def outcomes(story: Story) -> list[tuple[str, int | None, str | None]]:
    return [(one.outcome, one.status, one.code) for one in story.attempts]


def tries(story: Story, plan: str, step: str) -> list[Any]:
    [launch] = story.launches
    [walk] = [one for one in launch.walks if one.plan == plan]
    [found] = [one for one in walk.steps if one.name == step]
    return list(found.tries)


def check_by_command_and_http(place: Place, story: Story, patch: pytest.MonkeyPatch) -> None:
    """The same is told by the command beside the server, and over HTTP."""
    settings = place.plane.node.settings
    patch.setenv(KEY_FILE_VARIABLE, str(settings.database.key_file))
    told = replace(story, told_at=story.told_at)
    command = ["tokens", "explain", story.client_token or "", "--account", story.account]
    done = CliRunner().invoke(main, [*command, "--json", "--database", settings.database.url])
    assert done.exit_code == 0, done.output
    here = Opened(settings.database, place.plane.store)
    patch.setattr("sametoken.operate.asking.endpoint", lambda _: place.plane.url)
    served = ask(here, "GET", f"/stories?of={story.client_token}&account={story.account}")
    for [found] in (json.loads(done.stdout), served["stories"]):
        assert replace(from_json(found), told_at=told.told_at) == told
    text = CliRunner().invoke(main, [*command, "--database", settings.database.url]).stdout
    for one in story.attempts:
        assert one.request_id is not None and one.request_id in text
        assert one.code is None or one.code in text
    for resource in story.resources:
        assert resource.id in text
    assert f"{story.verdict}: {story.said}" in text


# -- the three stories ------------------------------------------------------------------------


def test_a_boot_that_fails_for_good_at_its_third_try(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.strike("fail-step", step="boot-machine", attempt="1-2", name="twice")
    place.strike("fail-launch", step="boot-machine", attempt=3, name="third")
    id = place.launch()
    place.settle()
    story = place.story()
    assert story.verdict is Verdict.FAILED
    assert f"{id} failed at boot-machine, try 3" in story.said
    assert "Server.InternalError" in story.said and "is terminated" in story.said
    assert outcomes(story) == [("new", 200, None)]
    boots = tries(story, "launch", "boot-machine")
    assert [one.outcome for one in boots] == ["retry", "retry", "failed"]
    assert all(one.until is not None and one.until > one.at for one in boots[:2])
    assert ["twice" in boots[0].error, "third" in boots[2].error] == [True, True]
    [launch] = story.launches
    assert [one.plan for one in launch.walks] == ["launch", "terminate"]
    unwound = launch.walks[1]
    assert "Server.InternalError" in (unwound.why or "")
    assert [one.name for one in unwound.steps] == ENDING_STEPS
    assert {one.state for one in unwound.steps} == {"done"}
    at = [one.tries[0].at for one in unwound.steps]
    assert at == sorted(at)
    nodes = {one.node for walk in launch.walks for step in walk.steps for one in step.tries}
    assert nodes == {place.plane.node.name} == {story.attempts[0].node}
    assert [one.kind for one in story.resources] == PARTS
    assert all(one.ended_at is not None for one in story.resources)
    assert "Internal error on launch" in (story.resources[0].reason or "")
    check_by_command_and_http(place, story, monkeypatch)


def test_capacity_twice_and_then_a_success_under_the_same_token(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.strike("no-capacity", action="RunInstances", times=2, name="full")
    assert [place.refused(), place.refused()] == [NO_CAPACITY] * 2
    refused = place.story()
    assert (refused.verdict, len(refused.attempts)) == (Verdict.REFUSED, 2)
    assert f"{NO_CAPACITY} 2 times" in refused.said
    id = place.launch()
    place.settle()
    story = place.story()
    assert story.verdict is Verdict.RUNNING and id in story.said
    failed = ("failed", 500, NO_CAPACITY)
    assert outcomes(story) == [failed, failed, ("new", 200, None)]
    assert [one.number for one in story.attempts] == [1, 2, 3]
    assert [one.faults for one in story.attempts] == [("full",), ("full",), ()]
    assert all(one.seconds is not None and one.seconds >= 0 for one in story.attempts)
    assert all(one.invocation and one.invocation_attempt == 1 for one in story.attempts)
    assert len({one.request_id for one in story.attempts}) == 3
    assert {step.state for step in story.launches[0].walks[0].steps} == {"done"}
    assert [(one.kind, one.state) for one in story.resources] == list(
        zip(PARTS, ["running", "in-use", "in-use", "reserved"], strict=True)
    )
    check_by_command_and_http(place, story, monkeypatch)


def test_a_controller_killed_between_two_steps(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = {"step": "make-volumes", "point": Point.STEP_RECORDED.value, "name": "killed"}
    place.strike("crash", **crash)
    id = place.launch()
    place.drive()
    held = place.story()
    assert held.verdict is Verdict.LAUNCHING and "bring-up-interfaces" in held.said
    assert held.launches[0].owner == place.plane.node.name
    place.plane.advance(work.LEASE + timedelta(seconds=1))
    successor = replace(hand_runner(place.plane), node="another:4590")
    place.settle(successor)
    story = place.story()
    assert story.verdict is Verdict.RUNNING
    taken, done = tries(story, "launch", "bring-up-interfaces")
    assert (taken.outcome, taken.left_by) == ("taken over", place.plane.node.name)
    assert (taken.node, done.node) == ("another:4590", "another:4590")
    [before] = tries(story, "launch", "make-volumes")
    assert (before.node, before.outcome) == (place.plane.node.name, "done")
    assert done.generation == taken.generation == before.generation + 1
    assert [one.kind for one in story.resources] == PARTS
    assert story.resources[0].id == id
    check_by_command_and_http(place, story, monkeypatch)


def test_two_nodes_of_one_database_tell_who_took_over(tmp_path: Any) -> None:
    database = new_database(tmp_path, "postgresql")
    with (
        running_plane(tmp_path, runners=0, dev=True, database=database) as one,
        running_plane(tmp_path, runners=0, dev=True, database=database) as other,
    ):
        assert one.node.name != other.node.name
        place = Place(one, one.account("takeover"), hand_runner(one))
        place.strike("crash", step="make-volumes", point=Point.STEP_RECORDED.value)
        place.launch()
        place.drive()
        place.plane.advance(work.LEASE + timedelta(seconds=1))
        place.settle(hand_runner(other))
        # A repeat is answered by the other node, and told by it.
        answer = other.client(keys=place.keys).run_instances(**LAUNCH, ClientToken="t")
        other.node.journal.write(other.store)
        story = place.story()
        told = {each.outcome: each for each in tries(story, "launch", "bring-up-interfaces")}
        assert told["taken over"].left_by == one.node.name
        assert told["done"].node == other.node.name
        assert [each.node for each in story.attempts] == [one.node.name, other.node.name]
        assert story.resources[0].id == answer["Instances"][0]["InstanceId"]


def test_a_node_is_named_by_its_host_and_port_or_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sametoken.node.gethostname", lambda: f"{'h' * 100}.example.com")
    host = "h" * NAME_CHARACTERS_MAX
    assert name_of("http://127.0.0.1:4590") == f"{host}:4590"
    assert name_of(None) == f"{host}/{os.getpid()}"


# -- attempts -----------------------------------------------------------------------------------


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
