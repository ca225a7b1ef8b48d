"""Token buckets: the requests a caller may send at once and per second, and their memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sametoken.errors import Misconfigured, ServiceError
from sametoken.server import throttling
from sametoken.server.throttling import Rate, Throttle, read_rates
from store.worlds import SetWorld


def admitted(throttle: Throttle, count: int, action: str, account: str = "1") -> int:
    """The number of `count` requests at one moment that are let through."""
    passed = 0
    for _ in range(count):
        try:
            throttle.spend(account, "us-east-1", action)
            passed += 1
        except ServiceError as refused:
            assert (refused.code, refused.http_status) == ("RequestLimitExceeded", 503)
    return passed


def test_a_burst_passes_and_then_as_many_as_the_seconds_bring() -> None:
    world = SetWorld()
    throttle = Throttle({"RunInstances": Rate(2.0, 5)}, world)
    assert admitted(throttle, 9, "RunInstances") == 5
    world.pass_time(timedelta(seconds=1.5))
    assert admitted(throttle, 9, "RunInstances") == 3
    world.pass_time(timedelta(seconds=3600.0))
    assert admitted(throttle, 9, "RunInstances") == 5, "a bucket holds no more than its burst"


def test_callers_and_actions_with_rates_have_buckets_of_their_own() -> None:
    throttle = Throttle({"RunInstances": Rate(1.0, 1), "*": Rate(1.0, 2)}, SetWorld())
    assert admitted(throttle, 2, "RunInstances") == 1
    assert admitted(throttle, 2, "RunInstances", account="2") == 1
    assert admitted(throttle, 2, "CreateVpc") == 2
    assert admitted(throttle, 2, "CreateVolume") == 0, "all others share one"
    throttle.spend("1", "eu-west-1", "CreateVolume")


def test_nothing_is_throttled_without_a_rate() -> None:
    assert admitted(Throttle({}, SetWorld()), 1000, "RunInstances") == 1000
    named = Throttle({"CreateVpc": Rate(1.0, 1)}, SetWorld())
    assert admitted(named, 1000, "RunInstances") == 1000


def test_only_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "BUCKETS_MAX", 3)
    world = SetWorld()
    throttle = Throttle({"*": Rate(1.0, 2)}, world)
    assert admitted(throttle, 1, "CreateVpc", account="full again soon") == 1
    world.pass_time(timedelta(seconds=1.0))
    for account in ("a", "b", "c"):
        assert admitted(throttle, 3, "CreateVpc", account=account) == 2
    assert [admitted(throttle, 1, "CreateVpc", account=one) for one in "abc"] == [0, 0, 0]
    for number in range(10):
        assert admitted(throttle, 3, "CreateVpc", account=f"many-{number}") == 2
    assert len(throttle._buckets) <= 3  # the bound is on memory, which nothing else shows


def test_rates_are_read_as_an_operator_writes_them() -> None:
    rates = read_rates(["RunInstances=2:5", "*=0.5:100"])
    assert rates == {"RunInstances": Rate(2.0, 5), "*": Rate(0.5, 100)}


@pytest.mark.parametrize(
    "text", ["", "RunInstances", "RunInstances=2", "=2:5", "A=0:5", "A=1:0", "A=-1:2", "A=nan:2"]
)
def test_a_rate_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(Misconfigured, match="PER_SECOND:BURST") as refused:
        read_rates([text])
    assert repr(text) in str(refused.value)


def test_two_rates_for_one_action_are_refused() -> None:
    with pytest.raises(Misconfigured, match="two rates"):
        read_rates(["CreateVpc=1:1", "CreateVpc=2:2"])


def test_a_rate_of_an_action_that_is_not_served_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"'RunInstance' is no .* Did you mean RunInstances"):
        read_rates(["RunInstance=1:1"])
