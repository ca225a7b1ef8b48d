"""The journal of attempts: bounded by tokens, and by attempts of each; the rest is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from sametoken.errors import Transient
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import (
    FIRST_KEPT,
    LAST_KEPT,
    Attempt,
    Kept,
    TokenKey,
    missed,
    packed,
    unpacked,
)
from sametoken.server.journal import TOKENS_MAX, WRITTEN_MAX, Journal
from sametoken.store.port import Store

ACCOUNT = "000000000001"


def key(token: str) -> TokenKey:
    return TokenKey(token, ACCOUNT, "us-east-1", "RunInstances")


def attempt(number: int) -> Attempt:
    return Attempt(number, f"request-{number}", "replay", 200, "-", 5, "north:4590")


def of(*numbers: int) -> Kept:
    kept = Kept()
    for number in numbers:
        kept = kept.and_then(attempts.of_one(attempt(number), made=False))
    return kept


class Written:
    """A store that notes what is written, until it is out of order."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.breaks_after: int | None = None

    def run(self, fn: Callable[[Any], Any]) -> None:
        if self.breaks_after is not None and len(self.batches) >= self.breaks_after:
            raise Transient("the database is busy")
        found = cast(Any, fn).keywords["found"]
        self.batches.append(len(found))


def test_of_a_storm_the_first_and_the_last_attempts_are_kept_and_the_others_counted() -> None:
    journal, count = Journal(), 10_000
    for number in range(count):
        journal.note(key("storm"), attempt(number))
    kept = journal.take()[key("storm")]
    assert [one.received_us for one in kept.first] == list(range(FIRST_KEPT))
    assert [one.received_us for one in kept.last] == list(range(count - LAST_KEPT, count))
    assert kept.left_out == count - FIRST_KEPT - LAST_KEPT
    assert kept.repeats == count
    assert journal.take() == {}


def test_attempts_of_several_nodes_are_kept_in_their_order() -> None:
    one, other = of(*range(0, 40, 2)), of(*range(1, 41, 2))
    assert one.and_then(other) == other.and_then(one)
    both = one.and_then(other)
    assert both.first[:2] == (attempt(0), attempt(1)) and both.last[-1] == attempt(39)
    assert both.left_out + len(both.first) + len(both.last) == 40


def test_an_attempt_that_is_written_again_is_told_and_counted_once() -> None:
    assert of(1, 2).and_then(of(2, 3)) == of(1, 2, 3)
    made = attempts.of_one(attempt(1)._replace(outcome="new"), made=True)
    assert made.and_then(made).and_then(of(2)).repeats == 1


def test_no_more_tokens_are_kept_than_there_may_be_and_what_is_dropped_is_counted() -> None:
    journal = Journal()
    for number in range(TOKENS_MAX + 5):
        journal.note(key(f"t{number}"), attempt(number))
    found = journal.take()
    assert len(found) <= TOKENS_MAX + 1
    lost = found.pop(missed(ACCOUNT))
    assert lost.left_out + len(found) == TOKENS_MAX + 5
    assert key(f"t{TOKENS_MAX + 4}") in found and key("t0") not in found


def test_attempts_are_written_in_small_parts_and_kept_while_that_fails() -> None:
    journal, store = Journal(), Written()
    for number in range(WRITTEN_MAX + 1):
        journal.note(key(f"t{number}"), attempt(number))
    store.breaks_after = 1
    with pytest.raises(Transient):
        journal.write(cast(Store, store))
    assert journal.news.is_set(), "the rest waits"
    store.breaks_after = None
    journal.write(cast(Store, store))
    assert store.batches == [WRITTEN_MAX, 1]
    assert not journal.news.is_set()


def test_attempts_are_read_as_they_were_written() -> None:
    told = Attempt(
        1, "request", "mismatch", 400, "IdempotentParameterMismatch", None, "north:4590",
        "an-invocation", 2, False, ["lose-reply"], {"InstanceType": '"t3.micro"', "UserData": None},
    )  # fmt: skip
    kept = Kept((told,), (attempt(2),), 7, 3)
    read = unpacked(packed(kept), 3)
    assert packed(read) == packed(kept)
    assert read.first == (told,) and (read.left_out, read.repeats) == (7, 3)
