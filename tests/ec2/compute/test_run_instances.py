"""RunInstances repeated: one launch, the same answer, and no request disturbs another launch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.asking import described, drive, found, launch, row_of, wait
from plane import LAUNCH, Plane, running_plane
from sametoken.operate.opened import Opened
from sametoken.operate.story.telling import tell
from sametoken.workflow.plans import PLANS
from sametoken.workflow.tokens import TokenForm, step_token

# Members that show the current state, which a replay may show later than the first answer.
CURRENT = (
    "State", "StateReason", "BlockDeviceMappings", "NetworkInterfaces", "PublicDnsName",
    "PublicIpAddress",
)  # fmt: skip
DUPLICATES = 32


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Yield a plane whose launches stay as the request left them until the test drives them."""
    with running_plane(tmp_path_factory.mktemp("still"), runners=0) as running:
        yield running


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time, and return their answers or errors."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as refused:
            return refused

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def meaning(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without its request id and without the current state."""
    instances = [
        {name: value for name, value in one.items() if name not in CURRENT}
        for one in answer["Instances"]
    ]
    return {
        **{name: value for name, value in answer.items() if name != "ResponseMetadata"},
        "Instances": instances,
    }


def attempts(plane: Plane, token: str) -> int:
    plane.node.journal.write(plane.store)
    [story] = tell(Opened(plane.node.settings.database, plane.store), token)
    return story.attempts[-1].number


def test_32_duplicates_at_once_are_one_launch_and_31_replays(plane: Plane) -> None:
    client = plane.client(max_pool_connections=DUPLICATES)
    params = {**LAUNCH, "ClientToken": "duplicates", "MaxCount": 3}
    answers = at_once([lambda: client.run_instances(**params)] * DUPLICATES)
    assert all(meaning(one) == meaning(answers[0]) for one in answers)
    assert len({one["ResponseMetadata"]["RequestId"] for one in answers}) == DUPLICATES
    launched = {one["InstanceId"] for one in answers[0]["Instances"]}
    assert len(launched) == 3 and found(client, "client-token", "duplicates") == launched
    assert attempts(plane, "duplicates") == DUPLICATES


def test_two_intents_at_once_are_one_launch_15_replays_and_16_mismatches(plane: Plane) -> None:
    client = plane.client(max_pool_connections=DUPLICATES)

    def calling(instance_type: str) -> Callable[[], Any]:
        params = {**LAUNCH, "ClientToken": "two-intents", "InstanceType": instance_type}
        return lambda: client.run_instances(**params)

    answers = at_once([calling(one) for one in ("t3.micro", "t3.small") * (DUPLICATES // 2)])
    refused = [one for one in answers if isinstance(one, ClientError)]
    launched = [one for one in answers if not isinstance(one, ClientError)]
    codes = Counter(one.response["Error"]["Code"] for one in refused)
    assert codes == {"IdempotentParameterMismatch": DUPLICATES // 2}
    assert len(launched) == DUPLICATES // 2
    assert all(meaning(one) == meaning(launched[0]) for one in launched)
    assert len(found(client, "client-token", "two-intents")) == 1


def test_a_replay_before_anything_moved_is_equal_to_the_last_letter(still: Plane) -> None:
    client = still.client()
    params = {**LAUNCH, "ClientToken": "letter", "MinCount": 2, "MaxCount": 5}
    first, again = client.run_instances(**params), client.run_instances(**params)
    for answer in (first, again):
        del answer["ResponseMetadata"]
    assert first == again
    assert [one["AmiLaunchIndex"] for one in again["Instances"]] == [0, 1, 2, 3, 4]
    assert all(one["BlockDeviceMappings"] == [] for one in again["Instances"])
    assert {one["State"]["Name"] for one in again["Instances"]} == {"pending"}


def test_a_replay_shows_the_current_state_of_the_same_instances(plane: Plane) -> None:
    client = plane.client()
    params = {**LAUNCH, "ClientToken": "moving", "MinCount": 3, "MaxCount": 3}
    first = client.run_instances(**params)
    ids = [one["InstanceId"] for one in first["Instances"]]
    for waiter, state, act in (
        ("instance_running", "running", lambda: None),
        ("instance_stopped", "stopped", lambda: client.stop_instances(InstanceIds=ids)),
        ("instance_terminated", "terminated", lambda: client.terminate_instances(InstanceIds=ids)),
    ):
        act()
        wait(client, waiter, *ids)
        replay = client.run_instances(**params)
        assert replay["ReservationId"] == first["ReservationId"]
        assert [one["InstanceId"] for one in replay["Instances"]] == ids
        assert {one["State"]["Name"] for one in replay["Instances"]} == {state}
        for one in replay["Instances"]:
            assert one == described(client, one["InstanceId"])


def test_a_replay_shows_the_tags_of_now(plane: Plane) -> None:
    client = plane.client()
    id = launch(client, ClientToken="tags-of-now")["InstanceId"]
    client.create_tags(Resources=[id], Tags=[{"Key": "colour", "Value": "blue"}])
    replay = launch(client, ClientToken="tags-of-now")
    assert replay["Tags"] == [{"Key": "colour", "Value": "blue"}]


def test_a_guessed_step_token_disturbs_no_launch(still: Plane) -> None:
    """Step tokens are derived, so a caller can compute them; as client tokens they must do
    nothing to the launch they belong to (P10)."""
    client = still.client()
    id = launch(client, ClientToken="victim")["InstanceId"]
    guesses = {
        step_token(form, id, epoch, step.name, service)
        for form in TokenForm
        for epoch in (0, 1)
        for plan in PLANS.values()
        for step in plan.steps
        for service in step.services
    }
    own = {
        launch(client, ClientToken=guess, InstanceType="t3.small")["InstanceId"]
        for guess in guesses
    }
    assert len(own) == len(guesses) and id not in own
    drive(still)
    assert described(client, id)["State"]["Name"] == "running"
    assert len(described(client, id)["BlockDeviceMappings"]) == 1
    for guess in guesses:
        assert launch(client, ClientToken=guess, InstanceType="t3.small")["InstanceId"] in own
    client.terminate_instances(InstanceIds=[id])
    drive(still)
    assert described(client, id)["State"]["Name"] == "terminated"
    assert row_of(still, id).private["held"] is None


def test_a_step_that_was_guessed_first_is_still_taken(tmp_path: Path) -> None:
    """Step tokens that a caller used first must not make the launch skip those steps."""
    with running_plane(tmp_path, boot_seconds=60) as plane:
        client = plane.client()
        id = launch(client, ClientToken="victim")["InstanceId"]
        for step in PLANS["launch"].steps:
            guess = step_token(TokenForm.READABLE, id, 0, step.name, step.services[0])
            launch(client, ClientToken=guess)
        volumes = client.get_waiter("volume_in_use")
        filters = [{"Name": "attachment.instance-id", "Values": [id]}]
        while not client.describe_volumes(Filters=filters)["Volumes"]:
            pass
        volumes.wait(Filters=filters, WaiterConfig={"Delay": 0, "MaxAttempts": 100})
        assert described(client, id)["State"]["Name"] == "pending"


def test_a_request_that_names_no_type_launches_ec2s_default(plane: Plane) -> None:
    client = plane.client()
    params = {name: value for name, value in LAUNCH.items() if name != "InstanceType"}
    [instance] = client.run_instances(**params)["Instances"]
    assert instance["InstanceType"] == "m1.small"
    [shown] = client.describe_instance_types(InstanceTypes=["m1.small"])["InstanceTypes"]
    assert not shown["CurrentGeneration"]
