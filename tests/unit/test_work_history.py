"""The history of work: marks are read as they were written, and a long one keeps both its ends."""

from __future__ import annotations

from sametoken.workflow import history
from sametoken.workflow.history import CHARACTERS_MAX, WHY_CHARACTERS_MAX, What, cut, joined, mark

NODE, OTHER = "north:4590", "south:4590"
SECOND = 1_000


def test_marks_are_read_with_the_plan_the_lease_and_the_node_that_they_are_of() -> None:
    text = joined(
        "",
        mark(What.OWNER, 1, NODE),
        mark(What.DONE, 10, 2),
        mark(What.RETRY, 11, 3, 20, "no machine"),
        mark(What.TAKEN, 30, 2, OTHER, NODE),
        mark(What.FAILED, 31, 3, "never", "terminate"),
        mark(What.DONE, 32, 0),
        mark(What.ORDERED, 40, "stop"),
    )
    read = history.read(text)
    assert [(one.what, one.epoch, one.plan, one.generation, one.node) for one in read] == [
        (What.DONE, 0, "launch", 1, NODE),
        (What.RETRY, 0, "launch", 1, NODE),
        (What.TAKEN, 0, "launch", 2, OTHER),
        (What.FAILED, 0, "launch", 2, OTHER),
        (What.DONE, 1, "terminate", 2, OTHER),
        (What.ORDERED, 1, "terminate", 2, OTHER),
    ]
    assert [one.at_ms for one in read] == [10, 11, 30, 31, 32, 40]
    assert (read[1].until_ms, read[1].why) == (20, "no machine")
    assert (read[2].left_by, read[3].to, read[5].to) == (NODE, "terminate", "stop")


def test_a_history_is_bounded_and_its_first_and_last_marks_stay() -> None:
    text, count = joined("", mark(What.OWNER, 1, NODE)), 2_000
    for number in range(count):
        text = joined(text, mark(What.RETRY, number, 3, number + 1, f"error {number}"))
        assert len(text) <= CHARACTERS_MAX
    read = history.read(text)
    assert read[0].why == "error 0" and read[-1].why == f"error {count - 1}"
    kept = [one for one in read if one.what is What.RETRY]
    assert len(kept) + sum(one.left_out for one in read) == count
    assert {(one.plan, one.node) for one in kept} == {("launch", NODE)}


def test_after_what_was_left_out_plans_and_nodes_are_known() -> None:
    text = joined("", mark(What.OWNER, 1, NODE))
    for number in range(400):
        text = joined(
            text,
            mark(What.OWNER, number + 2, OTHER),
            mark(What.NEXT, number, "stop" if number % 2 else "start"),
        )
    read = history.read(text)
    last = read[-1]
    assert (last.plan, last.epoch, last.generation, last.node) == ("start", 399, 401, OTHER)


def test_a_long_error_is_cut() -> None:
    assert cut("short") == "short"
    assert len(cut("x" * 500)) == WHY_CHARACTERS_MAX
