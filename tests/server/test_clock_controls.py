"""The clock under control: an advance returns when all that fell due is done, a freeze holds it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from control import call
from plane import LAUNCH, Plane, new_database, running_plane
from sametoken.cli import main
from sametoken.control.controls import Controls
from sametoken.operate import settling
from sametoken.operate.settling import TOLD_MAX, Unsettled
from sametoken.store import nodes
from store.stores import DATABASES

DAY = timedelta(hours=25)
_NUMBERS = count()


@pytest.fixture(scope="module", params=DATABASES)
def dev(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """Machines boot for an hour, so that none ever does by itself."""
    folder = tmp_path_factory.mktemp("dev")
    database = new_database(folder, request.param)
    with running_plane(folder, dev=True, boot_seconds=3600, database=database) as running:
        yield running


@pytest.fixture
def ec2(dev: Plane) -> Iterator[Any]:
    yield dev.client(keys=dev.account(f"account-{next(_NUMBERS)}"))
    Controls(dev.node).resume()


def launched(ec2: Any, token: str) -> str:
    instance: str = ec2.run_instances(**LAUNCH, ClientToken=token)["Instances"][0]["InstanceId"]
    return instance


def state(ec2: Any, instance: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    name: str = found["State"]["Name"]
    return name


@pytest.mark.parametrize("frozen", [False, True])
def test_a_launch_is_done_when_an_advance_over_its_boot_returns(
    dev: Plane, ec2: Any, frozen: bool
) -> None:
    """A machine that boots for an hour has booted, and not a day later than it would have."""
    controls = Controls(dev.node)
    if frozen:
        controls.freeze()
    instance = launched(ec2, "a")
    controls.advance(timedelta(minutes=14))
    assert state(ec2, instance) == "pending"
    controls.advance(DAY)
    assert state(ec2, instance) == "running"


def test_two_advances_at_once_move_the_clock_by_both(dev: Plane, ec2: Any) -> None:
    controls = Controls(dev.node)
    before = controls.freeze().now
    launched(ec2, "a")
    with ThreadPoolExecutor(2) as threads:
        moved = list(threads.map(Controls(dev.node).advance, [DAY, DAY]))
    assert sorted(moved) == [before + DAY, before + 2 * DAY]


def test_steps_of_time_are_taken_too(dev: Plane, ec2: Any) -> None:
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    Controls(dev.node).advance(timedelta(minutes=10))
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"


def test_after_its_retention_a_token_no_longer_replays(dev: Plane, ec2: Any) -> None:
    controls = Controls(dev.node)
    instance = launched(ec2, "kept")
    controls.advance(timedelta(hours=2))
    ec2.terminate_instances(InstanceIds=[instance])
    controls.advance(timedelta(hours=23))
    assert launched(ec2, "kept") == instance
    controls.advance(timedelta(hours=2))
    assert launched(ec2, "kept") != instance


def test_a_frozen_clock_stands_for_all_that_is_kept(dev: Plane, ec2: Any) -> None:
    controls = Controls(dev.node)
    before = controls.freeze()
    first = launched(ec2, "one")
    second = launched(ec2, "two")
    found = ec2.describe_instances(InstanceIds=[first, second])["Reservations"]
    times = {one["LaunchTime"] for each in found for one in each["Instances"]}
    [shown] = times
    assert timedelta(0) <= before.now - shown < timedelta(seconds=1)
    assert controls.clock().now == before.now
    assert controls.clock().stands
    after = controls.resume()
    assert not after.stands
    # It goes on from where it stood.
    assert timedelta(0) <= after.now - before.now < timedelta(seconds=30)


def test_a_node_that_shares_its_database_counts_as_living_after_an_advance(dev: Plane) -> None:
    if dev.node.settings.database.file is not None:
        pytest.skip("a file has one server, and no list of nodes")
    Controls(dev.node).advance(DAY)
    assert dev.url in [one.url for one in dev.store.read(nodes.living)]


def test_an_advance_of_a_frozen_clock_is_exact(dev: Plane) -> None:
    controls = Controls(dev.node)
    before = controls.freeze().now
    assert controls.advance(DAY) == before + DAY == controls.clock().now
    controls.resume()


def test_an_advance_that_is_not_done_in_time_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Launches are accepted here, and not driven."""
    monkeypatch.setattr(settling, "SETTLE_SECONDS_MAX", 0.0)
    with running_plane(tmp_path, dev=True, runners=0) as plane:
        many = LAUNCH | {"MinCount": TOLD_MAX + 1, "MaxCount": TOLD_MAX + 1}
        launched = plane.client().run_instances(**many)["Instances"]
        controls = Controls(plane.node)
        before = controls.clock().now
        with pytest.raises(Unsettled) as left:
            controls.advance(DAY)
        assert len(left.value.left) == TOLD_MAX
        assert set(left.value.left) < {one["InstanceId"] for one in launched}
        assert left.value.now < before + DAY
        told = call(plane.url, "POST", "/clock/advance", {"by": "25h"})
        assert (told.status, told.said["left"]) == (504, list(left.value.left))


def test_the_commands_order_the_running_server(tmp_path: Path) -> None:
    with running_plane(tmp_path, dev=True) as plane:
        words = ["--database", plane.node.settings.database.url]
        place = tmp_path / f"{Path(str(plane.node.settings.database.file)).name}-node"
        place.write_text(plane.url)

        def said(*order: str) -> str:
            done = CliRunner().invoke(main, ["clock", *order, *words])
            assert done.exit_code == 0, done.output
            return done.output

        assert said("freeze").endswith(" UTC, and frozen\n")
        before = datetime.fromisoformat(said("show")[:19])
        assert "frozen" in said()
        assert said("advance", "1d1h") == f"{before + DAY} UTC, and frozen\n"
        assert "stands" not in said("resume")
        done = CliRunner().invoke(main, ["clock", "advance", "soon", *words])
        assert (done.exit_code, "is no span of time" in done.output) == (1, True)
