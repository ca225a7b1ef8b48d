"""Jobs of a lane that share a transaction on PostgreSQL: one commit for all, or each alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.resources.kit import counters, rows
from sametoken.store import pgsession, postgresql
from sametoken.store.dialects import Text
from sametoken.store.lanes import SHARED_MAX
from sametoken.store.pgpipe import Pipe
from sametoken.store.port import Tx
from sametoken.store.postgresql import PostgresqlStore
from store import servers
from store.stores import HANG_SECONDS, at, migrated_database, notes, opened, write
from store.things import THING, put

INSERT = Text("INSERT INTO test_note (name, body) VALUES (?, ?)")
PLACE = ("000000000001", "us-east-1")
MICRO = counters.capacity_name("us-east-1a", "t3.micro")
VCPUS = counters.vcpus_name(*PLACE)

Act = Callable[[Tx], Any]


@pytest.fixture
def url() -> Iterator[str]:
    made = migrated_database()
    yield made
    servers.drop_database(made)


@pytest.fixture
def store(url: str) -> Iterator[PostgresqlStore]:
    with opened(url) as made:
        yield made


def held_up(store: PostgresqlStore) -> tuple[threading.Event, Future[None]]:
    """Hold up the lane until the event is set."""
    go_on, begun = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        begun.set()
        assert go_on.wait(HANG_SECONDS)

    held = store.submit(hold, lane="lane")
    assert begun.wait(HANG_SECONDS)
    return go_on, held


def ask_together(
    store: PostgresqlStore, acts: Sequence[Act], *, shares: bool = True
) -> list[Future[Any]]:
    """Have all acts wait in a lane before the first is taken; return their answers."""
    go_on, held = held_up(store)
    answers = [store.submit(act, lane="lane", shares=shares) for act in acts]
    go_on.set()
    for answer in [held, *answers]:
        answer.exception(HANG_SECONDS)
    return answers


def commits_of(store: PostgresqlStore, acts: Sequence[Act], *, shares: bool = True) -> int:
    """Count the commits that the acts take."""
    commits: list[None] = []
    with at(Point.STORE_COMMITTED, lambda: commits.append(None)):
        ask_together(store, acts, shares=shares)
    return len(commits) - 1


# -- sharing a commit ---------------------------------------------------------------------------


def test_jobs_that_wait_and_share_are_one_commit_and_each_has_its_own_answer(
    store: PostgresqlStore,
) -> None:
    assert commits_of(store, [write(f"a{n}") for n in range(5)]) == 1
    assert commits_of(store, [write(f"b{n}") for n in range(5)], shares=False) == 5
    assert commits_of(store, [write(f"c{n:02}") for n in range(SHARED_MAX + 1)]) == 2
    answers = ask_together(store, [write(f"d{n}") for n in range(5)])
    assert [answer.result() for answer in answers] == [f"d{n}" for n in range(5)]
    assert len(store.read(notes)) == 5 + 5 + SHARED_MAX + 1 + 5


def test_a_job_that_does_not_share_keeps_its_place_among_those_that_do(
    store: PostgresqlStore,
) -> None:
    order: list[str] = []
    go_on, held = held_up(store)
    answers = []
    for name, shares in (("a", True), ("b", True), ("alone", False), ("c", True), ("d", True)):

        def run(tx: Tx, name: str = name) -> bool:
            order.append(name)
            return tx.is_shared

        answers.append(store.submit(run, lane="lane", shares=shares))
    go_on.set()
    assert [answer.result(HANG_SECONDS) for answer in answers] == [True, True, False, True, True]
    assert order == ["a", "b", "alone", "c", "d"]
    held.result(HANG_SECONDS)


def test_a_job_that_was_taken_back_is_not_run_with_the_others(store: PostgresqlStore) -> None:
    go_on, held = held_up(store)
    answers = [store.submit(write(name), lane="lane", shares=True) for name in "abc"]
    assert answers[1].cancel()
    go_on.set()
    assert [answers[0].result(HANG_SECONDS), answers[2].result(HANG_SECONDS)] == ["a", "c"]
    assert store.read(notes) == ["a", "c"]
    held.result(HANG_SECONDS)


def test_nobody_is_answered_before_the_commit(store: PostgresqlStore) -> None:
    waiting: list[Future[Any]] = []
    early: list[bool] = []
    go_on, held = held_up(store)
    waiting += [store.submit(write(name), lane="lane", shares=True) for name in "abc"]

    def look() -> None:
        if held.done():
            early.extend(answer.done() for answer in waiting)

    with at(Point.STORE_BEFORE_COMMIT, look):
        go_on.set()
        for answer in waiting:
            answer.result(HANG_SECONDS)
    assert early[-3:] == [False] * 3


# -- each alone ---------------------------------------------------------------------------------


def refuse(tx: Tx) -> None:
    write("refused")(tx)
    raise ServiceError("NotFound", "no such thing")


def break_down(tx: Tx) -> None:
    raise AssertionError("our bug")


def fail_late(tx: Tx) -> None:
    """Fail with a statement that nobody looks at."""
    tx.send(Text("INSERT INTO test_note (name, body) VALUES (?, NULL)"), ("late",))


def fail_in_a_savepoint(tx: Tx) -> str:
    with pytest.raises(ServiceError), tx.savepoint():
        write("inside")(tx)
        raise ServiceError("Capacity", "none left", binds_token=True)
    return write("bound")(tx)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (refuse, ServiceError),
        (break_down, AssertionError),
        (fail_late, sa.exc.IntegrityError),
    ],
)
def test_who_fails_gets_the_error_and_harms_no_other(
    store: PostgresqlStore, fail: Act, error: type[Exception], place: int
) -> None:
    acts: list[Act] = [write("a"), write("b")]
    acts.insert(place, fail)
    answers = ask_together(store, acts)
    failed = answers.pop(place)
    assert isinstance(failed.exception(), error)
    assert [answer.result() for answer in answers] == ["a", "b"]
    assert store.read(notes) == ["a", "b"]


def test_a_failure_that_were_everybodys_would_be_caught(store: PostgresqlStore) -> None:
    """Plant the bug: all who share hear of the error of one."""
    real = pgsession.run_shared

    def mutated(*arguments: Any) -> Any:
        values = real(*arguments)
        if values is None:
            raise Transient("one of them failed")
        return values

    with patch.object(postgresql, "run_shared", mutated), pytest.raises(AssertionError):
        test_who_fails_gets_the_error_and_harms_no_other(store, refuse, ServiceError, 1)


def test_an_answer_that_is_not_committed_would_be_caught(store: PostgresqlStore) -> None:
    """Plant the bug: those before the failure are answered, although it has undone them."""
    real = pgsession.run_shared

    def mutated(session: Any, fns: Sequence[Act], announce: Any) -> Any:
        told: list[Any] = []

        def telling(fn: Act) -> Act:
            return lambda tx: told.append(fn(tx))

        values = real(session, [telling(fn) for fn in fns], announce)
        return [*told, *[None] * (len(fns) - len(told))] if values is None else told

    with patch.object(postgresql, "run_shared", mutated), pytest.raises(AssertionError):
        test_who_fails_gets_the_error_and_harms_no_other(store, refuse, ServiceError, 2)


def test_what_needs_a_savepoint_has_it_alone(store: PostgresqlStore) -> None:
    answers = ask_together(store, [write("a"), fail_in_a_savepoint, write("b")])
    assert [answer.result() for answer in answers] == ["a", "bound", "b"]
    assert store.read(notes) == ["a", "b", "bound"]


def test_a_row_that_others_lock_is_locked_and_changed_in_a_transaction_of_its_own(
    store: PostgresqlStore,
) -> None:
    """Of two transactions that lock rows in orders of their own, one waits for the other's."""
    row = put(store)

    def lock(tx: Tx) -> bool:
        rows.by_ids(tx, [row.id], lock=True)
        return tx.is_shared

    def change(tx: Tx) -> bool:
        found = rows.by_ids(tx, [row.id])[row.id]
        rows.change(tx, THING, found, Size=9)
        return tx.is_shared

    for act in (lock, change):
        answers = ask_together(store, [write(act.__name__), act])
        assert [answer.result() for answer in answers] == [act.__name__, False]


# -- outcomes of them all -----------------------------------------------------------------------


def test_a_commit_of_unknown_outcome_is_everybodys_and_runs_nobody_again(
    store: PostgresqlStore,
) -> None:
    ran: list[str] = []

    def running(name: str) -> Act:
        def run(tx: Tx) -> str:
            ran.append(name)
            return write(name)(tx)

        return run

    real = Pipe._lose

    def lost(self: Pipe) -> Any:
        if any(reply is not None and reply.sql == "COMMIT" for reply in self._sent) and ran:
            raise psycopg.OperationalError("cut")
        return receive(self)

    receive = Pipe._receive
    with patch.object(Pipe, "_receive", lost), patch.object(Pipe, "_lose", real):
        answers = ask_together(store, [running("a"), running("b")])
    for answer in answers:
        unknown = answer.exception()
        assert isinstance(unknown, Transient)
        assert unknown.ran
    assert ran == ["a", "b"]
    assert store.run(write("kept")) == "kept"


def test_a_race_that_they_lose_runs_each_again(store: PostgresqlStore, url: str) -> None:
    ran: list[None] = []

    def run(tx: Tx) -> str:
        ran.append(None)
        if len(ran) == 1:
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("INSERT INTO test_note (name, body) VALUES ('key', 'theirs')")
        if "key" in notes(tx) and len(ran) > 1:
            return "found"
        tx.send(INSERT, ("key", ""))
        return "made"

    answers = ask_together(store, [write("a"), run, write("b")])
    assert [answer.result() for answer in answers] == ["a", "found", "b"]
    assert store.read(notes) == ["a", "b", "key"]


# -- debits -------------------------------------------------------------------------------------


def taking(**amounts: int) -> Act:
    names = {"micro": MICRO, "vcpus": VCPUS}

    def run(tx: Tx) -> int:
        left = counters.free(tx, PLACE, [names[name] for name in amounts])
        if any(left[names[name]] < amount for name, amount in amounts.items()):
            raise ServiceError("Insufficient", "none left")
        counters.debit(tx, PLACE, {names[name]: amount for name, amount in amounts.items()})
        return sum(amounts.values())

    return run


def left(store: PostgresqlStore, name: str) -> int:
    return store.read(lambda tx: counters.free(tx, PLACE, [name])[name])


def test_debits_of_a_shared_transaction_are_made_at_its_end_in_one_order(
    store: PostgresqlStore,
) -> None:
    sent: list[Any] = []
    real = Pipe.send

    def heard(self: Pipe, sql: str, values: Sequence[Any] = ()) -> Any:
        sent.append((sql, values))
        return real(self, sql, values)

    before = left(store, MICRO), left(store, VCPUS)
    acts = [taking(vcpus=2), taking(micro=1), write("a"), taking(micro=3, vcpus=1)]
    with patch.object(Pipe, "send", heard):
        for answer in ask_together(store, acts):
            answer.result()
    assert (left(store, MICRO), left(store, VCPUS)) == (before[0] - 4, before[1] - 3)
    debits = [values[0] for sql, values in sent if "INTO counter " in sql]
    assert debits == sorted([MICRO, VCPUS])
    last = [sql for sql, _ in sent if "INTO counter " in sql or sql == "COMMIT"][-3:]
    assert last[-1] == "COMMIT"


def test_who_shares_sees_what_those_before_it_are_going_to_take(store: PostgresqlStore) -> None:
    store.run(lambda tx: counters.set_maximum(tx, MICRO, 3))
    answers = ask_together(store, [taking(micro=2), taking(micro=1)])
    assert [answer.result() for answer in answers] == [2, 1]
    store.run(lambda tx: counters.credit(tx, MICRO, 3))
    answers = ask_together(store, [taking(micro=2), taking(micro=2), taking(micro=1)])
    assert answers[0].result() == 2
    assert isinstance(answers[1].exception(), ServiceError)
    assert answers[2].result() == 1
    assert left(store, MICRO) == 0


def test_a_debit_that_another_lane_was_quicker_with_fails_with_the_commit_and_is_seen_then(
    store: PostgresqlStore,
) -> None:
    """The statement itself fails, and the COMMIT that travels with it is skipped."""
    store.run(lambda tx: counters.set_maximum(tx, MICRO, 2))
    once = ["take"]

    def late(tx: Tx) -> int:
        taken = int(taking(micro=2)(tx))
        if once:
            once.pop()
            store.run(taking(micro=1))
        return taken

    answers = ask_together(store, [write("a"), late, taking(micro=1)])
    assert isinstance(answers[1].exception(), ServiceError)
    assert [answers[0].result(), answers[2].result()] == ["a", 1]
    assert left(store, MICRO) == 0


def test_who_loses_every_debit_is_told_to_come_back(store: PostgresqlStore) -> None:
    """Each run finds that another has taken what it had read to be there."""
    store.run(lambda tx: counters.set_maximum(tx, MICRO, 1))
    store.run(taking(micro=1))
    runs: list[int] = []

    def hopeful(tx: Tx) -> None:
        runs.append(1)
        tx.known[counters.COUNTER.name] = {MICRO: 0}
        counters.debit(tx, PLACE, {MICRO: 1})

    with pytest.raises(Transient):
        store.run(hopeful)
    assert len(runs) == 5
    assert left(store, MICRO) == 0
