"""Retention of tokens: as long as the resources that a token made, and a day more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sametoken.idempotency import RETENTION, Attempt, sql_engine
from sametoken.store.port import Store
from store.creating import CAPACITY, CREATE, CREATE_NOTHING_KEPT, Caller, call, refusing
from store.stores import together
from store.worlds import SetWorld

MOMENT = timedelta(microseconds=1)


@pytest.fixture
def caller(store: Store) -> Caller:
    return Caller(store)


def is_forgotten(caller: Caller, token: str = "token") -> bool:
    caller.sweep()
    return caller.find(token) is None


def test_a_token_is_remembered_as_long_as_what_it_made_lives(
    caller: Caller, world: SetWorld
) -> None:
    id = caller.create(call(P=1))
    for _ in range(5):
        world.pass_time(timedelta(days=365))
        assert not is_forgotten(caller)
    assert caller.create(call(P=1)) == id


def test_a_token_is_remembered_for_24_hours_after_the_end_and_then_forgotten(
    caller: Caller, world: SetWorld
) -> None:
    id = caller.create(call(P=1))
    world.pass_time(timedelta(days=10))
    caller.end(id)
    world.pass_time(RETENTION - MOMENT)
    assert not is_forgotten(caller)
    assert caller.create(call(P=1)) == id
    world.pass_time(MOMENT)
    assert is_forgotten(caller)
    assert set(caller.rows_kept().values()) == {0}


def test_a_forgotten_token_is_a_new_one(caller: Caller, world: SetWorld) -> None:
    id = caller.create(call(P=1))
    caller.end(id)
    world.pass_time(RETENTION)
    caller.sweep()
    answer = caller.ask(call(P=2))
    assert answer.attempt is Attempt.NEW
    assert answer.get()["id"] != id


def test_until_the_sweep_comes_a_token_past_its_time_is_still_remembered(
    caller: Caller, world: SetWorld
) -> None:
    id = caller.create(call(P=1))
    caller.end(id)
    world.pass_time(10 * RETENTION)
    assert caller.create(call(P=1)) == id


def test_retention_counts_from_the_last_end_of_several(caller: Caller, world: SetWorld) -> None:
    one = caller.create(call(zone="a", Zone="a"))
    two = caller.create(call(zone="b", Zone="b"))
    caller.end(one)
    world.pass_time(5 * RETENTION)
    assert not is_forgotten(caller)
    caller.end(two)
    world.pass_time(RETENTION - MOMENT)
    assert not is_forgotten(caller)
    world.pass_time(MOMENT)
    assert is_forgotten(caller)


def test_being_told_of_an_end_again_does_not_count_it_anew(caller: Caller, world: SetWorld) -> None:
    id = caller.create(call(P=1))
    caller.end(id)
    world.pass_time(RETENTION - MOMENT)
    caller.end(id)
    world.pass_time(MOMENT)
    assert is_forgotten(caller)


def test_the_end_of_what_no_token_made_is_nobodys_concern(caller: Caller) -> None:
    id = caller.create(call(None))
    caller.end(id, "note-unknown")
    caller.end()


def test_a_new_zone_keeps_a_token_whose_first_zone_has_ended(
    caller: Caller, world: SetWorld
) -> None:
    caller.end(caller.create(call(zone="a", Zone="a")))
    world.pass_time(RETENTION - MOMENT)
    caller.create(call(zone="b", Zone="b"))
    world.pass_time(5 * RETENTION)
    assert not is_forgotten(caller)


def test_an_entry_that_made_no_resource_lives_24_hours(caller: Caller, world: SetWorld) -> None:
    id = caller.create(call(P=1), CREATE_NOTHING_KEPT)
    world.pass_time(RETENTION - MOMENT)
    assert not is_forgotten(caller)
    assert caller.create(call(P=1), CREATE_NOTHING_KEPT) == id
    world.pass_time(MOMENT)
    assert is_forgotten(caller)


def test_a_failed_token_lives_24_hours_after_its_last_attempt(
    caller: Caller, world: SetWorld
) -> None:
    for _ in range(3):
        caller.ask(call(P=1), refusing(CAPACITY))
        world.pass_time(RETENTION - MOMENT)
        assert not is_forgotten(caller)
    world.pass_time(MOMENT)
    assert is_forgotten(caller)


def test_a_failed_token_that_settles_without_a_resource_lives_24_hours_from_then(
    caller: Caller, world: SetWorld
) -> None:
    caller.ask(call(P=1), refusing(CAPACITY))
    world.pass_time(RETENTION - MOMENT)
    caller.create(call(P=1), CREATE_NOTHING_KEPT)
    world.pass_time(RETENTION - MOMENT)
    assert not is_forgotten(caller)
    world.pass_time(MOMENT)
    assert is_forgotten(caller)


def test_a_failure_in_another_zone_does_not_shorten_the_life_of_what_lives(
    caller: Caller, world: SetWorld
) -> None:
    id = caller.create(call(zone="a", Zone="a"))
    caller.ask(call(zone="b", Zone="b"), refusing(CAPACITY))
    world.pass_time(5 * RETENTION)
    assert not is_forgotten(caller)
    assert caller.create(call(zone="a", Zone="a")) == id


def test_a_mismatch_and_a_replay_do_not_prolong_a_token(caller: Caller, world: SetWorld) -> None:
    caller.create(call(P=1), CREATE_NOTHING_KEPT)
    world.pass_time(RETENTION - MOMENT)
    caller.ask(call(P=2))
    caller.ask(call(P=1), CREATE_NOTHING_KEPT)
    world.pass_time(MOMENT)
    assert is_forgotten(caller)


def test_tokens_of_an_engine_with_a_retention_of_its_own_are_kept_so_long(
    caller: Caller, world: SetWorld
) -> None:
    """An entry knows its own retention, so that any engine may note the end."""
    short, long = (
        replace(caller, engine=sql_engine(b"key", retention=time))
        for time in (timedelta(seconds=90), 2 * RETENTION)
    )
    kept = {"lives": CREATE, "made nothing": CREATE_NOTHING_KEPT, "failed": refusing(CAPACITY)}
    for engine, one in (("short", short), ("long", long)):
        for name, operation in kept.items():
            one.ask(call(f"{engine} {name}"), operation)
        caller.end(one.ask(call(f"{engine} lives")).get()["id"])

    def retained() -> set[str]:
        caller.sweep()
        names = [f"{engine} {name}" for engine in ("short", "long") for name in kept]
        return {name.split()[0] for name in names if caller.find(name) is not None}

    world.pass_time(timedelta(seconds=90) - MOMENT)
    assert retained() == {"short", "long"}
    world.pass_time(MOMENT)
    assert retained() == {"long"}
    world.pass_time(2 * RETENTION - timedelta(seconds=90) - MOMENT)
    assert retained() == {"long"}
    world.pass_time(MOMENT)
    assert retained() == set()


def test_a_sweep_takes_a_bounded_part_the_longest_expired_first(
    caller: Caller, world: SetWorld
) -> None:
    for number in range(5):
        caller.create(call(f"t{number}", P=1), CREATE_NOTHING_KEPT)
        world.pass_time(MOMENT)
    world.pass_time(2 * RETENTION)
    assert caller.sweep(limit=2) == 2
    assert [caller.find(f"t{number}") is None for number in range(5)] == [True, True] + 3 * [False]
    assert [caller.sweep(limit=2) for _ in range(3)] == [2, 1, 0]


def test_a_sweep_never_races_a_replay(caller: Caller, world: SetWorld) -> None:
    """In any order, a repeat names the note that its entry names, or makes a new one."""
    for _ in range(10):
        world.pass_time(2 * RETENTION)

        def act(number: int) -> str:
            if number % 4 == 0:
                caller.sweep()
                return ""
            return caller.create(call(P=1), CREATE_NOTHING_KEPT)

        answers = together(8, act)
        assert all(isinstance(answer, str) for answer in answers), answers
        assert set(map(str, answers)) - {""} <= set(caller.notes())
        entry = caller.find()
        last = caller.create(call(P=1), CREATE_NOTHING_KEPT)
        # The entry is None if the last sweep came after the last repeat and removed it.
        if entry is not None:
            assert entry.outcomes[0].identities is not None
            assert last == entry.outcomes[0].identities["id"]
        assert caller.rows_kept()["idempotency_entry"] == 1
    assert len(caller.notes()) <= 11
