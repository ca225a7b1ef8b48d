"""Token buckets of one node: what a caller may ask at once and per second, and their memory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from sametoken.ec2.kit.request import Request
from sametoken.errors import ServiceError, Transient
from sametoken.server import throttling
from sametoken.server.rates import Rate, resources_of
from sametoken.server.throttling import Charge, Throttle
from store.worlds import SetWorld

LAUNCHED = resources_of("RunInstances")
REQUEST = Request("1", "us-east-1", "RunInstances", {}, "a request", "AKIA", "full")


def made(rates: Mapping[str, Rate], world: SetWorld | None = None) -> Throttle:
    chosen = world or SetWorld()
    return Throttle(rates, lambda: chosen.now().timestamp())


def passed(throttle: Throttle, count: int, name: str, account: str = "1") -> int:
    """The number of `count` requests at one moment that are let through."""
    found = 0
    for _ in range(count):
        try:
            throttle.spend(account, "us-east-1", name)
            found += 1
        except ServiceError as refused:
            assert (refused.code, refused.http_status) == ("RequestLimitExceeded", 503)
    return found


def test_a_burst_passes_and_then_as_many_as_the_seconds_bring() -> None:
    world = SetWorld()
    throttle = made({"RunInstances": Rate(2.0, 5)}, world)
    assert passed(throttle, 9, "RunInstances") == 5
    world.pass_time(timedelta(seconds=1.5))
    assert passed(throttle, 9, "RunInstances") == 3
    world.pass_time(timedelta(seconds=3600.0))
    assert passed(throttle, 9, "RunInstances") == 5, "a bucket holds no more than its burst"


def test_callers_and_actions_with_rates_have_buckets_of_their_own() -> None:
    throttle = made({"RunInstances": Rate(1.0, 1), "*": Rate(1.0, 2)})
    assert passed(throttle, 2, "RunInstances") == 1
    assert passed(throttle, 2, "RunInstances", account="2") == 1
    assert passed(throttle, 3, "*") == 2
    throttle.spend("1", "eu-west-1", "*")


def test_only_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "BUCKETS_MAX", 3)
    world = SetWorld()
    throttle = made({"*": Rate(1.0, 2)}, world)
    assert passed(throttle, 1, "*", account="full again soon") == 1
    world.pass_time(timedelta(seconds=1.0))
    for account in ("a", "b", "c"):
        assert passed(throttle, 3, "*", account=account) == 2
    assert [passed(throttle, 1, "*", account=one) for one in "abc"] == [0, 0, 0]
    for number in range(10):
        assert passed(throttle, 3, "*", account=f"many-{number}") == 2
    assert len(throttle._buckets) <= 3  # the bound is on memory, which nothing else shows


def test_a_clock_that_was_set_back_leaves_a_bucket_empty_at_most() -> None:
    world = SetWorld()
    throttle = made({"*": Rate(1.0, 2)}, world)
    assert passed(throttle, 2, "*") == 2
    world.set_clock(-timedelta(days=1))
    assert passed(throttle, 1, "*") == 0
    world.pass_time(timedelta(seconds=1))
    assert passed(throttle, 2, "*") == 1


def charged(throttle: Throttle) -> Charge:
    charge = throttle.charge(REQUEST)
    assert charge is not None
    return charge


def left(throttle: Throttle) -> int:
    """How many tokens of instances there are, of five at most; takes them."""
    return passed(throttle, 5, LAUNCHED)


def test_resources_are_charged_only_where_a_bucket_bounds_them() -> None:
    assert made({"RunInstances": Rate(1.0, 1)}).charge(REQUEST) is None


def test_a_request_takes_as_many_tokens_as_it_has_resources_or_none() -> None:
    throttle = made({LAUNCHED: Rate(0.001, 5)})
    charged(throttle).take(3)
    with pytest.raises(ServiceError, match="RequestLimitExceeded"):
        charged(throttle).take(3)
    assert left(throttle) == 2


def test_a_transaction_that_runs_again_takes_its_tokens_once() -> None:
    throttle = made({LAUNCHED: Rate(0.001, 5)})
    charge = charged(throttle)
    for _ in range(4):
        charge.begin()
        charge.take(3)
    assert left(throttle) == 2


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (None, 2),
        (ServiceError("VcpuLimitExceeded", "refused"), 5),
        (AssertionError("our bug"), 5),
        (Transient("its turn came too late", ran=False), 5),
        (Transient("the commit failed"), 2),
    ],
)
def test_tokens_come_back_if_nothing_was_made_for_certain(
    error: Exception | None, kept: int
) -> None:
    throttle = made({LAUNCHED: Rate(0.001, 5)})
    charge, job = charged(throttle), Future[Any]()
    job.add_done_callback(charge.end)
    charge.take(3)
    if error is None:
        job.set_result("made")
    else:
        job.set_exception(error)
    assert left(throttle) == kept


def test_a_job_that_was_taken_back_has_taken_nothing() -> None:
    throttle = made({LAUNCHED: Rate(0.001, 5)})
    job = Future[Any]()
    job.add_done_callback(charged(throttle).end)
    assert job.cancel()
    assert left(throttle) == 5
