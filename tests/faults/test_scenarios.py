"""A good client gets through the ready scenarios: one instance for each of its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import botocore.endpoint
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from clients.process import until
from faults.struck import due, instances
from plane import LAUNCH, Plane, running_plane
from sametoken.operate.faults import rules_named
from sdk import client

# Tries of a client, beside those of its SDK.
TRIES = 20


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("scenarios"), dev=True, runners=0) as running:
        yield running


@pytest.mark.parametrize("name", ["bad-day", "failover", "flaky-network", "throttled"])
def test_a_good_client_finds_one_for_each_of_its_tokens(
    name: str, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    board, keys = plane.node.faults, plane.account(name)
    board.set(rules_named([name]))
    ec2 = client(plane.url, keys, retries={})
    made = set()
    for number in range(12):
        for _ in range(TRIES):
            try:
                launched = ec2.run_instances(**LAUNCH, ClientToken=f"order-{number}")
            except (ClientError, ResponseParserError):
                continue
            made.add(launched["Instances"][0]["InstanceId"])
            break
    assert sum(one.fired for one in board.standing()) > 3
    until(lambda: not due(plane), "all that is late has come")
    board.clear()
    assert len(made) == 12
    assert set(instances(plane, keys)) == made
