"""Figures tell what happened between two tellings, and nothing of what was before."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sametoken.console.figures import Families, Samples, Spans, Told

FAMILIES = Families("asked", "took", (0.01, 0.1, 1.0))


def told(requests: Mapping[tuple[str, str, str], float], *took: float) -> Told:
    """Return a telling; `took` has the number of each bucket."""
    seconds: Samples = {("RunInstances",): [*took, 99.0]} if took else {}
    return {"asked": {labels: [count] for labels, count in requests.items()}, "took": seconds}


def test_of_the_first_telling_there_is_no_rate() -> None:
    found = Spans(FAMILIES).figures(told({("RunInstances", "new", ""): 7}, 7, 0, 0, 0), 10)
    assert found == {"heard": 7}


def test_rates_are_of_the_span_alone() -> None:
    spans = Spans(FAMILIES)
    first = {("RunInstances", "new", ""): 100, ("RunInstances", "replay", ""): 5}
    spans.figures(told(first), 10)
    then = first | {
        ("RunInstances", "replay", ""): 9,
        ("RunInstances", "mismatch", "IdempotentParameterMismatch"): 2,
        ("DescribeVpcs", "refused", "RequestLimitExceeded"): 1,
        ("DescribeVpcs", "read", ""): 3,
    }
    found = spans.figures(told(then), 12)
    assert found == {
        "heard": 115, "requests": 5.0, "refused": 1.5, "replays": 2.0, "mismatches": 1.0,
        "median": None, "slow": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("took", "median", "slow"),
    [
        ((10, 0, 0, 0), 5.0, 9.5),
        ((0, 10, 0, 0), 55.0, 95.5),
        ((5, 5, 0, 0), 10.0, 91.0),
        ((0, 0, 0, 10), 1000.0, 1000.0),
    ],
)
def test_durations_are_told_from_buckets(
    took: tuple[float, ...], median: float, slow: float
) -> None:
    spans = Spans(FAMILIES)
    spans.figures(told({}, 1000, 1000, 1000, 1000), 1)
    found = spans.figures(told({}, *(one + 1000 for one in took)), 2)
    assert (found["median"], found["slow"]) == (median, slow)


def test_a_node_that_had_counted_nothing_yet_counts_from_there() -> None:
    spans = Spans(FAMILIES)
    spans.figures({}, 1)
    found = spans.figures(told({("RunInstances", "new", ""): 4}, 4, 0, 0, 0), 3)
    assert (found["requests"], found["median"]) == (2.0, 5.0)
