"""Counts only grow, sums of parts tell nothing twice, and histograms put values in their places."""

from __future__ import annotations

from sametoken.counts import Count, Family, Spread, Told, Type, summed, told

ASKED = Family("asked_total", Type.COUNTER, "Asked.", ("who",))
ALL = Family("all_total", Type.COUNTER, "All.")
TOOK = Family("took_seconds", Type.HISTOGRAM, "Took.", ("who",), (1.0, 2.0))


def test_a_count_keeps_a_number_for_each_set_of_labels() -> None:
    count = Count(ASKED)
    count.add("a")
    count.add("b", by=2)
    count.add("a")
    assert told([count]) == {"asked_total": {("a",): [2], ("b",): [2]}}


def test_a_count_without_labels_is_none_before_anything_happens() -> None:
    assert told([Count(ALL), Count(ASKED)]) == {"all_total": {(): [0]}, "asked_total": {}}


def test_a_value_at_a_bound_is_within_it() -> None:
    spread = Spread(TOOK)
    for value in (0.5, 1.0, 1.5, 9.0):
        spread.note(value, "a")
    assert spread.samples() == {("a",): [2, 1, 1, 12.0]}


def test_parts_are_summed_by_labels_and_left_as_they_were() -> None:
    one: Told = {"asked_total": {("a",): [1.0]}}
    other: Told = {"asked_total": {("a",): [2.0], ("b",): [5.0]}}
    assert summed([one, other]) == {"asked_total": {("a",): [3.0], ("b",): [5.0]}}
    assert one == {"asked_total": {("a",): [1.0]}}


def test_what_was_told_does_not_change_afterwards() -> None:
    spread, count = Spread(TOOK), Count(ASKED)
    spread.note(1.0, "a")
    before = told([spread, count])
    spread.note(1.0, "a")
    count.add("a")
    assert before == {"took_seconds": {("a",): [1, 0, 0, 1.0]}, "asked_total": {}}
