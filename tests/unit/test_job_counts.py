"""Only what was committed is counted: no job that was taken back, and none that was refused."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from sametoken.errors import ServiceError
from sametoken.idempotency import Attempt
from sametoken.server.execution import Executed
from sametoken.server.job_counts import CLAIMS, COMMITTED, LAUNCHES, JobCounts

LAUNCHED: dict[str, Any] = {"Instances": [{}, {}]}


def counted(*jobs: Future[Executed]) -> dict[str, Any]:
    counts = JobCounts()
    for job in jobs:
        counts.settled("RunInstances", job)
    return {name: dict(samples) for name, samples in counts.told().items()}


def made(executed: Executed) -> Future[Executed]:
    job = Future[Executed]()
    job.set_result(executed)
    return job


def test_a_job_that_came_to_nothing_is_not_counted() -> None:
    refused, taken_back = Future[Executed](), Future[Executed]()
    refused.set_exception(ServiceError("Code", "no"))
    assert taken_back.cancel()
    assert counted(refused, taken_back) == {
        COMMITTED.name: {}, CLAIMS.name: {}, LAUNCHES.name: {(): [0]},
    }  # fmt: skip


def test_a_token_is_claimed_once_though_a_failure_comes_before_a_launch() -> None:
    error = ServiceError("InsufficientInstanceCapacity", "full", binds_token=True)
    found = counted(
        made(Executed(Attempt.FAILED, error=error, claimed=True)),
        made(Executed(Attempt.NEW, LAUNCHED)),
        made(Executed(Attempt.REPLAY, LAUNCHED)),
    )
    assert found[CLAIMS.name] == {("RunInstances",): [1]}
    assert found[LAUNCHES.name] == {(): [2]}
    assert found[COMMITTED.name] == {
        ("RunInstances", attempt): [1] for attempt in ("failed", "new", "replay")
    }
