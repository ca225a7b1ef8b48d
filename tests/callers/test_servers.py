"""Servers for the suites of others: what they start, leave behind, tell and assert."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError, HTTPClientError

from clients.process import environment, until
from plane import LAUNCH
from sametoken.errors import Misconfigured
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.compute.placements import PLACEMENT
from sametoken.resources.kit import rows
from sametoken.resources.storage.volumes import VOLUME
from sametoken.services.simulated_machines import MACHINE
from sametoken.store.port import Tx
from sametoken.testing import Account, Server, beside, running


def is_there(pid: int) -> bool:
    """Is there a process of that id, which is not dead and only waits to be looked at?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("sametoken-*")}


@pytest.fixture
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.usefixtures("own_temporary_folder")
def test_a_server_leaves_neither_thread_nor_file() -> None:
    before = set(threading.enumerate())
    with running() as server:
        server.account().client().run_instances(**LAUNCH)
        assert folders()
    assert set(threading.enumerate()) == before
    assert not folders()


@pytest.mark.usefixtures("own_temporary_folder")
def test_folders_of_the_dead_are_removed_and_no_others() -> None:
    temporary = Path(tempfile.gettempdir())
    for name in ("sametoken-dead", "sametoken-of-others", "of-others"):
        (temporary / name / "deep").mkdir(parents=True)
    for name in ("sametoken-dead", "of-others"):
        (temporary / name / "held").touch()
    (temporary / "sametoken-link").symlink_to(temporary / "of-others")
    with running() as server:
        assert not (temporary / "sametoken-dead").exists()
        before = folders()
        with running():
            assert before < folders(), "another's start leaves alone what is held"
        server.account().client().run_instances(**LAUNCH)
    assert folders() == {"sametoken-of-others", "sametoken-link"}
    assert (temporary / "of-others" / "held").exists()


def test_accounts_see_nothing_of_each_other(public_server: Server) -> None:
    one, other = public_server.account(), public_server.account()
    assert one.id != other.id
    one.client().run_instances(**LAUNCH, ClientToken="equal")
    other.assert_one_set(instances=0)
    other.client().run_instances(**LAUNCH, ClientToken="equal")
    one.assert_one_set()
    other.assert_one_set()


def test_an_account_by_name_is_the_same_with_another_key(public_server: Server) -> None:
    one, again = public_server.account("shop"), public_server.account("shop")
    assert one.id == again.id
    assert one.access_key_id != again.access_key_id
    assert one.secret_access_key not in repr(one)


def test_a_subprocess_has_the_account_and_nothing_of_the_user_s(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of the user's")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the user's")
    asked = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    done = subprocess.run(
        [sys.executable, "-c", asked], env=account.environment(), capture_output=True, text=True
    )
    assert done.stdout.strip() == account.id, done.stderr


def test_a_story_tells_every_attempt(account: Account) -> None:
    ec2 = account.client()
    ec2.run_instances(**LAUNCH, ClientToken="t")
    ec2.run_instances(**LAUNCH, ClientToken="t")
    with pytest.raises(ClientError):
        ec2.run_instances(**{**LAUNCH, "InstanceType": "m5.large"}, ClientToken="t")
    [story] = account.story("t")
    assert [one.outcome for one in story.attempts] == ["new", "replay", "mismatch"]
    with pytest.raises(Misconfigured):
        account.story("another")


def test_limits_hold_for_a_block(account: Account) -> None:
    ec2 = account.client(config=one_attempt())
    with account.limits() as limits:
        limits.capacity("*", "t3.micro", 0)
        limits.quota("vpc", 1)
        with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
            ec2.run_instances(**LAUNCH, ClientToken="t")
        with pytest.raises(ClientError, match="VpcLimitExceeded"):
            ec2.create_vpc(CidrBlock="10.0.0.0/16")
        with pytest.raises(Misconfigured, match="no zone"):
            limits.capacity("nowhere", "t3.micro", 0)
    ec2.run_instances(**LAUNCH, ClientToken="t")
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    account.assert_one_set(vpcs=2)


@pytest.mark.parametrize("maximum", ["none", -5, 1.0, True, None, 2**31])
def test_a_maximum_that_is_none_is_refused_and_launches_go_on(
    account: Account, maximum: Any
) -> None:
    with account.limits() as limits:
        with pytest.raises(Misconfigured, match="give a whole number, from 0 to"):
            limits.capacity("us-east-1a", "t3.micro", maximum)
        with pytest.raises(Misconfigured, match="give a whole number, from 0 to"):
            limits.quota("vpc", maximum)
        zone = {"AvailabilityZone": "us-east-1a"}
        account.client().run_instances(**LAUNCH, Placement=zone, ClientToken="t")
    account.assert_one_set()


def test_a_block_of_limits_gives_back_what_held_before_it(account: Account) -> None:
    ec2 = account.client(config=one_attempt())
    with account.limits() as outer:
        outer.quota("vpc", 1)
        with account.limits() as inner:
            inner.quota("vpc", 3)
            inner.quota("vpc", 2)
            ec2.create_vpc(CidrBlock="10.0.0.0/16")
        with pytest.raises(ClientError, match="VpcLimitExceeded"):
            ec2.create_vpc(CidrBlock="10.0.0.0/16")
    ec2.create_vpc(CidrBlock="10.0.0.0/16")


def test_a_reset_is_also_of_what_faults_know(account: Account) -> None:
    ec2 = account.client(config=one_attempt())
    with account.faults() as faults:
        faults.add("error", code="VpcLimitExceeded", action="CreateVolume", attempt=1)
        for _ in range(2):
            with pytest.raises(ClientError, match="VpcLimitExceeded"):
                ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="t")
            account.reset()


def one_attempt() -> Any:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1})


def test_the_message_lists_what_is_too_much_with_its_token(account: Account) -> None:
    ec2 = account.client()
    made = [
        ec2.run_instances(**LAUNCH, ClientToken=token)["Instances"][0]["InstanceId"]
        for token in ("a", "b")
    ]
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="v")["VolumeId"]
    with pytest.raises(AssertionError) as told:
        account.assert_one_set(key_pairs=1)
    lines = str(told.value).splitlines()
    assert lines[0] == f"account {account.id} does not hold what it should:"
    assert lines[1] == "- instances: 2, and not 1"
    assert {line.split()[0] for line in lines[2:4]} == set(made)
    assert all("running, us-east-1, token " in line for line in lines[2:4])
    assert lines[4] == "- volumes that no instance has: 1, and not 0"
    assert lines[5].split()[0] == volume
    assert lines[6] == "- key pairs that no instance has: 0, and not 1"
    account.assert_one_set(2, volumes=1)


def test_a_kind_that_there_is_not_is_named(account: Account) -> None:
    with pytest.raises(Misconfigured, match="volums"):
        account.assert_one_set(instances=0, volums=1)


def damaged(account: Account, damage: Any) -> str:
    """Launch, spoil the rows behind the server's back, and return what is said of it."""
    ec2 = account.client()
    [one] = ec2.run_instances(**LAUNCH)["Instances"]
    account.assert_one_set()
    account.server.here.store.run(lambda tx: damage(tx, one["InstanceId"]))
    with pytest.raises(AssertionError) as told:
        account.assert_one_set(instances=0, patience_seconds=0.0)
    return str(told.value)


def end(tx: Tx, instance: str) -> None:
    """End an instance's row alone, as no workflow does."""
    tx.execute(
        sa.update(rows.RESOURCE)
        .where(rows.RESOURCE.c.id == instance)
        .values(state="terminated", gone_at=tx.now)
    )


def test_what_an_ended_instance_leaves_behind_is_listed(account: Account) -> None:
    told = damaged(account, end)
    assert f"- {INSTANCE.name}s" not in told
    for part in (VOLUME.name, "network-interface", PLACEMENT.name, "the machine of"):
        assert part in told
    assert told.count("which has ended") == 3


def test_a_machine_that_runs_for_nobody_is_listed(account: Account) -> None:
    def damage(tx: Tx, instance: str) -> None:
        tx.execute(sa.update(MACHINE).where(MACHINE.c.instance == instance).values(state="running"))

    ec2 = account.client()
    [one] = ec2.run_instances(**LAUNCH)["Instances"]
    ec2.terminate_instances(InstanceIds=[one["InstanceId"]])
    account.assert_one_set(instances=0)
    account.server.here.store.run(lambda tx: damage(tx, one["InstanceId"]))
    with pytest.raises(AssertionError, match="the machine of"):
        account.assert_one_set(instances=0)


def test_a_launch_that_is_not_done_in_time_is_told_with_its_step() -> None:
    with running(boot_seconds=3600.0) as server:
        account = server.account()
        account.client().run_instances(**LAUNCH)
        with pytest.raises(AssertionError, match=r"not done yet: i-\w+ is at .* of its launch"):
            account.assert_one_set(patience_seconds=0.0)


def test_a_server_beside_may_be_killed_and_has_everything_when_it_starts_again() -> None:
    with beside() as server:
        account = server.account()
        made = account.client().run_instances(**LAUNCH, ClientToken="t")
        account.assert_one_set()
        server.kill()
        server.start()
        again = account.client().run_instances(**LAUNCH, ClientToken="t")
        assert made["ReservationId"] == again["ReservationId"]
        account.assert_one_set()


def test_a_block_of_faults_ends_well_though_its_server_has_died() -> None:
    with beside() as server:
        account = server.account()
        ec2 = account.client(config=one_attempt())
        with account.faults() as faults, server.clock() as clock:
            clock.freeze()
            faults.add("lose-reply", action="RunInstances")
            with pytest.raises(HTTPClientError):
                ec2.run_instances(**LAUNCH, ClientToken="t")
            os.kill(server.pid, signal.SIGKILL)
            until(lambda: not server.control.runs, "the server is killed")
        server.start()
        with server.clock() as clock:
            clock.resume()
        ec2.run_instances(**LAUNCH, ClientToken="t")
        account.assert_one_set()


def test_a_launch_that_fails_to_boot_leaves_nothing_behind(account: Account) -> None:
    with account.faults() as faults:
        name = faults.add("boot-fails", times=1)
        account.client().run_instances(**LAUNCH, ClientToken="t")
        account.assert_one_set(instances=0)
        assert faults.fired(name) == 1
    account.client().run_instances(**LAUNCH, ClientToken="another")
    account.assert_one_set()


def test_a_server_beside_that_a_fault_kills_is_started_again_with_one_instance() -> None:
    with beside() as server:
        account = server.account()
        ec2 = account.client(config=one_attempt())
        with account.faults() as faults:
            faults.add("kill", point="step.volumes-called")
            ec2.run_instances(**LAUNCH, ClientToken="t")
            until(lambda: not server.control.runs, "the server is killed")
        server.start()
        ec2.run_instances(**LAUNCH, ClientToken="t")
        account.assert_one_set()


# Where a shell runs all of this in the background, SIGINT is ignored from the start.
_HOLDS = """
import signal, sys
from sametoken.testing import beside

signal.signal(signal.SIGINT, signal.default_int_handler)
with beside() as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with a server beside it, and that server's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS], env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    server = 0
    try:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        yield process, server
    finally:
        process.kill()
        process.communicate()
        if server and is_there(server):
            os.kill(server, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the process in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_server_beside_ends_with_its_process_however_that_ends(number: signal.Signals) -> None:
    with holder() as (process, server):
        assert is_there(server)
        process.send_signal(number)
        process.wait(60)
        until(lambda: not is_there(server), "the server ends with its parent")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    from sametoken.testing.server_process import ServerProcess

    log = tmp_path / "log"
    with pytest.raises(Misconfigured, match="nosuch"):
        ServerProcess(["--database", "nosuch://x"], log).start()
    gc.collect()
