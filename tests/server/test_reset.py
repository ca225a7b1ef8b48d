"""A reset leaves an account as if it had never called, and nothing in memory knows better."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError

from control import call
from plane import LAUNCH, Plane, everything, new_database, running_plane
from sametoken.control.controls import Controls
from sametoken.errors import Transient
from sametoken.migrations.tables import METADATA
from sametoken.operate import resetting
from sametoken.resources.kit.counters import COUNTER, LIMIT
from sametoken.resources.kit.regions import SEED
from sametoken.services import clearing
from sametoken.services.machines import Wanted
from sametoken.services.simulated_machines import MACHINE, SimulatedMachines
from sametoken.store.port import Tx
from sametoken.workflow.ports import StaleOwner
from sdk import Keys
from store.stores import DATABASES

# Tables that outlive a reset.
KEPT = {
    "account", "access_key", "sealed_setting", "schema_revision", "store_clock", "clock_leap",
    "node", "token_bucket", LIMIT.name, SEED.name,
}  # fmt: skip


@pytest.fixture(scope="module", params=DATABASES)
def dev(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("dev")
    database = new_database(folder, request.param)
    with running_plane(folder, dev=True, database=database) as running:
        yield running


@pytest.fixture
def keys(dev: Plane, request: pytest.FixtureRequest) -> Keys:
    Controls(dev.node).reset()
    return dev.account(f"of-{request.node.name}"[:64])


def launched(ec2: Any, **more: Any) -> str:
    instance: str = ec2.run_instances(**LAUNCH, **more)["Instances"][0]["InstanceId"]
    return instance


def settle(ec2: Any, instance: str) -> None:
    ec2.get_waiter("instance_running").wait(
        InstanceIds=[instance], WaiterConfig={"Delay": 0.01, "MaxAttempts": 3000}
    )


def fill(ec2: Any) -> str:
    """Make something of every table that an account has rows in."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="v")["VolumeId"]
    ec2.create_tags(Resources=[volume], Tags=[{"Key": "a", "Value": "b"}])
    ec2.allocate_address()
    ec2.create_capacity_reservation(
        InstanceType="t3.small", InstancePlatform="Linux/UNIX", InstanceCount=2,
        AvailabilityZone="us-east-1b",
    )  # fmt: skip
    launched(ec2, ClientToken="i")
    return launched(ec2, ClientToken="i")


def counts(rows: dict[str, list[str]]) -> dict[str, int]:
    """Count the rows of each table; a counter that stands at nothing is as good as none."""
    found = rows | {COUNTER.name: [row for row in rows[COUNTER.name] if not row.endswith(", 0)")]}
    return {name: len(every) for name, every in found.items()}


def test_every_table_is_cleared_or_kept() -> None:
    tables = {name for one in METADATA for name in one.tables}
    assert {one.name for one in clearing.CLEARED} == tables - KEPT


def test_an_account_is_as_new_and_others_are_as_they_were(dev: Plane, keys: Keys) -> None:
    other = dev.account("other")
    bystander, ec2 = dev.client(keys=other), dev.client(keys=keys)
    fill(bystander)
    # Let all end that goes on behind its calls, so that its rows are still.
    Controls(dev.node).advance(timedelta(minutes=1))
    dev.node.journal.write(dev.store)
    before = everything(dev.store)
    ec2.describe_vpcs()
    fresh = counts(everything(dev.store))
    settle(ec2, fill(ec2))
    assert call(dev.url, "POST", "/reset", {"account": keys.account}).status == 200
    after = everything(dev.store)
    assert counts(after) == fresh
    for name, rows in before.items():
        if name != "region_seed":
            assert set(rows) <= set(after[name]), f"{name} of another account"


def test_all_is_gone_for_everybody(dev: Plane, keys: Keys) -> None:
    ec2 = dev.client(keys=keys)
    settle(ec2, fill(ec2))
    assert call(dev.url, "POST", "/reset").status == 200
    dev.node.journal.write(dev.store)
    left = {name: rows for name, rows in everything(dev.store).items() if rows}
    # The default VPC is there, and a machine that was under way is refused to nobody.
    assert set(left) <= KEPT | {"resource", "resource_edge", "alembic_version"}
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_volumes()["Volumes"] == []
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1


def test_a_token_is_new_after_it(dev: Plane, keys: Keys) -> None:
    ec2 = dev.client(keys=keys)
    first = launched(ec2, ClientToken="t")
    Controls(dev.node).reset(keys.account)
    second = launched(ec2, ClientToken="t")
    assert first != second
    settle(ec2, second)
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=[first])


def test_what_nodes_keep_in_memory_is_read_anew(dev: Plane, keys: Keys) -> None:
    """Subnets and groups are remembered under a stamp: launches go to those that are there."""
    ec2 = dev.client(keys=keys)
    launched(ec2, ClientToken="before")
    Controls(dev.node).reset(keys.account)
    instance = launched(ec2, ClientToken="after")
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert found["SubnetId"] in {one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    assert found["VpcId"] == ec2.describe_vpcs()["Vpcs"][0]["VpcId"]


def test_capacity_and_quotas_are_given_back(dev: Plane, keys: Keys) -> None:
    ec2 = dev.client(keys=keys)
    controls = Controls(dev.node)
    name = "capacity/us-east-1c/m5.large"
    asked = {**LAUNCH, "InstanceType": "m5.large", "Placement": {"AvailabilityZone": "us-east-1c"}}
    controls.set_limits({name: 1, f"vcpus/{keys.account}/us-east-1": 2})
    for token in ("a", "b", "c"):
        instance = ec2.run_instances(**asked, ClientToken=token)["Instances"][0]["InstanceId"]
        with pytest.raises(ClientError, match=r"InsufficientInstanceCapacity|VcpuLimitExceeded"):
            ec2.run_instances(**asked)
        if token == "b":
            settle(ec2, instance)
        controls.reset(keys.account)
    controls.set_limits({name: None, f"vcpus/{keys.account}/us-east-1": None})


def test_a_call_for_a_machine_that_was_under_way_is_refused(dev: Plane, keys: Keys) -> None:
    """The runner has taken its step before the reset, and calls its driver after it."""
    with running_plane(dev.folder / "held", dev=True, runners=0) as plane:
        instance = launched(plane.client())
        Controls(plane.node).reset()
        driver = SimulatedMachines(plane.store)
        late = driver.ensure_many([Wanted(instance, 7, {"power": "on", "region": "us-east-1"})])
        assert isinstance(late[0], StaleOwner)

        def made(tx: Tx) -> int:
            running = sa.select(sa.func.count()).where(MACHINE.c.state != "absent")
            return int(tx.execute(running).scalar_one())

        assert plane.store.read(made) == 0


def test_requests_meanwhile_are_before_it_or_after_it(
    dev: Plane, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """In the end each token has one set, and nothing is left of the others that were answered."""
    controls = Controls(dev.node)

    def launch(number: int) -> str:
        return launched(dev.client(keys=keys), ClientToken=f"t{number % 4}")

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(launch, number) for number in range(24)]
        for _ in range(4):
            controls.reset(keys.account)
        answered = {one.result() for one in running}
    ec2 = dev.client(keys=keys)
    found = [one for each in ec2.describe_instances()["Reservations"] for one in each["Instances"]]
    assert {one["InstanceId"] for one in found} <= answered
    assert len({one["ClientToken"] for one in found}) == len(found)
    for one in found:
        settle(ec2, one["InstanceId"])
    assert not [one for one in caplog.messages if "our bug" in one]
    volumes = ec2.describe_volumes()["Volumes"]
    assert {one["Attachments"][0]["InstanceId"] for one in volumes} == {
        one["InstanceId"] for one in found
    }


def test_what_comes_late_is_forgotten_though_the_end_is_an_error(
    dev: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a COMMIT may be lost: it has removed all, and a late request would not know."""
    board = dev.node.faults
    during: list[int] = []

    def lost(*_: object) -> None:
        during.append(board.resets)
        raise Transient("the answer was lost", ran=True)

    monkeypatch.setattr(resetting, "reset", lost)
    with pytest.raises(Transient):
        Controls(dev.node).reset()
    assert board.was_reset("", during[0])
