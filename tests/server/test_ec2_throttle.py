"""`serve --throttle ec2`, as boto3 meets it: what takes a token, and what happens without one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError

from clients.process import until
from ec2.asking import by_filter, launch, refusal
from plane import LAUNCH, Plane, new_database, running_plane
from sametoken import faults
from sametoken.control.controls import Controls
from sametoken.errors import Transient
from sametoken.faults import Point
from sametoken.idempotency import entries
from sametoken.server.choices import Choices
from sametoken.server.rates import Rate, everything_of, read_rates, resources_of
from sametoken.server.throttling import Charge
from sametoken.store.buckets import BUCKET

# Buckets as EC2 documents them, but for these, which are soon empty.
SMALL = {
    resources_of("RunInstances"): Rate(0.001, 3),
    resources_of("StartInstances"): Rate(0.001, 3),
    resources_of("TerminateInstances"): Rate(0.001, 2),
    "DescribeInstances": Rate(0.001, 3),
    everything_of("DescribeInstances"): Rate(0.001, 1),
}
LIMIT = ("RequestLimitExceeded", 503, "Request limit exceeded.")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    rates = {**read_rates(["ec2"]), **SMALL}
    folder = tmp_path_factory.mktemp("throttled")
    with running_plane(folder, dev=True, choices=Choices(rates=rates)) as plane:
        # No token comes back until a test moves the clock on.
        Controls(plane.node).freeze()
        yield plane


@pytest.fixture
def ec2(served: Plane, request: pytest.FixtureRequest) -> Any:
    return served.client(keys=served.account(request.node.name))


def told(call: Any, **params: Any) -> tuple[str, int, str]:
    refused = refusal(call, **params)
    return refused.code, refused.status, refused.message


def test_a_client_that_repeats_rides_through(
    served: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its waits pass by the simulated clock: five launches at once, then two a second."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        Controls(served.node).advance(timedelta(seconds=seconds))

    monkeypatch.setattr("botocore.endpoint.time.sleep", sleep)
    client = served.client(
        keys=served.account("rides-through"),
        retries={"total_max_attempts": 10, "mode": "standard"},
    )
    tokens = [f"order-{number}" for number in range(3)]
    made = [launch(client, ClientToken=token)["InstanceId"] for token in tokens]
    again = [launch(client, ClientToken=token)["InstanceId"] for token in tokens]
    assert again == made and len(set(made)) == 3
    assert sum(waits) > 0.4, "the sixth request waited for its token"


def test_a_repeat_takes_no_token_of_resources(served: Plane, ec2: Any) -> None:
    ids = {one["InstanceId"] for one in run(ec2, "a", count=2)}
    assert {one["InstanceId"] for one in run(ec2, "a", count=2)} == ids
    mismatch = refusal(ec2.run_instances, **LAUNCH, ClientToken="a")
    assert mismatch.code == "IdempotentParameterMismatch"
    assert told(ec2.run_instances, **{**LAUNCH, "MinCount": 2, "MaxCount": 2}) == LIMIT
    assert run(ec2, "b", count=1), "of three tokens one is left"
    assert told(ec2.run_instances, **LAUNCH, ClientToken="a") == LIMIT, "five requests at once"


def run(ec2: Any, token: str, *, count: int) -> list[dict[str, Any]]:
    asked = {**LAUNCH, "MinCount": count, "MaxCount": count, "ClientToken": token}
    made: list[dict[str, Any]] = ec2.run_instances(**asked)["Instances"]
    return made


def test_a_launch_without_tokens_for_it_leaves_nothing(served: Plane, ec2: Any) -> None:
    run(ec2, "a", count=3)
    assert told(ec2.run_instances, **LAUNCH, ClientToken="unbound") == LIMIT
    assert served.run(lambda tx: entries.find_everywhere(tx, "unbound")) == []
    found = ec2.describe_instances()["Reservations"]
    assert [len(one["Instances"]) for one in found] == [3]


def test_a_refused_launch_takes_none(served: Plane, ec2: Any) -> None:
    controls = Controls(served.node)
    controls.set_limits({"capacity/us-east-1f/m5.large": 0})
    asked = {**LAUNCH, "InstanceType": "m5.large", "Placement": {"AvailabilityZone": "us-east-1f"}}
    for _ in range(2):
        refused = refusal(ec2.run_instances, **{**asked, "MinCount": 3, "MaxCount": 3})
        assert refused.code == "InsufficientInstanceCapacity"
    assert len(run(ec2, "b", count=3)) == 3


def test_a_launch_that_was_undone_gives_its_tokens_back(served: Plane, ec2: Any) -> None:
    def fail(point: Point) -> None:
        if point is Point.ENGINE_RECORDED:
            raise Transient("undone (by the test)", ran=False)

    faults.install(fail)
    try:
        refused = refusal(ec2.run_instances, **{**LAUNCH, "MinCount": 3, "MaxCount": 3})
    finally:
        faults.install(None)
    assert refused.code == "Unavailable"
    assert len(run(ec2, "a", count=3)) == 3


def test_a_change_of_instances_takes_a_token_for_each(ec2: Any) -> None:
    ids = [one["InstanceId"] for one in run(ec2, "a", count=3)]
    assert told(ec2.terminate_instances, InstanceIds=ids) == LIMIT
    assert len(ec2.terminate_instances(InstanceIds=ids[:2])["TerminatingInstances"]) == 2
    assert told(ec2.terminate_instances, InstanceIds=ids[2:]) == LIMIT


def test_a_listing_of_everything_is_throttled_apart(ec2: Any) -> None:
    ec2.describe_instances()
    assert told(ec2.describe_instances) == LIMIT
    ec2.describe_instances(MaxResults=5)
    ec2.describe_instances(Filters=by_filter("instance-type", "t3.micro"))
    ec2.describe_instances(Filters=by_filter("instance-type", "t3.micro"), MaxResults=5)
    assert told(ec2.describe_instances, MaxResults=5) == LIMIT
    assert ec2.describe_vpcs()["Vpcs"], "each action has a bucket of its own"


def test_the_clock_that_is_moved_on_fills_buckets(served: Plane, ec2: Any) -> None:
    run(ec2, "a", count=3)
    assert told(ec2.run_instances, **LAUNCH) == LIMIT
    Controls(served.node).advance(timedelta(seconds=1001))
    assert launch(ec2)


def test_nodes_of_one_database_hear_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sametoken.node.SETTLE_SECONDS", 0.01)
    database = new_database(tmp_path, "postgresql")
    choices = Choices(rates={"CreateVpc": Rate(0.0001, 4)})

    def is_told(count: int) -> bool:
        """Has the database's bucket as many tokens less? A token takes 10,000 s to come back."""
        rows = one.run(lambda tx: [row.full_us for row in tx.execute(sa.select(BUCKET))])
        spent = [row / 1e6 - one.store.seconds() for row in rows]
        return [round(seconds / 10_000) for seconds in spent] == [count]

    with (
        running_plane(tmp_path, runners=0, database=database, choices=choices) as one,
        running_plane(tmp_path, runners=0, database=database, choices=choices) as other,
    ):
        here, there = one.client(), other.client(keys=one.keys)
        for made, client in enumerate((here, here, there, there), start=1):
            client.create_vpc(CidrBlock="10.0.0.0/16")
            until(partial(is_told, made), "the node has told what it spent")
        assert told(there.create_vpc, CidrBlock="10.0.0.0/16") == LIMIT
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("settlement") == 2


def test_a_node_alone_settles_with_nobody(served: Plane) -> None:
    assert "settlement" not in [thread.name for thread in threading.enumerate()]


def gives_nothing_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Charge, "end", lambda self, job: None)


def takes_before_it_is_known_what_is_made(patch: pytest.MonkeyPatch) -> None:
    take = Charge.take
    patch.setattr(Charge, "begin", lambda self: take(self, 1))


def takes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Charge, "take", lambda self, count: None)


@pytest.mark.parametrize(
    ("plant", "test"),
    [
        (gives_nothing_back, test_a_launch_that_was_undone_gives_its_tokens_back),
        (takes_before_it_is_known_what_is_made, test_a_repeat_takes_no_token_of_resources),
        (takes_nothing, test_a_launch_without_tokens_for_it_leaves_nothing),
    ],
    ids=["gives", "takes", "free"],
)
def test_a_planted_bug_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None],
    test: Callable[[Plane, Any], None],
    served: Plane,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    ec2 = served.client(keys=served.account(plant.__name__))
    with pytest.raises((AssertionError, ClientError, pytest.fail.Exception)):
        test(served, ec2)
