"""MonitorInstances and UnmonitorInstances: repeated, for several, and on ended instances."""

from __future__ import annotations

from typing import Any

from ec2.asking import code, described, found, refusal, running
from plane import Plane


def answered(client: Any, call: str, *ids: str) -> dict[str, str]:
    """Make the call, and return the state that it answers for each instance."""
    answer = getattr(client, call)(InstanceIds=list(ids))["InstanceMonitorings"]
    return {one["InstanceId"]: one["Monitoring"]["State"] for one in answer}


def test_monitoring_is_switched_on_and_off_and_a_repeat_says_how_it_is(plane: Plane) -> None:
    client = plane.client(keys=plane.account("monitored"))
    id = running(client)
    assert answered(client, "monitor_instances", id) == {id: "pending"}
    assert described(client, id)["Monitoring"] == {"State": "enabled"}
    assert found(client, "monitoring-state", "enabled") == {id}
    assert answered(client, "monitor_instances", id) == {id: "enabled"}
    assert answered(client, "unmonitor_instances", id) == {id: "disabling"}
    assert described(client, id)["Monitoring"] == {"State": "disabled"}
    assert answered(client, "unmonitor_instances", id) == {id: "disabled"}


def test_what_a_launch_asked_for_is_on_already(plane: Plane) -> None:
    client = plane.client(keys=plane.account("monitored from the start"))
    id = running(client, Monitoring={"Enabled": True})
    assert answered(client, "monitor_instances", id) == {id: "enabled"}


def test_several_instances_are_switched_together_or_not_at_all(plane: Plane) -> None:
    client = plane.client(keys=plane.account("monitored together"))
    ids = [running(client) for _ in range(2)]
    unknown = [ids[0], "i-00000000000000000"]
    assert code(client.monitor_instances, InstanceIds=unknown) == "InvalidInstanceID.NotFound"
    assert found(client, "monitoring-state", "enabled") == set()
    assert answered(client, "monitor_instances", *ids) == dict.fromkeys(ids, "pending")


def test_an_instance_that_is_ending_cannot_be_switched(plane: Plane) -> None:
    client = plane.client(keys=plane.account("monitored too late"))
    id = running(client)
    client.terminate_instances(InstanceIds=[id])
    refused = refusal(client.monitor_instances, InstanceIds=[id])
    assert refused.code == "IncorrectInstanceState"
    assert id in refused.message
