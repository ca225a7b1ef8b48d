"""Calls that the suites of EC2's behaviour share: refusals as values, runners driven by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from plane import LAUNCH, Plane
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx
from sametoken.workflow.mishaps import Mishaps
from sametoken.workflow.runner import Runner

# Have waiters ask again at once: the states they wait for take milliseconds to come here.
AT_ONCE = {"Delay": 0, "MaxAttempts": 2000}


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    status: int
    message: str


def refusal(call: Callable[..., Any], **params: Any) -> Refusal:
    """Make a call that must be refused, and return its refusal; fail the test if it succeeds."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["RequestId"], "a refusal names its request too"
    return Refusal(
        answer["Error"]["Code"],
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["Error"]["Message"],
    )


def code(call: Callable[..., Any], **params: Any) -> str:
    """Return the code of a refusal, which must be the caller's fault (400)."""
    refused = refusal(call, **params)
    assert refused.status == 400, refused
    return refused.code


def launch(client: Any, **more: Any) -> dict[str, Any]:
    """Launch, and return the first instance as RunInstances shows it."""
    instance: dict[str, Any] = client.run_instances(**{**LAUNCH, **more})["Instances"][0]
    return instance


def running(client: Any, **more: Any) -> str:
    """Launch an instance, wait until it runs, and return its id."""
    id: str = launch(client, **more)["InstanceId"]
    wait(client, "instance_running", id)
    return id


def wait(client: Any, waiter: str, *ids: str) -> None:
    client.get_waiter(waiter).wait(InstanceIds=list(ids), WaiterConfig=AT_ONCE)


def described(client: Any, id: str) -> dict[str, Any]:
    """Return the instance as DescribeInstances shows it."""
    [reservation] = client.describe_instances(InstanceIds=[id])["Reservations"]
    [instance] = reservation["Instances"]
    found: dict[str, Any] = instance
    return found


def default_vpc(client: Any) -> str:
    """Return the id of the default VPC in the client's Region."""
    return str(client.describe_vpcs(Filters=by_filter("is-default", "true"))["Vpcs"][0]["VpcId"])


def by_filter(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def found(client: Any, name: str, *values: str) -> set[str]:
    """Return the ids of the instances that match one filter."""
    answer = client.describe_instances(Filters=by_filter(name, *values))
    return {one["InstanceId"] for group in answer["Reservations"] for one in group["Instances"]}


def injected(client: Any, operation: str, **fields: str) -> None:
    """Add these form fields to each later call of `operation`, before it is signed."""

    def add(params: dict[str, Any], **context: Any) -> None:
        params["body"].update(fields)

    client.meta.events.register_first(f"before-call.ec2.{operation}", add)


def hand_runner(plane: Plane) -> Runner:
    """Make a runner for a plane that has none of its own."""
    node = plane.node
    mishaps = Mishaps(node.faults)
    return Runner(plane.store, node.services, node.world, node.backlog, mishaps, node.name)


def drive(plane: Plane) -> None:
    """Do all the work that is due, on a plane without runners."""
    runner = hand_runner(plane)
    while runner.run_once():
        pass


def end(plane: Plane, kind: Kind, id: str) -> None:
    """End a resource by its row alone, without the checks of its Delete action."""

    def run(tx: Tx) -> None:
        endings.end_regardless(tx, kind, rows.by_ids(tx, [id], lock=True)[id], cause="a test")

    plane.run(run)


def insert(plane: Plane, make: Callable[[Tx], Row]) -> Row:
    """Insert a resource's row alone, without the checks of its Create action."""

    def run(tx: Tx) -> Row:
        row = make(tx)
        rows.insert(tx, [row])
        return row

    return plane.run(run)


def row_of(plane: Plane, id: str) -> Row:
    return plane.run(lambda tx: rows.by_ids(tx, [id])[id])


def rows_of(plane: Plane, ids: Sequence[str]) -> dict[str, Row]:
    return plane.run(lambda tx: rows.by_ids(tx, ids))
