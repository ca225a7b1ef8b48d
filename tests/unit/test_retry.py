"""Backoff within its bounds, and a budget that ends hammering."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.retry import (
    BACKOFF_BASE_SECONDS,
    BACKOFF_CAP_SECONDS,
    RetryBudget,
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


def test_a_full_budget_pays_for_a_hundred_retries_and_no_more() -> None:
    budget = RetryBudget()
    assert [budget.spend() for _ in range(101)] == [True] * 100 + [False]
    assert budget.tokens == 0


def test_five_successes_pay_for_one_retry() -> None:
    budget = RetryBudget(tokens=0)
    for _ in range(4):
        budget.succeeded()
    assert not budget.spend()
    budget.succeeded()
    assert budget.spend()
    assert not budget.spend()


def test_successes_never_fill_a_budget_above_its_capacity() -> None:
    budget = RetryBudget(capacity=10, cost=5, tokens=9)
    for _ in range(5):
        budget.succeeded()
    assert budget.tokens == 10


def test_a_refused_retry_costs_nothing() -> None:
    budget = RetryBudget(tokens=4)
    assert not budget.spend()
    assert budget.tokens == 4


@given(st.lists(st.booleans(), max_size=200))
@settings(derandomize=True)
def test_a_budget_stays_between_nothing_and_its_capacity(successes: list[bool]) -> None:
    budget = RetryBudget(capacity=20, cost=5, tokens=20)
    for success in successes:
        if success:
            budget.succeeded()
        else:
            budget.spend()
        assert 0 <= budget.tokens <= budget.capacity
