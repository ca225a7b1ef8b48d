"""Work has a single owner at a time, and a former owner cannot record anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken.operate.opening import open_store
from sametoken.resources.kit.rows import Row
from sametoken.settings import database_of
from sametoken.store.port import Store, Tx
from sametoken.workflow import turns
from sametoken.workflow import work as works
from sametoken.workflow.plans import LAUNCH_DEADLINE, PLANS
from sametoken.workflow.tokens import TokenForm
from sametoken.workflow.work import LEASE, Record, Work
from store.stores import together
from store.worlds import START, SetWorld

MOMENT = timedelta(microseconds=1)


def instance(number: int) -> str:
    return f"i-{number:017x}"


def launch(store: Store, *numbers: int) -> None:
    def run(tx: Tx) -> None:
        rows = [
            Row(instance(n), "instance", "000000000001", "us-east-1", "pending", {}, tx.now, "z")
            for n in numbers
        ]
        works.enqueue_launches(tx, [(row, {"of": row.id}) for row in rows])

    store.run(run)


def lease(store: Store, limit: int = 10) -> list[Work]:
    return store.run(lambda tx: turns.lease(tx, limit))


def lease_one(store: Store) -> Work:
    (work,) = lease(store)
    return work


def record(
    store: Store, held: Work, changed: Work, *, due_in: timedelta | None, keeps: bool = False
) -> bool:
    def run(tx: Tx) -> bool:
        due_at: datetime | None = None if due_in is None else tx.now + due_in
        return bool(works.record(tx, [Record(held, changed, due_at, keeps)]))

    return store.run(run)


def found(store: Store, number: int = 1) -> Work:
    work = store.read(lambda tx: works.find(tx, instance(number)))
    assert work is not None
    return work


def redirect(store: Store, plan: str) -> None:
    store.run(lambda tx: works.redirect(tx, instance(1), plan))


def test_a_launch_is_queued_due_at_once_with_a_deadline_and_wakes_runners(store: Store) -> None:
    news = store.listen(works.CHANNEL)
    launch(store, 1)
    assert news.is_set()
    assert store.read(turns.is_due)
    work = found(store)
    assert (work.plan, work.epoch, work.step, work.generation) == ("launch", 0, 0, 0)
    assert (work.due_at, work.deadline_at) == (START, START + LAUNCH_DEADLINE)
    assert work.spec == {"of": work.instance}
    assert work.next_step() == PLANS["launch"].steps[0]


def test_a_lease_comes_with_a_higher_generation_than_ever(store: Store, world: SetWorld) -> None:
    launch(store, 1)
    generations = []
    for _ in range(3):
        generations.append(lease_one(store).generation)
        assert lease(store) == []
        assert not store.read(turns.is_due)
        world.pass_time(LEASE - MOMENT)
        assert lease(store) == []
        world.pass_time(MOMENT)
    assert generations == [1, 2, 3]


def test_what_falls_due_first_is_leased_first_and_no_more_than_asked(
    store: Store, world: SetWorld
) -> None:
    for number in (3, 1, 2):
        launch(store, number)
        world.pass_time(MOMENT)
    assert [work.instance for work in lease(store, 2)] == [instance(3), instance(1)]
    assert [work.instance for work in lease(store, 2)] == [instance(2)]


def launch_of(store: Store, account: str, *numbers: int) -> None:
    def run(tx: Tx) -> None:
        rows = [
            Row(instance(n), "instance", account, "us-east-1", "pending", {}, tx.now, "z")
            for n in numbers
        ]
        works.enqueue_launches(tx, [(row, {}) for row in rows])

    store.run(run)


def test_accounts_share_a_lease_however_much_one_of_them_has_due(
    store: Store, world: SetWorld
) -> None:
    launch_of(store, "a", *range(100))
    world.pass_time(MOMENT)
    launch_of(store, "b", 100)
    launch_of(store, "c", 101, 102, 103)
    first = lease(store, 6)
    assert Counter(work.account for work in first) == {"a": 2, "b": 1, "c": 2}
    assert Counter(work.account for work in lease(store, 6)) == {"a": 3, "c": 1}
    assert len(lease(store, 6)) == 6
    assert {work.instance for work in first if work.account == "c"} <= {
        instance(101), instance(102), instance(103),
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_it_is_each_accounts_turn_though_more_have_work_than_a_lease_has_room_for(
    store: Store, limit: int
) -> None:
    accounts = ["a", "b", "c", "d", "e"]
    for number, account in enumerate(accounts):
        launch_of(store, account, *range(10 * number, 10 * number + 10))
    turn, got = "", list[str]()
    for _ in range(-(-len(accounts) // limit)):
        leased = store.run(partial(turns.lease, limit=limit, after=turn))
        assert len(leased) == limit
        got += [work.account for work in leased]
        turn = turns.last_turn(leased, turn)
    assert set(got) == set(accounts)


def test_an_accounts_work_that_is_leased_or_not_due_takes_no_turn(
    store: Store, world: SetWorld
) -> None:
    launch_of(store, "a", 1)
    launch_of(store, "b", 2)
    assert len(lease(store)) == 2
    launch_of(store, "c", 3)
    assert [work.account for work in lease(store)] == ["c"]
    world.pass_time(LEASE)
    assert [work.account for work in lease(store)] == ["a", "b", "c"]


def test_a_turn_is_found_without_walking_past_the_work_of_others(tmp_path: Path) -> None:
    """A lease must not cost more the more one account has due."""
    with open_store(database_of(tmp_path / "plane.db"), SetWorld()) as store:
        launch_of(store, "a", *range(1_000))
        launch_of(store, "b", 1_000)

        def cost(tx: Tx) -> int:
            steps = 0

            def count() -> None:
                nonlocal steps
                steps += 1

            raw: Any = tx.connection.connection.dbapi_connection
            raw.set_progress_handler(count, 1)
            try:
                assert len(turns.lease(tx, 2)) == 2
            finally:
                raw.set_progress_handler(None, 0)
            return steps

        of_thousand = store.run(cost)
        launch_of(store, "a", *range(2_000, 12_000))
        assert store.run(cost) < 1.5 * of_thousand


def test_many_runners_at_once_never_lease_the_same_work(store: Store) -> None:
    launch(store, *range(40))
    leased: list[str] = []
    for one in together(8, lambda n: [w.instance for _ in range(4) for w in lease(store, 2)]):
        assert isinstance(one, list)
        leased += one
    assert len(leased) == len(set(leased)) == 40


def test_what_is_put_off_is_due_later(store: Store, world: SetWorld) -> None:
    launch(store, 1)
    held = lease_one(store)
    assert record(store, held, replace(held, attempt=1), due_in=timedelta(seconds=5))
    assert lease(store) == []
    assert store.read(turns.next_due) == START + timedelta(seconds=5)
    world.pass_time(timedelta(seconds=5))
    again = lease_one(store)
    assert (again.attempt, again.generation) == (1, 2)


def test_a_lease_that_is_kept_is_kept_anew(store: Store, world: SetWorld) -> None:
    launch(store, 1)
    held = lease_one(store)
    world.pass_time(LEASE - MOMENT)
    assert record(store, held, replace(held, step=1), due_in=timedelta(0), keeps=True)
    world.pass_time(LEASE - MOMENT)
    assert lease(store) == []
    assert store.read(turns.next_due) == START + 2 * LEASE - MOMENT
    world.pass_time(MOMENT)
    assert lease_one(store).step == 1


def test_finished_work_is_never_due(store: Store, world: SetWorld) -> None:
    launch(store, 1)
    held = lease_one(store)
    assert record(store, held, held, due_in=None)
    world.pass_time(timedelta(days=1000))
    assert lease(store) == []
    assert store.read(turns.next_due) is None


def test_why_a_launch_unwinds_is_kept(store: Store) -> None:
    launch(store, 1)
    held = lease_one(store)
    record(store, held, replace(held, failure=("Code", "Message")), due_in=timedelta(0))
    assert lease_one(store).failure == ("Code", "Message")


# -- former owners ------------------------------------------------------------------------------


def lease_ran_out(store: Store, world: SetWorld) -> None:
    world.pass_time(LEASE)
    lease_one(store)


def redirected(store: Store, world: SetWorld) -> None:
    redirect(store, "terminate")


def redirected_and_leased(store: Store, world: SetWorld) -> None:
    redirect(store, "terminate")
    lease_one(store)


@pytest.mark.parametrize("overtake", [lease_ran_out, redirected, redirected_and_leased])
@pytest.mark.parametrize("keeps", [True, False])
def test_an_owner_that_was_overtaken_records_nothing(
    store: Store,
    world: SetWorld,
    overtake: Callable[[Store, SetWorld], None],
    keeps: bool,
) -> None:
    launch(store, 1)
    held = lease_one(store)
    overtake(store, world)
    now = found(store)
    changed = replace(held, step=3, plan="stop", epoch=held.epoch + 1)
    assert not record(store, held, changed, due_in=timedelta(0), keeps=keeps)
    assert found(store) == now


def test_an_owner_whose_lease_ran_out_but_was_not_taken_may_still_record(
    store: Store, world: SetWorld
) -> None:
    launch(store, 1)
    held = lease_one(store)
    world.pass_time(10 * LEASE)
    assert record(store, held, replace(held, step=1), due_in=timedelta(0), keeps=True)


def test_another_plan_breaks_the_lease_and_begins_a_new_epoch(store: Store) -> None:
    launch(store, 1)
    held = lease_one(store)
    news = store.listen(works.CHANNEL)
    redirect(store, "terminate")
    assert news.is_set()
    successor = lease_one(store)
    assert (successor.plan, successor.epoch, successor.step) == ("terminate", 1, 0)
    assert successor.generation > held.generation
    assert successor.deadline_at is None
    assert successor.failure is None


def test_a_plan_with_a_deadline_gets_a_new_one(store: Store, world: SetWorld) -> None:
    launch(store, 1)
    world.pass_time(timedelta(days=1))
    redirect(store, "start")
    assert found(store).deadline_at == START + timedelta(days=1) + LAUNCH_DEADLINE


def test_the_next_plan_of_what_an_earlier_release_began_has_readable_step_tokens(
    store: Store,
) -> None:
    launch(store, 1, 2)
    assert found(store).token_form == TokenForm.READABLE
    earlier = sa.update(works.WORK).values(token_form=TokenForm.HASHED.value)
    store.run(lambda tx: tx.execute(earlier))
    redirect(store, "terminate")
    assert found(store).token_form == TokenForm.READABLE
    assert found(store, 2).token_form == TokenForm.HASHED


def test_another_plan_replaces_what_it_is_told_of_the_spec(store: Store) -> None:
    launch(store, 1)
    store.run(lambda tx: works.redirect(tx, instance(1), "start", type="t3.large"))
    assert found(store).spec == {"of": instance(1), "type": "t3.large"}


def test_there_is_no_redirecting_what_was_never_launched(store: Store) -> None:
    with pytest.raises(AssertionError, match="has no work row"):
        redirect(store, "terminate")


def test_what_is_swept_is_forgotten(store: Store) -> None:
    launch(store, 1, 2)
    store.run(lambda tx: works.forget(tx, [instance(1)]))
    store.run(lambda tx: works.forget(tx, []))
    assert store.read(lambda tx: works.find(tx, instance(1))) is None
    assert found(store, 2).instance == instance(2)
