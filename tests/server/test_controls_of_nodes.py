"""Orders to one of several nodes on PostgreSQL hold for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plane import LAUNCH, Plane, new_database, running_plane
from sametoken.control.controls import Controls

DAY = timedelta(hours=25)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Plane, Plane]]:
    """A node that takes orders, and one that drives launches."""
    database = new_database(tmp_path, "postgresql")
    with (
        running_plane(tmp_path, dev=True, runners=0, boot_seconds=3600, database=database) as one,
        running_plane(tmp_path, runners=1, boot_seconds=3600, database=database) as other,
    ):
        yield one, other


def launched(ec2: Any, token: str) -> dict[str, Any]:
    made: dict[str, Any] = ec2.run_instances(**LAUNCH, ClientToken=token)["Instances"][0]
    return made


def test_the_clock_stands_and_goes_on_for_all(nodes: tuple[Plane, Plane]) -> None:
    one, other = nodes
    controls, ec2 = Controls(one.node), other.client()
    ec2.describe_vpcs()
    before = controls.freeze().now
    instance = launched(ec2, "a")
    assert timedelta(0) <= before - instance["LaunchTime"] < timedelta(seconds=1)
    assert other.store.run(lambda tx: tx.now) == other.store.read(lambda tx: tx.now) == before
    assert controls.advance(DAY) == before + DAY
    found = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"]
    assert found[0]["Instances"][0]["State"]["Name"] == "running"
    controls.resume()
    gone_on = other.store.run(lambda tx: tx.now) - before - DAY
    assert timedelta(0) <= gone_on < timedelta(minutes=1)


def test_after_a_reset_no_node_goes_by_what_it_remembers(nodes: tuple[Plane, Plane]) -> None:
    one, other = nodes
    ec2 = other.client()
    launched(ec2, "a")
    Controls(one.node).reset()
    subnets = {each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]}
    assert launched(ec2, "a")["SubnetId"] in subnets
