"""Many creates at once: each token has one effect, as if its call had come alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from sametoken import faults
from sametoken.errors import (
    IdempotentParameterMismatch,
    InvalidClientToken,
    ServiceError,
    Transient,
)
from sametoken.faults import Point
from sametoken.idempotency import RETENTION, Answer, Attempt, Call, Operation, Together
from sametoken.idempotency.entries import read_attempts
from sametoken.store.port import Store, Tx
from store.creating import CAPACITY, QUOTA, SCOPE, Caller, call, refusing
from store.stores import NOTE, at, together
from store.worlds import SetWorld


def _perform(tx: Tx, calls: Sequence[Call]) -> None:
    rows = [{"name": f"note-{one.client_token}", "body": "as made"} for one in calls]
    tx.execute(sa.insert(NOTE), rows)


def _identities(call: Call) -> dict[str, str]:
    return {"id": f"note-{call.client_token}"}


NAMED: Together[str] = Together(_identities, _perform, lambda tx, made: str(made["id"]))


def many(
    caller: Caller, calls: Sequence[Call], operation: Together[str] = NAMED
) -> list[Answer[str]]:
    return caller.store.run(lambda tx: caller.engine.execute_many(tx, calls, operation))


def calls(*numbers: int) -> list[Call]:
    return [call(f"t{number}", P=number, request_id=f"r-{number}") for number in numbers]


def one_of(operation: Together[str], asked: Call) -> Operation[dict[str, str]]:
    alone = operation.alone(asked)
    return Operation(alone.perform, lambda tx, made: {"id": alone.view(tx, made)})


@pytest.fixture
def caller(store: Store) -> Caller:
    return Caller(store)


def test_new_tokens_are_performed_together_and_answered_in_order(caller: Caller) -> None:
    seen: list[list[str | None]] = []

    def perform(tx: Tx, asked: Sequence[Call]) -> None:
        seen.append([one.client_token for one in asked])
        _perform(tx, asked)

    answers = many(caller, calls(3, 1, 2), replace(NAMED, perform=perform))
    assert [one.attempt for one in answers] == [Attempt.NEW] * 3
    assert [one.get() for one in answers] == ["note-t3", "note-t1", "note-t2"]
    assert seen == [["t3", "t1", "t2"]]
    assert caller.notes() == ["note-t1", "note-t2", "note-t3"]


def test_they_are_kept_as_if_each_had_come_alone(caller: Caller) -> None:
    asked = replace(call("t1", P=1, Nul="\0", Odd="\ud800", request_id="r"), zone="a")
    alone = replace(asked, client_token="t2")
    many(caller, [asked])
    caller.ask(alone, one_of(replace(NAMED, identities=lambda _: {"id": "note-t1"}), alone))
    found = [caller.find("t1"), caller.find("t2")]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].outcomes == found[1].outcomes
    assert (found[0].first_zone, found[1].first_zone) == ("a", "a")


def test_repeats_among_new_ones_replay_or_mismatch_and_are_written_down(caller: Caller) -> None:
    many(caller, calls(1, 2))
    other = call("t2", P=99, request_id="r-other")
    answers = many(caller, [*calls(3), other, *calls(1)])
    assert [one.attempt for one in answers] == [Attempt.NEW, Attempt.MISMATCH, Attempt.REPLAY]
    assert (answers[0].get(), answers[2].get()) == ("note-t3", "note-t1")
    with pytest.raises(IdempotentParameterMismatch) as refused:
        answers[1].get()
    assert refused.value.fields == ("P",)
    assert caller.notes() == ["note-t1", "note-t2", "note-t3"]

    def told(tx: Tx, token: str) -> list[tuple[int, str, str]]:
        entry = caller.engine.ledger.find(tx, SCOPE, token)
        assert entry is not None
        return [(one.number, one.attempt, one.request_id) for one in read_attempts(tx, entry)]

    assert caller.store.read(lambda tx: told(tx, "t1")) == [(2, "replay", "r-1")]
    assert caller.store.read(lambda tx: told(tx, "t2")) == [(2, "mismatch", "r-other")]
    assert caller.store.read(lambda tx: told(tx, "t3")) == []


def test_a_token_that_came_alone_is_a_repeat_in_a_batch_and_the_other_way_round(
    caller: Caller,
) -> None:
    [asked] = calls(1)
    assert caller.create(asked, one_of(NAMED, asked)) == "note-t1"
    assert [one.attempt for one in many(caller, [asked])] == [Attempt.REPLAY]
    many(caller, calls(2))
    assert caller.ask(calls(2)[0], one_of(NAMED, calls(2)[0])).attempt is Attempt.REPLAY


def test_a_failed_token_is_performed_in_a_batch_and_settles_once(caller: Caller) -> None:
    [asked] = calls(1)
    caller.ask(asked, refusing(CAPACITY))
    assert [one.attempt for one in many(caller, calls(1, 2))] == [Attempt.NEW] * 2
    assert [one.attempt for one in many(caller, calls(1, 2))] == [Attempt.REPLAY] * 2
    assert caller.notes() == ["note-t1", "note-t2"]


@pytest.mark.parametrize("refusal", [QUOTA, CAPACITY, Transient("busy")])
def test_a_refusal_of_one_leaves_nothing_of_any(caller: Caller, refusal: Exception) -> None:
    def perform(tx: Tx, asked: Sequence[Call]) -> None:
        _perform(tx, asked)
        raise refusal

    with pytest.raises(type(refusal)):
        many(caller, calls(1, 2), replace(NAMED, perform=perform))
    assert set(caller.rows_kept().values()) == {0}
    assert caller.notes() == []


def test_after_a_refusal_each_may_be_executed_alone_in_the_same_transaction(
    caller: Caller,
) -> None:
    def perform(tx: Tx, asked: Sequence[Call]) -> None:
        _perform(tx, asked)
        if any(one.client_token == "t2" for one in asked):
            raise CAPACITY

    picky = replace(NAMED, perform=perform)

    def run(tx: Tx) -> list[Attempt]:
        try:
            with tx.savepoint():
                caller.engine.execute_many(tx, calls(1, 2, 3), picky)
        except ServiceError:
            alone = calls(1, 2, 3)
            done = [caller.engine.execute_once(tx, one, picky.alone(one)) for one in alone]
            return [one.attempt for one in done]
        raise AssertionError("one of them is refused")

    assert caller.store.run(run) == [Attempt.NEW, Attempt.FAILED, Attempt.NEW]
    assert caller.notes() == ["note-t1", "note-t3"]


def test_none_at_all_sends_nothing_and_answers_nothing(caller: Caller) -> None:
    assert many(caller, []) == []


def test_an_empty_token_is_refused_before_anything_is_claimed(caller: Caller) -> None:
    with pytest.raises(InvalidClientToken, match="empty"):
        many(caller, [*calls(1), call("")])
    assert set(caller.rows_kept().values()) == {0}


@pytest.mark.parametrize("wrong", [[call(None)], [*calls(1), *calls(1)]])
def test_a_call_without_a_token_or_two_with_one_are_a_bug(
    caller: Caller, wrong: list[Call]
) -> None:
    with pytest.raises(AssertionError):
        many(caller, wrong)
    assert set(caller.rows_kept().values()) == {0}


def test_equal_tokens_of_two_scopes_in_one_batch_never_meet(caller: Caller) -> None:
    here = call("t", P=1)
    there = replace(here, scope=replace(SCOPE, account="000000000002"))
    ids = {here.scope: "a", there.scope: "b"}
    operation = replace(
        NAMED, identities=lambda one: {"id": ids[one.scope]}, perform=lambda tx, asked: None
    )
    assert [one.get() for one in many(caller, [here, there], operation)] == ["a", "b"]
    assert [one.get() for one in many(caller, [there, here], operation)] == ["b", "a"]


@pytest.mark.parametrize(
    "point", [point for point in faults.POINTS if point.value.startswith("engine.")]
)
def test_whatever_interrupts_a_batch_it_happened_whole_or_not_at_all(
    caller: Caller, point: Point
) -> None:
    def interrupt() -> None:
        raise Transient(point)

    # The token that failed before goes through all points, alone, after the others.
    caller.ask(calls(1)[0], refusing(CAPACITY))
    before = caller.rows_kept()
    with at(point, interrupt), pytest.raises(Transient):
        many(caller, calls(2, 1, 3))
    assert caller.notes() == []
    assert caller.rows_kept() == before
    assert [one.attempt for one in many(caller, calls(2, 1, 3))] == [Attempt.NEW] * 3
    assert caller.notes() == ["note-t1", "note-t2", "note-t3"]


def test_their_retention_is_that_of_entries_without_resources(
    caller: Caller, world: SetWorld
) -> None:
    many(caller, calls(1, 2))
    world.pass_time(RETENTION)
    assert caller.sweep() == 2


def test_batches_at_once_in_any_order_perform_each_token_once(caller: Caller) -> None:
    def ask(number: int) -> list[str]:
        shift = number % 5
        numbers = [*range(shift, 10), *range(shift)]
        asked = calls(*(numbers if number % 2 else reversed(numbers)))
        return sorted(one.get() for one in many(caller, asked))

    answers = together(12, ask)
    expected = [f"note-t{number}" for number in range(10)]
    assert answers == [expected] * 12
    assert caller.notes() == expected
