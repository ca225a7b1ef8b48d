"""Saved states: all goes back to what it was, and nothing in memory or at work knows of the time
between.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from control import call
from plane import LAUNCH, Plane, new_database, running_plane
from sametoken.cli import main
from sametoken.control.controls import Controls
from sametoken.errors import Misconfigured
from sametoken.operate import keys as sealing_keys
from sametoken.operate.opened import Opened
from sametoken.services.machines import Wanted
from sametoken.services.simulated_machines import SimulatedMachines
from sametoken.store import saved
from sametoken.workflow import turns, work
from sametoken.workflow.plans import SERVICES
from sametoken.workflow.ports import StaleOwner, StepCall, Verb

DAY = timedelta(hours=25)


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Plane]:
    """Machines boot for an hour, so that none ever does by itself."""
    with running_plane(
        tmp_path, dev=True, boot_seconds=3600, database=new_database(tmp_path, "sqlite")
    ) as running:
        yield running


def launched(ec2: Any, token: str) -> str:
    instance: str = ec2.run_instances(**LAUNCH, ClientToken=token)["Instances"][0]["InstanceId"]
    return instance


def states(ec2: Any) -> dict[str, str]:
    found = ec2.describe_instances()["Reservations"]
    return {one["InstanceId"]: one["State"]["Name"] for each in found for one in each["Instances"]}


def tags(ec2: Any) -> list[str]:
    found = ec2.describe_instances()["Reservations"][0]["Instances"][0].get("Tags", ())
    return [one["Value"] for one in found]


def test_tokens_rows_limits_and_keys_are_as_they_were(dev: Plane) -> None:
    ec2, controls = dev.client(), Controls(dev.node)
    before = launched(ec2, "before")
    controls.set_limits({"vpc/*/*": 9})
    controls.save("first")
    ec2.terminate_instances(InstanceIds=[before])
    after = launched(ec2, "after")
    controls.set_limits({"vpc/*/*": None, "subnet/*/*": 1})
    new = dev.account("new")
    dev.client(keys=new).run_instances(**LAUNCH)
    controls.load("first")
    assert states(ec2) == {before: "pending"}
    assert launched(ec2, "before") == before
    assert launched(ec2, "after") != after
    assert [one.name for one in controls.limits() if not one.is_default] == ["vpc/*/*"]
    assert "new" not in {one.name for one in controls.accounts()}


def test_a_launch_that_was_under_way_goes_on(dev: Plane) -> None:
    """Its clock goes back too, so the time since then makes nothing late."""
    ec2, controls = dev.client(), Controls(dev.node)
    instance = launched(ec2, "a")
    controls.advance(timedelta(minutes=50))
    at = controls.freeze().now
    controls.save("booting")
    controls.resume()
    controls.advance(DAY)
    assert states(ec2) == {instance: "running"}
    ec2.terminate_instances(InstanceIds=[instance])
    controls.advance(DAY)
    assert states(ec2) == {}
    for _ in range(2):
        controls.load("booting")
        told = controls.clock()
        assert (told.now, told.stands) == (at, True)
        assert states(ec2) == {instance: "pending"}
        controls.advance(timedelta(minutes=15))
        assert states(ec2) == {instance: "running"}
        assert launched(ec2, "a") == instance


def test_versions_that_are_made_a_second_time_show_what_is_there(dev: Plane) -> None:
    """Answers are kept by the versions of rows, of which the same come again after a load."""
    ec2, controls = dev.client(), Controls(dev.node)
    instance = launched(ec2, "a")
    # All that changes the instance is done but its boot.
    controls.advance(timedelta(minutes=1))
    controls.freeze()
    controls.save("plain")
    for value in ("one", "two", "three"):
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "k", "Value": value}])
        assert tags(ec2) == tags(ec2) == [value]
        controls.load("plain")
        assert tags(ec2) == []


def test_regions_of_later_have_their_default_vpc(dev: Plane) -> None:
    ec2, controls = dev.client(region="eu-west-1"), Controls(dev.node)
    controls.save("empty")
    for token in ("a", "b"):
        instance = launched(ec2, token)
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        subnets = {one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
        assert found["SubnetId"] in subnets
        controls.load("empty")
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            ec2.describe_instances(InstanceIds=[instance])


def test_owners_of_before_are_former_owners_at_every_service(tmp_path: Path) -> None:
    with running_plane(
        tmp_path, dev=True, runners=0, database=new_database(tmp_path, "sqlite")
    ) as plane:
        controls = Controls(plane.node)
        kept = launched(plane.client(), "kept")
        controls.save("queued")
        gone = launched(plane.client(), "gone")
        for _ in range(3):
            plane.run(work.break_leases)
            owned = plane.run(lambda tx: turns.lease(tx, 8))
        assert {one.instance for one in owned} == {kept, gone}
        controls.load("queued")
        for service in SERVICES:
            calls = [
                StepCall(
                    one.instance, one.account, one.region, one.zone, one.generation,
                    f"{one.instance}:late", one.spec,
                )
                for one in owned
            ]  # fmt: skip
            for verb in (Verb.CLOSE, Verb.ENSURE):
                fates = plane.node.services[service].call_many(verb, calls)
                assert all(isinstance(one, StaleOwner) for one in fates), (service, verb, fates)
        driver = SimulatedMachines(plane.store)
        spec = {"power": "on", "region": "us-east-1"}
        wanted = [Wanted(one.instance, one.generation, spec) for one in owned]
        assert all(isinstance(one, StaleOwner) for one in driver.ensure_many(wanted))
        [next_owned] = plane.run(lambda tx: turns.lease(tx, 8))
        assert next_owned.instance == kept
        assert next_owned.generation > max(one.generation for one in owned)


def test_an_instance_that_was_reset_away_comes_and_goes_with_the_snapshots(tmp_path: Path) -> None:
    """Its machine is refused to a former owner, which may be in the middle of a step all along."""
    with running_plane(
        tmp_path, dev=True, runners=0, database=new_database(tmp_path, "sqlite")
    ) as plane:
        controls, driver = Controls(plane.node), SimulatedMachines(plane.store)
        controls.save("empty")
        instance = launched(plane.client(), "a")
        [owned] = plane.run(lambda tx: turns.lease(tx, 8))
        late = Wanted(instance, owned.generation, {"power": "on", "region": "us-east-1"})
        controls.save("there")
        controls.reset()
        controls.save("gone")
        for name in ("there", "gone", "empty", "gone", "there", "empty", "empty"):
            controls.load(name)
            assert states(plane.client()) == ({instance: "pending"} if name == "there" else {})
            assert isinstance(driver.ensure_many([late])[0], StaleOwner), name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-a", "a" * 65, "a b", "a\0"])
def test_names_lead_nowhere_else(dev: Plane, name: str) -> None:
    controls = Controls(dev.node)
    for act in (controls.save, controls.load, controls.forget):
        with pytest.raises(Misconfigured, match="is no name of a snapshot"):
            act(name)


def test_a_snapshot_that_cannot_be_used_is_told_of(dev: Plane) -> None:
    controls = Controls(dev.node)
    with pytest.raises(Misconfigured, match="there is none yet"):
        controls.load("first")
    controls.save("first")
    with pytest.raises(Misconfigured, match="already"):
        controls.save("first")
    with pytest.raises(Misconfigured, match="Did you mean first"):
        controls.load("frist")
    sealing_keys.rekey(Opened(dev.node.settings.database, dev.store))
    with pytest.raises(Misconfigured, match="sealed with a key which is not here"):
        controls.load("first")
    database = dev.node.settings.database.file
    assert database is not None
    saved.file_of(database, "broken").write_bytes(b"no database" * 100)
    with pytest.raises(Misconfigured, match="cannot be read"):
        controls.load("broken")
    assert controls.saved() == ["broken", "first"]


def test_postgresql_refuses_in_a_sentence(tmp_path: Path) -> None:
    database = new_database(tmp_path, "postgresql")
    with running_plane(tmp_path, dev=True, database=database) as plane:
        told = call(plane.url, "POST", "/snapshots/save", {"name": "first"})
        assert (told.status, "snapshots are of SQLite files alone" in told.said["error"]) == (
            400,
            True,
        )


def test_the_commands_order_the_running_server(dev: Plane) -> None:
    database = dev.node.settings.database
    assert database.file is not None
    database.file.with_name(f"{database.file.name}-node").write_text(dev.url)

    def said(*order: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, [*order, "--database", database.url])
        assert done.exit_code == status, done.output
        return done.output

    instance = launched(dev.client(), "a")
    assert said("snapshot", "save", "one") == "saved one\n"
    assert said("reset", "tests") == "tests has nothing any more\n"
    assert states(dev.client()) == {}
    assert said("snapshot", "list") == "one\n"
    assert said("snapshot", "load", "one") == "loaded one\n"
    assert states(dev.client()) == {instance: "pending"}
    assert said("snapshot", "delete", "one") == "deleted one\n"
    assert "is no name" in said("snapshot", "load", "../one", status=1)
    assert said("reset") == "every account has nothing any more\n"
    assert states(dev.client()) == {}
