"""Launches while an account's earlier ones wait for too long: refused, and no token is bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from ec2.asking import drive, hand_runner, launch, refusal
from plane import LAUNCH, Plane, running_plane
from sametoken.ec2.protocol import refusals
from sametoken.workflow.backlog import LAG_SECONDS_MAX


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Plane]:
    """Yield a plane without runners: its work waits until a test drives it."""
    with running_plane(tmp_path, runners=0) as running:
        yield running


@contextmanager
def late(plane: Plane) -> Iterator[None]:
    """Leave work behind for too long: a runner leases one of two launches, and time passes."""
    client = plane.client()
    for number in range(2):
        launch(client, ClientToken=f"waits-{number}")
    plane.advance(timedelta(seconds=LAG_SECONDS_MAX + 1))
    runner = hand_runner(plane)
    runner.leased_max = 1
    assert runner.run_once(), "something is due"
    yield
    drive(plane)


def test_a_launch_is_a_503_while_others_wait_and_is_made_by_its_token_afterwards(
    still: Plane,
) -> None:
    client = still.client()
    asked = {**LAUNCH, "ClientToken": "refused"}
    with late(still):
        refused = refusal(client.run_instances, **asked)
        assert (refused.status, refused.code) == (503, refusals.unavailable().code)
        other = {**asked, "InstanceType": "t3.small"}
        assert refusal(client.run_instances, **other).status == 503
    made = launch(client, ClientToken="refused", InstanceType="t3.small")
    assert made["InstanceType"] == "t3.small", "the refusals had not bound the token"


def test_a_repeat_is_answered_and_other_changes_are_made_while_launches_wait(
    still: Plane,
) -> None:
    client = still.client()
    id = launch(client, ClientToken="before")["InstanceId"]
    drive(still)
    with late(still):
        assert launch(client, ClientToken="before")["InstanceId"] == id
        client.create_tags(Resources=[id], Tags=[{"Key": "a", "Value": "b"}])
        client.stop_instances(InstanceIds=[id])


def test_a_start_is_refused_as_a_launch_is_unless_there_is_nothing_to_start(still: Plane) -> None:
    client = still.client()
    stopped, runs = (launch(client)["InstanceId"] for _ in range(2))
    drive(still)
    client.stop_instances(InstanceIds=[stopped])
    drive(still)
    with late(still):
        assert refusal(client.start_instances, InstanceIds=[stopped]).status == 503
        client.start_instances(InstanceIds=[runs])
    client.start_instances(InstanceIds=[stopped])


def test_accounts_that_have_nothing_waiting_launch_as_ever(still: Plane) -> None:
    other = still.client(keys=still.account("quiet"))
    with late(still):
        launch(other, ClientToken="of-another-account")


def test_a_node_that_drives_nothing_refuses_nothing(still: Plane) -> None:
    client = still.client()
    for number in range(2):
        launch(client, ClientToken=f"queued-{number}")
    still.advance(timedelta(seconds=10 * LAG_SECONDS_MAX))
    launch(client, ClientToken="one-more")


def test_a_request_asks_the_backlog_once(still: Plane) -> None:
    asked: list[str] = []

    def is_late(account: str) -> bool:
        asked.append(account)
        return False

    client = still.client()
    launch(client)
    with patch.object(still.node.backlog, "is_late", is_late):
        launch(client)
    assert len(asked) == 1
