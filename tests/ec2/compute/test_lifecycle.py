"""Start, stop, reboot and terminate: in every state, repeated, for several instances, failing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ec2.asking import code, described, drive, found, launch, refusal, row_of, running, wait
from plane import LAUNCH, Plane, running_plane
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule
from sametoken.resources.compute.instances import STATE_CODES, InstanceState
from sametoken.resources.compute.placements import placement_id
from sametoken.resources.kit import counters, rows
from sdk import REGION

# Answers of each call in each state: (previous, current), or the code of a refusal.
# Source: EC2 user guide, "Instance lifecycle"; captures for repeats.
ANSWERS: dict[str, dict[str, tuple[str, str] | str]] = {
    "terminate": {
        "pending": ("pending", "shutting-down"),
        "running": ("running", "shutting-down"),
        "shutting-down": ("shutting-down", "shutting-down"),
        "terminated": ("terminated", "terminated"),
        "stopping": ("stopping", "shutting-down"),
        "stopped": ("stopped", "terminated"),
    },
    "stop": {
        "pending": "IncorrectInstanceState",
        "running": ("running", "stopping"),
        "shutting-down": "IncorrectInstanceState",
        "terminated": "IncorrectInstanceState",
        "stopping": ("stopping", "stopping"),
        "stopped": ("stopped", "stopped"),
    },
    "start": {
        "pending": ("pending", "pending"),
        "running": ("running", "running"),
        "shutting-down": "IncorrectInstanceState",
        "terminated": "IncorrectInstanceState",
        "stopping": "IncorrectInstanceState",
        "stopped": ("stopped", "pending"),
    },
    "reboot": {
        "pending": ("pending", "pending"),
        "running": ("running", "running"),
        "shutting-down": ("shutting-down", "shutting-down"),
        "terminated": ("terminated", "terminated"),
        "stopping": "IncorrectState",
        "stopped": "IncorrectState",
    },
}
RESULTS = {
    "terminate": "TerminatingInstances",
    "stop": "StoppingInstances",
    "start": "StartingInstances",
}


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Yield a plane whose instances change state only when a test drives them."""
    with running_plane(tmp_path_factory.mktemp("still"), runners=0) as running:
        yield running


def ask(client: Any, verb: str, *ids: str) -> Any:
    return getattr(client, f"{verb}_instances")(InstanceIds=list(ids))


def in_state(plane: Plane, client: Any, state: str) -> str:
    """Launch an instance and bring it into `state` by calls that a user has."""
    id: str = launch(client)["InstanceId"]
    steps = {
        "pending": (),
        "running": ("drive",),
        "shutting-down": ("drive", "terminate"),
        "terminated": ("drive", "terminate", "drive"),
        "stopping": ("drive", "stop"),
        "stopped": ("drive", "stop", "drive"),
    }
    for step in steps[state]:
        if step == "drive":
            drive(plane)
        else:
            ask(client, step, id)
    assert described(client, id)["State"]["Name"] == state
    return id


@pytest.mark.parametrize("verb", ANSWERS)
@pytest.mark.parametrize("state", [state.value for state in InstanceState])
def test_each_call_in_each_state(still: Plane, verb: str, state: str) -> None:
    client = still.client()
    id = in_state(still, client, state)
    answer = ANSWERS[verb][state]
    if isinstance(answer, str):
        assert code(getattr(client, f"{verb}_instances"), InstanceIds=[id]) == answer
        assert described(client, id)["State"]["Name"] == state
        return
    shown = ask(client, verb, id)
    if verb in RESULTS:
        [change] = shown[RESULTS[verb]]
        assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == answer
        for state_shown in (change["PreviousState"], change["CurrentState"]):
            assert STATE_CODES[InstanceState(state_shown["Name"])] == state_shown["Code"]
    assert described(client, id)["State"]["Name"] == answer[1]


@pytest.mark.parametrize("verb", ["terminate", "stop", "start"])
def test_a_repeated_call_succeeds_with_previous_equal_to_current(plane: Plane, verb: str) -> None:
    client = plane.client()
    id = running(client)
    waiter = {
        "terminate": "instance_terminated", "stop": "instance_stopped", "start": "instance_running",
    }  # fmt: skip
    ask(client, verb, id)
    wait(client, waiter[verb], id)
    for _ in range(2):
        [change] = ask(client, verb, id)[RESULTS[verb]]
        assert change["PreviousState"] == change["CurrentState"]


def test_an_instance_stops_and_starts_with_its_volumes_and_addresses(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    before = described(client, id)
    ask(client, "stop", id)
    wait(client, "instance_stopped", id)
    stopped = described(client, id)
    assert "PublicIpAddress" not in stopped and stopped["PublicDnsName"] == ""
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    ask(client, "start", id)
    wait(client, "instance_running", id)
    after = described(client, id)
    for name in ("PrivateIpAddress", "BlockDeviceMappings", "SubnetId"):
        assert after[name] == before[name]
    assert after["LaunchTime"] > before["LaunchTime"]
    assert after["StateTransitionReason"] == "" and "StateReason" not in after


@pytest.mark.parametrize("verb", ANSWERS)
def test_one_wrong_id_and_nothing_happens_to_any(plane: Plane, verb: str) -> None:
    client = plane.client()
    id = running(client)
    before = described(client, id)
    call = getattr(client, f"{verb}_instances")
    absent = "i-00000000000000000"
    stranger = launch(plane.client(keys=plane.account("stranger")))["InstanceId"]
    elsewhere = launch(plane.client(region="eu-west-1"))["InstanceId"]
    for wrong in (absent, stranger, elsewhere):
        refused = refusal(call, InstanceIds=[id, wrong])
        assert (refused.code, refused.status) == ("InvalidInstanceID.NotFound", 400)
        assert wrong in refused.message and id not in refused.message
    assert code(call, InstanceIds=[id, "i-nothing"]) == "InvalidInstanceID.Malformed"
    assert code(call, InstanceIds=[id, "vol-00000000000000000"]) == "InvalidInstanceID.Malformed"
    assert described(client, id) == before


def test_no_id_at_all_is_a_missing_parameter(plane: Plane) -> None:
    client = plane.client(parameter_validation=False)
    for verb in ANSWERS:
        assert code(getattr(client, f"{verb}_instances")) == "MissingParameter"


def test_an_id_given_twice_is_terminated_once(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    changes = client.terminate_instances(InstanceIds=[id, id])["TerminatingInstances"]
    assert [one["InstanceId"] for one in changes] == [id]


def test_a_protected_instance_keeps_all_of_the_call_from_happening(plane: Plane) -> None:
    client = plane.client()
    where = {"Placement": {"AvailabilityZone": "us-east-1a"}}
    free = running(client, **where)
    protected = running(client, DisableApiTermination=True, **where)
    refused = refusal(client.terminate_instances, InstanceIds=[free, protected])
    assert (refused.code, refused.status) == ("OperationNotPermitted", 400)
    assert refused.message == (
        f"The instance '{protected}' may not be terminated. Modify its 'disableApiTermination' "
        "instance attribute and try again."
    )
    assert described(client, free)["State"]["Name"] == "running"
    client.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": False})
    client.terminate_instances(InstanceIds=[free, protected])
    wait(client, "instance_terminated", free, protected)
    client.terminate_instances(InstanceIds=[protected])


def test_stop_protection_refuses_a_stop_and_a_termination(plane: Plane) -> None:
    client = plane.client()
    id = running(client, DisableApiStop=True)
    assert code(client.stop_instances, InstanceIds=[id]) == "OperationNotPermitted"
    assert code(client.terminate_instances, InstanceIds=[id]) == "OperationNotPermitted"
    client.modify_instance_attribute(InstanceId=id, DisableApiStop={"Value": False})
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)


UNSUPPORTED = "UnsupportedHibernationConfiguration"


def test_only_an_instance_that_was_launched_for_it_hibernates(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    assert code(client.stop_instances, InstanceIds=[id], Hibernate=True) == UNSUPPORTED
    assert described(client, id)["State"]["Name"] == "running"
    asked: Any = {**LAUNCH, "HibernationOptions": {"Configured": True}}
    assert code(client.run_instances, **asked) == UNSUPPORTED, "its root is not encrypted"
    root = {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}
    asked["BlockDeviceMappings"] = [root]
    metal = {**asked, "InstanceType": "m5.metal"}
    assert code(client.run_instances, **metal) == UNSUPPORTED
    hibernating = running(client, **asked)
    assert described(client, hibernating)["HibernationOptions"] == {"Configured": True}
    client.stop_instances(InstanceIds=[hibernating], Hibernate=True)
    wait(client, "instance_stopped", hibernating)


def leftovers(plane: Plane, client: Any, id: str, *, held: list[str]) -> None:
    """Assert that a terminated instance has left nothing behind."""
    assert client.describe_volumes()["Volumes"] == []
    assert client.describe_network_interfaces()["NetworkInterfaces"] == []
    for subnet in client.describe_subnets()["Subnets"]:
        assert subnet["AvailableIpAddressCount"] == 4091
    assert row_of(plane, id).private["held"] is None
    used = plane.run(lambda tx: counters.free(tx, (plane.keys.account, REGION), held))
    assert used == {
        held[0]: counters.CAPACITY_DEFAULT, held[1]: counters.VCPUS_DEFAULT,
    }  # fmt: skip
    placement = plane.run(lambda tx: rows.find(tx, placement_id(id)))
    assert placement is None or placement.gone_at is not None


def counters_of(plane: Plane, id: str) -> list[str]:
    private = row_of(plane, id).private["held"]
    return [private["capacity"], private["vcpus"]]


def test_terminating_a_pending_launch_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_plane(tmp_path, boot_seconds=60) as plane:
        client = plane.client()
        id = launch(client, ClientToken="pending")["InstanceId"]
        held = counters_of(plane, id)
        [change] = ask(client, "terminate", id)["TerminatingInstances"]
        assert change["PreviousState"]["Name"] == "pending"
        wait(client, "instance_terminated", id)
        shown = launch(client, ClientToken="pending")
        assert (shown["InstanceId"], shown["State"]["Name"]) == (id, "terminated")
        assert shown["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
        leftovers(plane, client, id, held=held)


BOOTS_FAIL = (Rule(Kind.BOOT_FAILS),)


def test_a_launch_that_fails_ends_terminated_and_its_token_replays_to_it(tmp_path: Path) -> None:
    with running_plane(tmp_path, faults=BOOTS_FAIL, runners=0) as plane:
        client = plane.client()
        first = launch(client, ClientToken="fails")
        id, held = first["InstanceId"], counters_of(plane, first["InstanceId"])
        assert first["State"]["Name"] == "pending"
        drive(plane)
        shown = launch(client, ClientToken="fails")
        assert (shown["InstanceId"], shown["State"]["Name"]) == (id, "terminated")
        assert shown["StateReason"] == {
            "Code": "Server.InternalError",
            "Message": "Server.InternalError: Internal error on launch",
        }
        assert found(client, "state-reason-code", "Server.InternalError") == {id}
        leftovers(plane, client, id, held=held)
        other = {**LAUNCH, "ClientToken": "fails", "InstanceType": "t3.small"}
        assert code(client.run_instances, **other) == "IdempotentParameterMismatch"


def test_a_boot_that_fails_takes_its_time_before_it_does(tmp_path: Path) -> None:
    with running_plane(tmp_path, boot_seconds=60.0, faults=BOOTS_FAIL, runners=0) as plane:
        client = plane.client()
        id = launch(client)["InstanceId"]
        drive(plane)
        assert described(client, id)["State"]["Name"] == "pending", "it boots"
        plane.advance(timedelta(seconds=61))
        drive(plane)
        assert described(client, id)["State"]["Name"] == "terminated"
