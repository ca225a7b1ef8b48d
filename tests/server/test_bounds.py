"""Requests that wait for the store are bounded, in number and in time; beyond, they hear a 503.

Limits of the HTTP edge itself are tried in test_edge.py and test_edge_endings.py.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from ec2.asking import launch, refusal
from plane import IMAGE, LAUNCH, Plane
from sametoken import faults
from sametoken.server import pipeline, probes, writing
from sametoken.server.exchange import Exchange
from sametoken.server.probes import Facts, Probes
from sametoken.server.stages import Stage
from sametoken.store.port import Tx
from sdk import REGION, Keys
from server import hostile
from server.wire import wire

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
        patched.setattr(writing, "ANSWER_SECONDS_MAX", 0.1)
        refused = refusal(client.run_instances, **LAUNCH, ClientToken="late")
        assert (refused.code, refused.status) == ("Unavailable", 503)
    assert client.describe_instances()["Reservations"] == []
    assert launch(client, ClientToken="late")["ClientToken"] == "late"


@contextmanager
def noticed(plane: Plane) -> Iterator[threading.Event]:
    """Yield an event that is set once a request comes to its transaction."""
    come = threading.Event()

    def notice(exchange: Exchange) -> Exchange:
        come.set()
        return exchange

    stages = plane.node.app.pipeline.stages
    plane.node.app.pipeline.insert(Stage("notice", notice), before="transaction")
    try:
        yield come
    finally:
        plane.node.app.pipeline.stages = stages


def test_one_request_too_many_is_a_503_and_those_in_work_are_answered(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = plane.account("too many at once")
    client = plane.client(keys=keys)
    client.describe_instances()
    with noticed(plane) as in_work, ThreadPoolExecutor(1) as thread, held(plane, keys):
        waits = thread.submit(launch, client, ClientToken="in work")
        assert in_work.wait(SECONDS_MAX), "the launch never came to its transaction"
        monkeypatch.setattr(pipeline, "REQUESTS_MAX", 1)
        refused = refusal(client.describe_regions)
        assert (refused.code, refused.status) == ("RequestLimitExceeded", 503)
        assert not waits.done()
    id = waits.result(SECONDS_MAX)["InstanceId"]
    assert launch(client, ClientToken="in work")["InstanceId"] == id


def ask_and_go(plane: Plane, keys: Keys, has_come: Callable[[], bool]) -> None:
    """Send a launch with the token `plain`, and close the connection once it `has_come` so far."""
    to = urlsplit(plane.url)
    with wire((str(to.hostname), int(to.port or 0))) as caller:
        caller.send(hostile.launch(keys, to.netloc).as_bytes())
        assert has_come()


class Gone(logging.Handler):
    """Hears of requests that were given up."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.heard = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "outcome=gone" in record.getMessage():
            self.lines.append(record.getMessage())
            self.heard.set()


@pytest.fixture
def gone() -> Iterator[Gone]:
    handler, log = Gone(), logging.getLogger("sametoken.requests")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.setLevel(before)
    log.removeHandler(handler)


def test_a_request_whose_caller_has_gone_is_taken_back_if_it_has_not_begun(
    plane: Plane, gone: Gone
) -> None:
    keys = plane.account("goes early")
    client = plane.client(keys=keys)
    client.describe_instances()
    with noticed(plane) as queued, held(plane, keys):
        ask_and_go(plane, keys, lambda: queued.wait(SECONDS_MAX))
        assert gone.heard.wait(SECONDS_MAX), "the node never noticed"
    assert client.describe_instances()["Reservations"] == []
    [line] = gone.lines
    assert f"action=RunInstances account={keys.account} token=plain outcome=gone request=" in line


def test_a_request_whose_caller_has_gone_runs_to_its_end_if_it_has_begun(
    plane: Plane, gone: Gone
) -> None:
    keys = plane.account("goes late")
    client = plane.client(keys=keys)
    client.describe_instances()
    begun, end = threading.Event(), threading.Event()

    def stop_here(point: faults.Point) -> None:
        if point is faults.Point.ENGINE_PERFORMED and not begun.is_set():
            begun.set()
            assert end.wait(SECONDS_MAX)

    faults.install(stop_here)
    try:
        ask_and_go(plane, keys, lambda: begun.wait(SECONDS_MAX))
        assert gone.heard.wait(SECONDS_MAX), "the node never noticed"
    finally:
        end.set()
        faults.install(None)
    client.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, ClientToken="plain")
    assert len(client.describe_instances()["Reservations"]) == 1


def test_a_probe_does_not_wait_for_a_database_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "READY_SECONDS_MAX", 0.05)

    async def hang() -> Facts:
        await asyncio.Event().wait()
        return {}

    async def ask() -> tuple[int, Facts]:
        return await Probes({}, hang).probe(probes.READY)

    reason = "the database cannot be read: no answer"
    assert asyncio.run(ask()) == (503, {"status": "not ready", "reason": reason})
