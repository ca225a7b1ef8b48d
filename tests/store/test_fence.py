"""The fence: a former owner cannot make anything, even if it was paused before its create."""

from __future__ import annotations

import pytest

from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.services import fence
from sametoken.services.fence import pass_fence
from sametoken.store.port import Store, Tx
from sametoken.workflow.ports import StaleOwner, StepCall, Verb
from store.stores import together

ID = f"i-{1:017x}"


@pytest.fixture(autouse=True)
def instance(store: Store) -> None:
    def run(tx: Tx) -> None:
        rows.insert(
            tx, [Row(ID, INSTANCE.name, "000000000001", "us-east-1", "pending", {}, tx.now)]
        )

    store.run(run)


def ask(
    store: Store, verb: Verb, generation: int, *, service: str = "volumes", instance: str = ID
) -> None:
    call = StepCall(instance, "000000000001", "us-east-1", "z", generation, "token", {})
    refused = store.run(lambda tx: pass_fence(tx, service, verb, [call]))
    if refused:
        raise refused[instance]


def is_let_through(store: Store, verb: Verb, generation: int, **of: str) -> bool:
    try:
        ask(store, verb, generation, **of)
    except StaleOwner:
        return False
    return True


def test_an_owner_may_repeat_itself_and_a_successor_overtakes_it(store: Store) -> None:
    for generation in (1, 1, 2, 2, 5):
        ask(store, Verb.ENSURE, generation)


@pytest.mark.parametrize("verb", Verb)
def test_a_lower_generation_is_refused_whatever_it_asks(store: Store, verb: Verb) -> None:
    ask(store, Verb.ENSURE, 2)
    with pytest.raises(StaleOwner, match="generation 1 is too late"):
        ask(store, verb, 1)
    ask(store, Verb.ENSURE, 2)


@pytest.mark.parametrize("generation", [1, 2, 3, 100])
def test_nothing_is_made_for_a_closed_instance_by_any_generation(
    store: Store, generation: int
) -> None:
    ask(store, Verb.CLOSE, 2)
    assert not is_let_through(store, Verb.ENSURE, generation)
    assert not is_let_through(store, Verb.HALT, generation)


def test_closing_works_where_nothing_was_made_yet(store: Store) -> None:
    """The history it prevents: an owner pauses before its first create, the launch is unwound, and
    the owner resumes."""
    ask(store, Verb.CLOSE, 2)
    assert not is_let_through(store, Verb.ENSURE, 1)


def test_a_closed_instance_lets_release_and_close_through_again_and_again(store: Store) -> None:
    ask(store, Verb.CLOSE, 2)
    for generation in (2, 2, 3):
        assert is_let_through(store, Verb.RELEASE, generation)
        assert is_let_through(store, Verb.CLOSE, generation)
    assert not is_let_through(store, Verb.RELEASE, 2)


def test_releasing_does_not_open_what_was_closed(store: Store) -> None:
    ask(store, Verb.CLOSE, 1)
    ask(store, Verb.RELEASE, 2)
    assert not is_let_through(store, Verb.ENSURE, 3)


def test_releasing_does_not_close(store: Store) -> None:
    ask(store, Verb.RELEASE, 1)
    ask(store, Verb.ENSURE, 2)


def test_each_service_has_a_door_of_its_own(store: Store) -> None:
    ask(store, Verb.CLOSE, 2, service="volumes")
    assert is_let_through(store, Verb.ENSURE, 1, service="networks")


def test_an_instance_that_is_swept_lets_nothing_through_and_is_not_remembered(
    store: Store,
) -> None:
    """The sweep removes the fence too; without it, a former owner must not be let through."""
    for verb in Verb:
        assert not is_let_through(store, verb, 100, instance=f"i-{2:017x}")
    ask(store, Verb.CLOSE, 2)
    store.run(lambda tx: fence.forget(tx, [ID]))
    ask(store, Verb.ENSURE, 1)


def test_what_is_refused_is_not_remembered(store: Store) -> None:
    ask(store, Verb.CLOSE, 2)
    assert not is_let_through(store, Verb.ENSURE, 50)
    assert is_let_through(store, Verb.RELEASE, 3)


def test_of_many_calls_those_that_may_pass_do_and_the_others_are_told(store: Store) -> None:
    """Instances 2 and 3 have a successor and a closed door; 4 was never there."""
    ids = [ID, *(f"i-{number:017x}" for number in (2, 3, 4))]

    def insert(tx: Tx) -> None:
        rows.insert(
            tx,
            [
                Row(id, INSTANCE.name, "000000000001", "us-east-1", "pending", {}, tx.now)
                for id in ids[1:3]
            ],
        )

    store.run(insert)
    ask(store, Verb.ENSURE, 5, instance=ids[1])
    ask(store, Verb.CLOSE, 1, instance=ids[2])
    calls = [StepCall(id, "000000000001", "us-east-1", "z", 3, "token", {}) for id in ids]
    refused = store.run(lambda tx: pass_fence(tx, "volumes", Verb.ENSURE, calls))
    assert set(refused) == set(ids[1:])
    assert "too late" in str(refused[ids[1]]) and "too late" in str(refused[ids[2]])
    assert "gone for good" in str(refused[ids[3]])
    assert not is_let_through(store, Verb.ENSURE, 2)
    assert is_let_through(store, Verb.ENSURE, 5, instance=ids[1])
    assert not store.run(lambda tx: pass_fence(tx, "volumes", Verb.ENSURE, []))


def test_among_many_at_once_nobody_passes_behind_a_higher_generation(store: Store) -> None:
    passed: list[int] = []

    def go(generation: int) -> bool:
        call = StepCall(ID, "000000000001", "us-east-1", "z", generation, "token", {})

        def run(tx: Tx) -> None:
            for refused in pass_fence(tx, "volumes", Verb.ENSURE, [call]).values():
                raise refused
            passed.append(generation)

        try:
            store.run(run)
        except StaleOwner:
            return False
        return True

    results = together(16, go)
    assert passed == sorted(passed)
    assert results[15] is True
    assert sum(result is True for result in results) == len(passed)
