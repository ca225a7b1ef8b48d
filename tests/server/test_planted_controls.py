"""Bugs planted in the controls, each of which a check of their suites must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from plane import LAUNCH, Plane, new_database, running_plane
from sametoken.control.controls import Controls
from sametoken.operate import settling
from sametoken.resources.kit import regions, transitions
from sametoken.resources.network import default_vpc
from sametoken.services import simulated_machines
from sametoken.services.machines import Wanted
from sametoken.services.simulated_machines import SimulatedMachines
from sametoken.store import clock
from sametoken.store.kept import Lives
from sametoken.workflow import turns
from sametoken.workflow.ports import StaleOwner

Check = Callable[[Plane], None]
DAY = timedelta(hours=25)


def _launched(ec2: Any, token: str) -> dict[str, Any]:
    made: dict[str, Any] = ec2.run_instances(**LAUNCH, ClientToken=token)["Instances"][0]
    return made


def subnets_are_those_that_are_there(plane: Plane) -> None:
    ec2 = plane.client()
    _launched(ec2, "before")
    Controls(plane.node).reset()
    subnets = {one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    assert _launched(ec2, "after")["SubnetId"] in subnets


def late_machines_are_refused(plane: Plane) -> None:
    with patch.object(settling, "SETTLE_SECONDS_MAX", 0.0):
        instance = _launched(plane.client(), "late")["InstanceId"]
        Controls(plane.node).reset()
        wanted = Wanted(instance, 10, {"power": "on", "region": "us-east-1"})
        [fate] = SimulatedMachines(plane.store).ensure_many([wanted])
        assert isinstance(fate, StaleOwner)


def tokens_expire_when_an_advance_returns(plane: Plane) -> None:
    ec2, controls = plane.client(), Controls(plane.node)
    first = _launched(ec2, "kept")["InstanceId"]
    controls.advance(timedelta(hours=2))
    ec2.terminate_instances(InstanceIds=[first])
    controls.advance(DAY)
    assert _launched(ec2, "kept")["InstanceId"] != first


def launches_run_in_their_time(plane: Plane) -> None:
    """Stop and start follow each other within the advance, each in its own time."""
    ec2, controls = plane.client(), Controls(plane.node)
    instance = _launched(ec2, "timed")["InstanceId"]
    controls.advance(DAY)
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert found["State"]["Name"] == "running"
    moved = plane.run(lambda tx: tx.now) - plane.store.read(lambda tx: _arrived(tx, instance))
    assert moved > timedelta(hours=23)


def _arrived(tx: Any, instance: str) -> Any:
    return transitions.of(tx, instance)[-1].moved_at


def time_stands(plane: Plane) -> None:
    controls = Controls(plane.node)
    before = controls.freeze().now
    plane.client().create_vpc(CidrBlock="10.0.0.0/16")
    assert controls.clock().now == before
    controls.resume()
    plane.client().describe_vpcs()
    assert controls.clock().now - before < timedelta(seconds=60)


def answers_show_what_is_there(plane: Plane) -> None:
    ec2, controls = plane.client(), Controls(plane.node)
    instance = _launched(ec2, "a")["InstanceId"]
    # All that changes the instance is done but its boot.
    controls.advance(timedelta(minutes=1))
    controls.freeze()
    controls.save("plain")

    def shown(value: str) -> list[str]:
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "k", "Value": value}])
        ec2.describe_instances()
        found = ec2.describe_instances()["Reservations"][0]["Instances"][0]
        return [one["Value"] for one in found["Tags"]]

    assert shown("one") == ["one"]
    controls.load("plain")
    assert shown("two") == ["two"]


@contextmanager
def stamps_survive() -> Iterator[None]:
    """Nodes go on with the subnets that they remember."""
    with patch.object(regions, "renew_stamp", lambda tx, *place: None):
        yield


@contextmanager
def default_vpcs_are_forgotten() -> Iterator[None]:
    """A node remembers that it has made one, and none is there."""
    with patch.object(default_vpc, "make", lambda tx, *place: None):
        yield


@contextmanager
def machines_are_not_refused() -> Iterator[None]:
    with patch.object(simulated_machines, "refuse_all", lambda tx, instances: None):
        yield


@contextmanager
def no_sweep() -> Iterator[None]:
    """An advance returns before the sweep."""
    with patch.object(settling, "sweep", lambda tx, engine: 0):
        yield


@contextmanager
def jumps() -> Iterator[None]:
    """An advance goes to its end at once, and what is due on the way runs there."""
    with patch.object(turns, "due_later", lambda tx: None):
        yield


@contextmanager
def does_not_wait() -> Iterator[None]:
    """An advance returns before the threads have done what fell due."""
    with patch.object(settling, "_waiting", lambda tx: ()):
        yield


@contextmanager
def readers_go_on() -> Iterator[None]:
    """A frozen clock stands for who writes, and goes on for who reads."""
    read = clock.Pace.read

    def mutated(pace: clock.Pace, host_us: int, *row: int) -> clock.Reading:
        offset_us, high_us, passed_us, switched = row
        return read(pace, host_us, offset_us, high_us, passed_us, switched - switched % 2)

    with patch.object(clock.Pace, "read", mutated):
        yield


@contextmanager
def fragments_survive() -> Iterator[None]:
    """Answers are kept by versions for ever, though versions come again."""
    of = Lives.of
    with patch.object(Lives, "of", lambda self, life: of(self, None)):
        yield


PLANTED = [
    (stamps_survive, subnets_are_those_that_are_there),
    (default_vpcs_are_forgotten, subnets_are_those_that_are_there),
    (machines_are_not_refused, late_machines_are_refused),
    (no_sweep, tokens_expire_when_an_advance_returns),
    (jumps, launches_run_in_their_time),
    (does_not_wait, launches_run_in_their_time),
    (readers_go_on, time_stands),
    (fragments_survive, answers_show_what_is_there),
]


@contextmanager
def served(folder: Path, check: Check) -> Iterator[Plane]:
    runners = 0 if check is late_machines_are_refused else 1
    with running_plane(
        folder, dev=True, boot_seconds=3600, runners=runners,
        database=new_database(folder, "sqlite"),
    ) as plane:  # fmt: skip
        yield plane


@pytest.mark.parametrize("check", {check for _, check in PLANTED}, ids=lambda one: one.__name__)
def test_nothing_is_noticed_where_nothing_is_planted(tmp_path: Path, check: Check) -> None:
    with served(tmp_path, check) as plane:
        check(plane)


@pytest.mark.parametrize(("plant", "check"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_a_planted_bug_is_noticed(tmp_path: Path, plant: Any, check: Check) -> None:
    with served(tmp_path, check) as plane, plant(), pytest.raises((AssertionError, ClientError)):
        check(plane)
