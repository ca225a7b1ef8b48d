"""After a bad day the metrics agree with the database, with the faults that struck, and the log."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from clients.process import until
from ec2.asking import hand_runner
from faults.struck import due
from plane import LAUNCH, Plane, running_plane
from sametoken.counts import Told
from sametoken.faults.reading import read_rule
from sametoken.operate.faults import rules_named
from sametoken.server.fault_names import names
from sametoken.workflow import turns
from sametoken.workflow.plans import PLANS
from sdk import client

ORDERS = 24
TRIES = 20
STEPS = PLANS["launch"].steps


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("agree"), dev=True, runners=0) as running:
        yield running


def taken(plane: Plane) -> Told:
    return asyncio.run(plane.node.readings.take())


def total(told: Told, name: str, *labels: str) -> float:
    """Sum the samples whose labels have all of these values among them."""
    return sum(numbers[0] for of, numbers in told[name].items() if all(one in of for one in labels))


def rows(plane: Plane, sql: str) -> int:
    return int(plane.run(lambda tx: tx.execute(sa.text(sql)).scalar_one()))


def settle(plane: Plane) -> None:
    """Do all work, and let all time pass that it waits for."""
    runner = hand_runner(plane)
    plane.node.background.runners.append(runner)
    while True:
        while runner.run_once():
            pass
        now, due_at = plane.store.read(lambda tx: (tx.now, turns.next_due(tx)))
        if due_at is None:
            return
        plane.advance(max(due_at - now, timedelta()) + timedelta(milliseconds=1))


def orders(ec2: Any) -> None:
    """Ask for each order until it is answered; of every fourth ask once more, or for another."""
    for number in range(ORDERS):
        for _ in range(TRIES):
            try:
                ec2.run_instances(**LAUNCH, ClientToken=f"order-{number}")
            except (ClientError, ResponseParserError):
                continue
            break
        if number % 4 == 0:
            changed = {"InstanceType": "t3.small"} if number % 8 else {}
            with suppress(ClientError, ResponseParserError):
                ec2.run_instances(**LAUNCH | changed, ClientToken=f"order-{number}")


def test_after_a_bad_day_the_metrics_agree_with_rows_faults_and_log(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    caplog.set_level(logging.INFO, "sametoken")
    board, keys = plane.node.faults, plane.account("agrees")
    board.set(rules_named(["bad-day"]))
    board.add([read_rule({"kind": "crash", "point": "work.leased", "times": 1}, names(), where="")])
    orders(client(plane.url, keys, retries={}))
    until(lambda: not due(plane), "all that is late has come")
    settle(plane)
    told, standing = taken(plane), board.standing()

    fired = Counter[str]()
    for one in standing:
        fired[one.rule.kind.value] += one.fired
    assert {of[0]: numbers[0] for of, numbers in told["sametoken_faults_fired_total"].items()} == {
        kind: count for kind, count in fired.items() if count
    }
    assert fired["crash"] and fired["lose-reply"] and fired["fail-step"], "it was a bad day"
    assert total(told, "sametoken_takeovers_total") == fired["crash"]

    entries = "SELECT count(*) FROM idempotency_entry WHERE account <> 'internal'"
    assert total(told, "sametoken_claims_total") == rows(plane, entries) == ORDERS
    made = rows(plane, "SELECT count(*) FROM resource WHERE kind = 'instance'")
    assert total(told, "sametoken_launches_accepted_total") == made == ORDERS
    assert total(told, "sametoken_committed_total", "RunInstances", "new") == ORDERS
    running = "SELECT count(*) FROM resource WHERE kind = 'instance' AND state = 'running'"
    assert total(told, "sametoken_plans_total", "launch", "arrived") == rows(plane, running) == made
    assert total(told, "sametoken_steps_total", "launch", "done") == len(STEPS) * made
    assert total(told, "sametoken_steps_total", "retry") == fired["fail-step"]
    assert total(told, "sametoken_backlog_due") == 0

    lines = [one.getMessage() for one in caplog.records]
    requests = [line for line in lines if line.startswith("action=RunInstances")]
    assert total(told, "sametoken_requests_total", "RunInstances") == len(requests)
    for outcome in ("new", "replay", "mismatch", "failed", "refused", "lost"):
        logged = sum(f" outcome={outcome} " in line for line in requests)
        assert total(told, "sametoken_requests_total", "RunInstances", outcome) == logged, outcome
    events = Counter(line.split()[0] for line in "\n".join(lines).splitlines())
    assert events["fault=fired"] == fired.total()
    assert events["launch=running"] == made
    assert events["launch=retry"] == fired["fail-step"]
    assert events["launch=taken-over"] == events["launch=crashed"] == fired["crash"]
