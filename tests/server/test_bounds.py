"""Requests that wait for the store are bounded, in number and in time; beyond, they hear a 503.

Limits of the HTTP edge itself are tried in test_edge.py and test_edge_endings.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from ec2.asking import launch, refusal
from plane import LAUNCH, Plane
from sametoken.server import pipeline, pools, probes
from sametoken.server.exchange import Exchange
from sametoken.server.pipeline import Stage
from sametoken.server.probes import Probes
from sametoken.store.port import Tx
from sdk import REGION, Keys

# Only a hang takes so long.
SECONDS_MAX = 30.0


@contextmanager
def held(plane: Plane, keys: Keys) -> Iterator[None]:
    """Hold up every change of the account during the block."""
    begun, end = threading.Event(), threading.Event()

    def wait(_: Tx) -> None:
        begun.set()
        assert end.wait(SECONDS_MAX), "the block never ended"

    lane = f"{plane.client('sts', keys=keys).get_caller_identity()['Account']}/{REGION}"
    job = plane.store.submit(wait, lane=lane)
    try:
        assert begun.wait(SECONDS_MAX), "the writer never came to it"
        yield
    finally:
        end.set()
        job.result(SECONDS_MAX)


def test_a_request_whose_turn_does_not_come_is_a_503_and_never_runs(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = plane.account("waits too long")
    client = plane.client(keys=keys)
    assert client.describe_instances()["Reservations"] == []
    with monkeypatch.context() as patched, held(plane, keys):
        patched.setattr(pools, "ANSWER_SECONDS_MAX", 0.1)
        refused = refusal(client.run_instances, **LAUNCH, ClientToken="late")
        assert (refused.code, refused.status) == ("Unavailable", 503)
    assert client.describe_instances()["Reservations"] == []
    assert launch(client, ClientToken="late")["ClientToken"] == "late"


def test_one_request_too_many_is_a_503_and_those_in_work_are_answered(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = plane.account("too many at once")
    client = plane.client(keys=keys)
    client.describe_instances()
    in_work = threading.Event()

    def notice(exchange: Exchange) -> Exchange:
        in_work.set()
        return exchange

    stages = plane.node.app.pipeline.stages
    plane.node.app.pipeline.insert(Stage("notice", notice), before="transaction")
    try:
        with ThreadPoolExecutor(1) as thread, held(plane, keys):
            waits = thread.submit(launch, client, ClientToken="in work")
            assert in_work.wait(SECONDS_MAX), "the launch never came to its transaction"
            monkeypatch.setattr(pipeline, "REQUESTS_MAX", 1)
            refused = refusal(client.describe_regions)
            assert (refused.code, refused.status) == ("RequestLimitExceeded", 503)
            assert not waits.done()
    finally:
        plane.node.app.pipeline.stages = stages
    id = waits.result(SECONDS_MAX)["InstanceId"]
    assert launch(client, ClientToken="in work")["InstanceId"] == id


def test_a_probe_does_not_wait_for_a_database_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "READY_SECONDS_MAX", 0.05)

    async def ask() -> tuple[int, bytes]:
        return await Probes(asyncio.Event().wait).probe(probes.READY)

    assert asyncio.run(ask()) == (503, b"the database cannot be read\n")
