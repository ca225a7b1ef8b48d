"""Backoff within its bounds, and a quota that ends hammering."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.retry import (
    BACKOFF_BASE_SECONDS,
    BACKOFF_CAP_SECONDS,
    RetryQuota,
    backoff_seconds,
)

ALMOST_ONE = 1.0 - 2**-53


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
@settings(derandomize=True)
def test_a_wait_is_never_negative_and_never_above_the_cap(attempt: int, uniform: float) -> None:
    assert 0.0 <= backoff_seconds(attempt, uniform) < BACKOFF_CAP_SECONDS


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 0.2), (2, 0.4), (3, 0.8), (7, 12.8)])
def test_the_ceiling_doubles_with_each_attempt(attempt: int, ceiling: float) -> None:
    assert backoff_seconds(attempt, 0.5) == pytest.approx(ceiling / 2)
    assert backoff_seconds(attempt, ALMOST_ONE) == pytest.approx(ceiling)


@pytest.mark.parametrize("attempt", [8, 20, 10**6])
def test_the_ceiling_stops_at_the_cap(attempt: int) -> None:
    assert backoff_seconds(attempt, ALMOST_ONE) == pytest.approx(BACKOFF_CAP_SECONDS)


def test_jitter_is_full_it_may_even_be_nothing() -> None:
    assert backoff_seconds(1, 0.0) == 0.0
    assert backoff_seconds(5, 0.0) == 0.0
    assert backoff_seconds(1, ALMOST_ONE) <= BACKOFF_BASE_SECONDS


@pytest.mark.parametrize(("attempt", "uniform"), [(0, 0.5), (-1, 0.5), (1, 1.0), (1, -0.1)])
def test_a_wait_that_makes_no_sense_is_our_bug(attempt: int, uniform: float) -> None:
    with pytest.raises(AssertionError):
        backoff_seconds(attempt, uniform)


def test_a_full_quota_pays_for_a_hundred_retries_and_no_more() -> None:
    quota = RetryQuota()
    assert [quota.spend() for _ in range(101)] == [True] * 100 + [False]
    assert quota.tokens == 0


def test_five_successes_pay_for_one_retry() -> None:
    quota = RetryQuota(tokens=0)
    for _ in range(4):
        quota.succeeded()
    assert not quota.spend()
    quota.succeeded()
    assert quota.spend()
    assert not quota.spend()


def test_successes_never_fill_a_quota_above_its_capacity() -> None:
    quota = RetryQuota(capacity=10, cost=5, tokens=9)
    for _ in range(5):
        quota.succeeded()
    assert quota.tokens == 10


def test_a_refused_retry_costs_nothing() -> None:
    quota = RetryQuota(tokens=4)
    assert not quota.spend()
    assert quota.tokens == 4


@given(st.lists(st.booleans(), max_size=200))
@settings(derandomize=True)
def test_a_quota_stays_between_nothing_and_its_capacity(successes: list[bool]) -> None:
    quota = RetryQuota(capacity=20, cost=5, tokens=20)
    for success in successes:
        if success:
            quota.succeeded()
        else:
            quota.spend()
        assert 0 <= quota.tokens <= quota.capacity
