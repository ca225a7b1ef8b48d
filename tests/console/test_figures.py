"""Figures tell what happened between two tellings, and nothing of what was before."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sametoken.console.figures import Figures
from sametoken.counts import Told
from sametoken.server.counts import LATENCY_BOUNDS, REQUEST_SECONDS, REQUESTS

# Ends of the buckets that are used here; they begin at 5, 50 and 500 ms.
_PLACES = (0.01, 0.1, 1.0)


def told(requests: Mapping[tuple[str, str, str], float], *took: float) -> Told:
    """Return a telling; `took` has the number of each bucket."""
    buckets = [0.0] * (len(LATENCY_BOUNDS) + 1)
    for bound, count in zip((*_PLACES, None), took, strict=False):
        buckets[-1 if bound is None else LATENCY_BOUNDS.index(bound)] = count
    seconds: dict[tuple[str, ...], list[float]] = {("RunInstances",): [*buckets, 99.0]}
    asked: dict[tuple[str, ...], list[float]] = {key: [count] for key, count in requests.items()}
    return {REQUESTS.name: asked, REQUEST_SECONDS.name: seconds if took else {}}


def test_of_the_first_telling_there_is_no_rate() -> None:
    found = Figures().since_last(told({("RunInstances", "new", ""): 7}, 7, 0, 0, 0), 10)
    assert found == {"heard": 7}


def test_rates_are_of_the_span_alone() -> None:
    spans = Figures()
    first = {("RunInstances", "new", ""): 100, ("RunInstances", "replay", ""): 5}
    spans.since_last(told(first), 10)
    then = first | {
        ("RunInstances", "replay", ""): 9,
        ("RunInstances", "mismatch", "IdempotentParameterMismatch"): 2,
        ("DescribeVpcs", "refused", "RequestLimitExceeded"): 1,
        ("DescribeVpcs", "read", ""): 3,
    }
    found = spans.since_last(told(then), 12)
    assert found == {
        "heard": 115, "requests": 5.0, "refused": 1.5, "replays": 2.0, "mismatches": 1.0,
        "median": None, "slow": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("took", "median", "slow"),
    [
        ((10, 0, 0, 0), 7.5, 9.75),
        ((0, 10, 0, 0), 75.0, 97.5),
        ((5, 5, 0, 0), 10.0, 95.0),
        ((0, 0, 0, 10), 20_000.0, 20_000.0),
    ],
)
def test_durations_are_told_from_buckets(
    took: tuple[float, ...], median: float, slow: float
) -> None:
    spans = Figures()
    spans.since_last(told({}, 1000, 1000, 1000, 1000), 1)
    found = spans.since_last(told({}, *(one + 1000 for one in took)), 2)
    assert (found["median"], found["slow"]) == (median, slow)


def test_a_node_that_had_counted_nothing_yet_counts_from_there() -> None:
    spans = Figures()
    spans.since_last({}, 1)
    found = spans.since_last(told({("RunInstances", "new", ""): 4}, 4, 0, 0, 0), 3)
    assert (found["requests"], found["median"]) == (2.0, 7.5)
