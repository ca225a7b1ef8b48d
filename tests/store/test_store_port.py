"""The promises of every store: functions run in durable transactions, answered after the commit."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.resources.kit.ids import mint
from sametoken.store.port import Store, Tx
from store.stores import HANG_SECONDS, Database, at, notes, together, write
from store.worlds import SetWorld

# -- results ------------------------------------------------------------------------------------


def test_run_answers_what_the_function_returned_and_its_effects_are_there(store: Store) -> None:
    assert store.run(write("a")) == "a"
    assert store.read(notes) == ["a"]


def test_submit_answers_the_same_through_a_future(store: Store) -> None:
    assert store.submit(write("a")).result(HANG_SECONDS) == "a"
    assert store.read(notes) == ["a"]


def test_what_committed_is_there_when_the_store_is_opened_again(
    database: Database, world: SetWorld
) -> None:
    with database.open(world) as store:
        store.run(write("a"))
    with database.open(world) as store:
        assert store.read(notes) == ["a"]


def test_what_is_queued_when_the_store_closes_still_commits(
    database: Database, world: SetWorld
) -> None:
    with database.open(world) as store:
        waiting = [store.submit(write(f"n{number}")) for number in range(20)]
    assert all(future.done() for future in waiting)
    with database.open(world) as store:
        assert len(store.read(notes)) == 20


def test_a_closed_store_takes_nothing_and_says_that_it_did_not_run(
    database: Database, world: SetWorld
) -> None:
    with database.open(world) as store:
        pass
    with pytest.raises(Transient) as refused:
        store.run(write("a"))
    assert not refused.value.ran


def test_a_refusal_is_raised_as_it_is_and_undoes_everything(store: Store) -> None:
    refusal = ServiceError("No", "no")

    def run(tx: Tx) -> None:
        write("a")(tx)
        raise refusal

    with pytest.raises(ServiceError) as raised:
        store.run(run)
    assert raised.value is refusal
    assert store.read(notes) == []


def test_a_broken_key_is_raised_as_itself_and_undoes_everything(store: Store) -> None:
    store.run(write("a"))
    with pytest.raises(sa.exc.IntegrityError):
        store.run(lambda tx: (write("b")(tx), write("a")(tx)))
    assert store.read(notes) == ["a"]


def test_a_bug_is_raised_as_itself_and_undoes_everything(store: Store) -> None:
    def run(tx: Tx) -> None:
        write("a")(tx)
        raise AssertionError("our bug")

    with pytest.raises(AssertionError, match="our bug"):
        store.run(run)
    assert store.read(notes) == []


def test_what_the_database_refuses_is_transient_and_undoes_everything(store: Store) -> None:
    def run(tx: Tx) -> None:
        write("a")(tx)
        tx.execute(sa.text("SELECT * FROM no_such_table"))

    with pytest.raises(Transient):
        store.run(run)
    assert store.read(notes) == []
    assert store.run(write("b")) == "b"


def test_a_savepoint_undoes_its_block_and_no_more(store: Store) -> None:
    def run(tx: Tx) -> None:
        write("before")(tx)
        with pytest.raises(ServiceError), tx.savepoint():
            write("inside")(tx)
            with tx.savepoint():
                write("deeper")(tx)
            raise ServiceError("No", "no")
        write("after")(tx)

    store.run(run)
    assert store.read(notes) == ["after", "before"]


def test_many_transactions_at_once_all_happen_once(store: Store) -> None:
    names = together(16, lambda n: [store.run(write(f"{n:02}-{i}")) for i in range(10)])
    assert all(isinstance(found, list) for found in names)
    assert len(store.read(notes)) == 160


# -- no answer before the commit ----------------------------------------------------------------


def refuse(tx: Tx) -> str:
    raise ServiceError("No", "no")


@pytest.mark.parametrize("fn", [write("a"), notes], ids=["result", "replay"])
def test_nothing_is_answered_before_the_commit_returned(
    store: Store, fn: Callable[[Tx], object]
) -> None:
    gate, asked = threading.Event(), threading.Event()
    answered: list[bool] = []

    def look() -> None:
        assert asked.wait(HANG_SECONDS)
        answered.append(future.done())
        gate.set()

    with at(Point.STORE_BEFORE_COMMIT, look):
        future = store.submit(fn)
        asked.set()
        assert gate.wait(HANG_SECONDS)
        future.exception(HANG_SECONDS)
    assert answered == [False]


def test_what_is_answered_can_be_read_at_once(store: Store) -> None:
    for number in range(50):
        store.run(write(f"{number:02}"))
        assert len(store.read(notes)) == number + 1


def test_a_read_sees_nothing_of_a_transaction_that_is_open(store: Store) -> None:
    seen: list[list[str]] = []

    def run(tx: Tx) -> None:
        write("a")(tx)
        seen.append(store.read(notes))

    store.run(run)
    assert (seen, store.read(notes)) == ([[]], ["a"])


def test_a_read_is_one_snapshot(store: Store) -> None:
    """A read sees no part of a transaction that commits meanwhile."""

    def run(tx: Tx) -> tuple[list[str], list[str]]:
        before = notes(tx)
        store.run(write("a"))
        return before, notes(tx)

    assert store.read(run) == ([], [])
    assert store.read(notes) == ["a"]


def test_a_read_that_writes_changes_nothing(store: Store) -> None:
    with pytest.raises(Transient):
        store.read(write("a"))
    assert store.read(notes) == []


def test_a_refusal_passes_through_a_read(store: Store) -> None:
    with pytest.raises(ServiceError):
        store.read(refuse)


def test_reads_that_fail_leave_later_reads_alone(store: Store) -> None:
    for _ in range(20):
        with pytest.raises(Transient) as raised:
            store.read(lambda tx: tx.execute(sa.text("SELECT * FROM no_such_table")))
        assert not raised.value.ran
    assert store.read(notes) == []


# -- waking -------------------------------------------------------------------------------------


def waking(channel: str) -> Callable[[Tx], None]:
    return lambda tx: tx.wake(channel)


def test_who_listens_hears_of_a_commit_and_not_before_it(store: Store) -> None:
    news = store.listen("work")
    heard: list[bool] = []
    with at(Point.STORE_BEFORE_COMMIT, lambda: heard.append(news.is_set())):
        store.run(waking("work"))
    assert heard == [False]
    assert news.is_set()


def test_what_was_undone_wakes_nobody(store: Store) -> None:
    news = store.listen("work")

    def run(tx: Tx) -> None:
        tx.wake("work")
        raise ServiceError("No", "no")

    with pytest.raises(ServiceError):
        store.run(run)
    store.run(write("a"))
    assert not news.is_set()


def test_every_listener_of_a_channel_hears_and_no_other(store: Store) -> None:
    one, two, other = store.listen("work"), store.listen("work"), store.listen("elsewhere")
    store.run(waking("work"))
    assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)
    one.clear()
    store.run(write("a"))
    assert not one.is_set()
    store.run(waking("work"))
    assert one.is_set()


def test_a_channel_nobody_listens_to_may_be_woken(store: Store) -> None:
    store.run(waking("nobody"))


# -- identifiers --------------------------------------------------------------------------------


def test_a_transaction_mints_ids_in_ec2s_form(store: Store) -> None:
    minted = store.run(lambda tx: [mint(tx, "vol"), mint(tx, "vol"), tx.mint_uuid()])
    assert re.fullmatch(r"vol-0[0-9a-f]{16}", minted[0])
    assert len(set(minted)) == 3
