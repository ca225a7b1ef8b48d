"""Statements of a launch, from its request to its end, all go straight to the driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2.asking import drive
from plane import LAUNCH, Plane, new_database, running_plane
from sametoken.server.journal import Journal
from sametoken.store.statements import Straight


@pytest.fixture(params=["sqlite", "postgresql"])
def still(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plane]:
    with running_plane(
        tmp_path, runners=0, database=new_database(tmp_path, request.param)
    ) as plane:
        yield plane


def _live(plane: Plane, ec2: Any, token: str) -> None:
    """Launch, repeat the launch, describe it, and end it."""
    launched = [ec2.run_instances(**LAUNCH, ClientToken=token) for _ in range(2)]
    [id] = {one["Instances"][0]["InstanceId"] for one in launched}
    drive(plane)
    ec2.describe_instances(InstanceIds=[id])
    ec2.terminate_instances(InstanceIds=[id])
    drive(plane)


def test_a_launch_sends_nothing_the_ordinary_way(
    still: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Attempts are written down later, by a thread whose connection may have done so never before.
    monkeypatch.setattr(Journal, "write", lambda journal, store: None)
    ec2 = still.client()
    # Live three times first, so that each connection has executed each statement twice: a
    # statement goes straight from its second execution on.
    for number in range(3):
        _live(still, ec2, f"before-{number}")
    ordinary: list[str] = []

    def noted(name: str) -> None:
        execute = getattr(sa.Connection, name)

        def run(self: sa.Connection, statement: Any, *rest: Any, **more: Any) -> Any:
            assert isinstance(self, Straight), "a store has no other"
            ordinary.append(str(statement))
            return execute(self, statement, *rest, **more)

        monkeypatch.setattr(sa.Connection, name, run)

    noted("execute")
    noted("exec_driver_sql")
    _live(still, ec2, "measured")
    assert not ordinary
