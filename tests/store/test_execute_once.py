"""The engine on a store: a token has one effect, whatever happens in between."""

from __future__ import annotations

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
from sametoken.idempotency import Attempt, Made, OutcomeState, Rules, Scope
from sametoken.idempotency.entries import read_attempts
from sametoken.idempotency.tables import ATTEMPTS_KEPT, ENTRY, FIELDS_NOTED_MAX, RETAINED
from sametoken.store.port import Store, Tx
from sametoken.store.sqlite import SqliteStore
from store.creating import CAPACITY, CREATE, QUOTA, SCOPE, Caller, call, refusing
from store.stores import NOTE, at, together

ENGINE_POINTS = [point for point in faults.POINTS if point.value.startswith("engine.")]


@pytest.fixture
def caller(store: Store) -> Caller:
    return Caller(store)


def attempts(caller: Caller) -> list[tuple[int, str, str]]:
    def run(tx: Tx) -> list[tuple[int, str, str]]:
        entry = caller.engine.ledger.find(tx, SCOPE, "token")
        assert entry is not None
        return [(row.number, row.attempt, row.request_id) for row in read_attempts(tx, entry)]

    return caller.store.read(run)


# -- new and replayed ---------------------------------------------------------------------------


def test_a_repeat_makes_nothing_and_names_what_the_first_made(caller: Caller) -> None:
    first, second = caller.ask(call(P=1)), caller.ask(call(P=1))
    assert (first.attempt, second.attempt) == (Attempt.NEW, Attempt.REPLAY)
    assert first.get() == second.get()
    assert caller.notes() == [first.get()["id"]]


def test_a_replay_shows_the_current_state(caller: Caller) -> None:
    id = caller.create(call(P=1))
    caller.store.run(lambda tx: tx.execute(sa.update(NOTE).values(body="changed")))
    assert caller.ask(call(P=1)).get() == {"id": id, "body": "changed"}


def test_without_a_token_every_call_makes_something_and_leaves_no_entry(caller: Caller) -> None:
    made = {caller.create(call(None, P=1)) for _ in range(3)}
    assert len(made) == 3
    assert set(caller.rows_kept().values()) == {0}


def test_an_empty_token_is_refused_since_every_caller_would_share_it(caller: Caller) -> None:
    with pytest.raises(InvalidClientToken, match="empty"):
        caller.ask(call("", P=1))
    assert caller.notes() == []
    assert set(caller.rows_kept().values()) == {0}


@pytest.mark.parametrize(
    "other",
    [
        replace(SCOPE, account="000000000002"),
        replace(SCOPE, region="eu-west-1"),
        replace(SCOPE, action="CreateOther"),
    ],
)
def test_tokens_of_different_scopes_never_meet(caller: Caller, other: Scope) -> None:
    asked = call(P=1)
    elsewhere = replace(asked, scope=other)
    here, there = caller.create(asked), caller.create(elsewhere)
    assert here != there
    assert (caller.create(asked), caller.create(elsewhere)) == (here, there)
    assert caller.find(scope=elsewhere.scope) != caller.find()


def test_tokens_are_case_sensitive(caller: Caller) -> None:
    assert caller.create(call("token", P=1)) != caller.create(call("TOKEN", P=1))


def test_what_was_settled_is_kept_whole(caller: Caller) -> None:
    id = caller.create(call(P=1, Secret="s" * 100, request_id="r-1"))
    entry = caller.find()
    assert entry is not None
    (outcome,) = entry.outcomes
    assert (outcome.state, outcome.identities) == (OutcomeState.SETTLED, {"id": id})
    assert outcome.fingerprint.plain == {"P": "1"}
    assert outcome.fingerprint.digests.keys() == {"P", "Secret"}
    assert outcome.request_id == "r-1"
    assert outcome.recorded_at == caller.store.read(lambda tx: tx.now)


def test_one_zone_does_not_answer_for_another(caller: Caller) -> None:
    one = caller.create(call(zone="a", Zone="a"))
    two = caller.create(call(zone="b", Zone="b"))
    assert one != two
    assert caller.create(call(zone="a", Zone="a")) == one
    assert caller.create(call(zone="b", Zone="b")) == two
    with pytest.raises(IdempotentParameterMismatch):
        caller.create(call(Zone="c"))
    assert len(caller.notes()) == 2


def test_an_entry_of_an_older_release_is_compared_by_the_rules_of_then(caller: Caller) -> None:
    old, new = Rules(1), Rules(2, sets=frozenset({"Groups"}))
    id = caller.create(call(rules=(old,), Groups=["b", "a"]))
    assert caller.create(call(rules=(old, new), Groups=["b", "a"])) == id
    with pytest.raises(IdempotentParameterMismatch):
        caller.create(call(rules=(old, new), Groups=["a", "b"]))


# -- mismatch -----------------------------------------------------------------------------------


def test_other_parameters_are_refused_and_nothing_changes(caller: Caller) -> None:
    id = caller.create(call(P=1))
    answer = caller.ask(call(P=2))
    assert answer.attempt is Attempt.MISMATCH
    with pytest.raises(IdempotentParameterMismatch) as refused:
        answer.get()
    assert refused.value.fields == ("P",)
    assert caller.notes() == [id]
    assert caller.create(call(P=1)) == id


def test_a_mismatch_is_written_down_with_the_fields_that_differ(caller: Caller) -> None:
    caller.create(call(P=1, Q=1))
    caller.ask(call(P=2, Q=1, request_id="r-2"))
    assert attempts(caller) == [(2, "mismatch", "r-2")]


def test_of_very_many_differing_fields_some_are_written_down(caller: Caller) -> None:
    caller.create(call())
    many = {f"P{number:03}": 1 for number in range(200)}
    caller.ask(replace(call(), parameters=many))

    def fields(tx: Tx) -> list[str]:
        entry = caller.engine.ledger.find(tx, SCOPE, "token")
        assert entry is not None
        return list(read_attempts(tx, entry)[0].fields)

    assert caller.store.read(fields) == [f"P{number:03}" for number in range(FIELDS_NOTED_MAX)]


def test_repeats_are_kept_in_a_ring_and_counted_for_ever(caller: Caller) -> None:
    caller.create(call(P=1))
    repeats = 3 * ATTEMPTS_KEPT
    for number in range(2, 2 + repeats):
        caller.create(call(P=1, request_id=f"r-{number}"))
    kept = attempts(caller)
    assert kept == [
        (number, "replay", f"r-{number}")
        for number in range(2 + repeats - ATTEMPTS_KEPT, 2 + repeats)
    ]


# -- refused ------------------------------------------------------------------------------------


def test_a_refusal_binds_nothing(caller: Caller) -> None:
    with pytest.raises(ServiceError) as refused:
        caller.ask(call(P=1), refusing(QUOTA))
    assert refused.value is QUOTA
    assert caller.notes() == []
    assert caller.find() is None
    assert caller.ask(call(P=2)).attempt is Attempt.NEW


def test_what_could_not_be_finished_binds_nothing(caller: Caller) -> None:
    with pytest.raises(Transient):
        caller.ask(call(P=1), refusing(Transient("busy")))
    assert caller.notes() == []
    assert caller.find() is None


def test_a_capacity_failure_binds_the_token_and_makes_nothing(caller: Caller) -> None:
    answer = caller.ask(call(P=1), refusing(CAPACITY))
    assert (answer.attempt, answer.error) == (Attempt.FAILED, CAPACITY)
    assert caller.notes() == []
    entry = caller.find()
    assert entry is not None
    assert [outcome.state for outcome in entry.outcomes] == [OutcomeState.FAILED]
    with pytest.raises(IdempotentParameterMismatch):
        caller.create(call(P=2))


def test_a_failed_token_is_evaluated_anew_and_may_then_settle(caller: Caller) -> None:
    caller.ask(call(P=1), refusing(CAPACITY))
    caller.ask(call(P=1), refusing(CAPACITY))
    assert caller.notes() == []
    answer = caller.ask(call(P=1))
    assert answer.attempt is Attempt.NEW
    assert caller.create(call(P=1)) == answer.get()["id"]
    assert caller.notes() == [answer.get()["id"]]
    assert [kind for _, kind, _ in attempts(caller)] == ["failed", "new", "replay"]


def test_a_failed_token_survives_a_refusal_of_its_retry(caller: Caller) -> None:
    caller.ask(call(P=1), refusing(CAPACITY))
    with pytest.raises(ServiceError):
        caller.ask(call(P=1), refusing(QUOTA))
    with pytest.raises(IdempotentParameterMismatch):
        caller.create(call(P=2))
    assert caller.create(call(P=1)) in caller.notes()


def test_a_failure_in_one_zone_leaves_the_other_zone_settled(caller: Caller) -> None:
    made = caller.create(call(zone="a", Zone="a"))
    caller.ask(call(zone="b", Zone="b"), refusing(CAPACITY))
    assert caller.create(call(zone="a", Zone="a")) == made
    assert caller.ask(call(zone="b", Zone="b")).attempt is Attempt.NEW
    assert len(caller.notes()) == 2


# -- interrupted --------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ENGINE_POINTS)
def test_whatever_interrupts_a_create_it_happened_whole_or_not_at_all(
    caller: Caller, point: Point
) -> None:
    def interrupt() -> None:
        raise Transient(point)

    with at(point, interrupt), pytest.raises(Transient):
        caller.ask(call(P=1))
    assert caller.notes() == []
    assert set(caller.rows_kept().values()) == {0}
    id = caller.create(call(P=1))
    assert caller.create(call(P=1)) == id
    assert caller.notes() == [id]


@pytest.mark.parametrize("point", ENGINE_POINTS)
def test_whatever_interrupts_the_retry_of_a_failed_token_it_stays_bound(
    caller: Caller, point: Point
) -> None:
    def interrupt() -> None:
        raise Transient(point)

    caller.ask(call(P=1), refusing(CAPACITY))
    with at(point, interrupt), pytest.raises(Transient):
        caller.ask(call(P=1))
    assert caller.notes() == []
    with pytest.raises(IdempotentParameterMismatch):
        caller.create(call(P=2))
    assert [caller.create(call(P=1))] == caller.notes()


def test_effects_whose_claim_was_lost_are_not_committed_without_their_token(
    caller: Caller,
) -> None:
    """A `perform` that ended the transaction would leave effects that no token protects.

    Where a transaction alone writes, its claim is written after its effects.
    """

    def perform(tx: Tx) -> Made:
        made = CREATE.perform(tx)
        tx.execute(sa.delete(RETAINED))
        tx.execute(sa.delete(ENTRY))
        return Made(made.identities)

    operation = replace(CREATE, perform=perform)
    if isinstance(caller.store, SqliteStore):
        first = caller.ask(call(P=1), operation)
        assert caller.ask(call(P=1)) == replace(first, attempt=Attempt.REPLAY)
        assert len(caller.notes()) == 1
    else:
        with pytest.raises(AssertionError, match="the claimed entry is gone"):
            caller.ask(call(P=1), operation)
        assert caller.notes() == []


# -- at once ------------------------------------------------------------------------------------


def test_32_threads_with_one_token_make_one_note(caller: Caller) -> None:
    made = together(32, lambda n: caller.create(call(P=1, request_id=f"r-{n}")))
    assert len(set(map(str, made))) == 1
    assert caller.notes() == [made[0]]
    assert attempts(caller)[-1][0] == 32


def test_of_two_intents_at_once_under_one_token_one_wins_and_is_never_mixed(
    caller: Caller,
) -> None:
    answers = together(16, lambda n: caller.ask(call(P=n % 2)))
    done = [one for one in answers if not isinstance(one, Exception)]
    assert len(done) == 16
    made = {one.get()["id"] for one in done if one.error is None}
    assert len(made) == 1
    assert caller.notes() == sorted(made)
    assert sum(one.attempt is Attempt.MISMATCH for one in done) == 8


def test_retries_of_a_failed_token_at_once_settle_it_once(caller: Caller) -> None:
    caller.ask(call(P=1), refusing(CAPACITY))
    operations = [CREATE if n % 3 else refusing(CAPACITY) for n in range(12)]
    answers = together(12, lambda n: caller.ask(call(P=1), operations[n]))
    made = {
        one.get()["id"] for one in answers if not isinstance(one, Exception) and one.error is None
    }
    assert caller.notes() == sorted(made)
    assert len(made) == 1
