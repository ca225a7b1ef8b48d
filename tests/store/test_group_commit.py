"""Group commit on SQLite: whatever a member of a batch does, the others are not affected.

Each failure is as real as possible: `max_page_count` makes the disk full, the interrupt is SQLite's
own, and a simulated I/O error rolls everything back, as a real one does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken import faults
from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.idempotency import Attempt
from sametoken.resources.kit.ids import mint
from sametoken.store.group_commit import run_batch
from sametoken.store.port import Tx
from store import batches
from store.batches import Bench, Fn, taken
from store.creating import CREATE, ENGINE, call
from store.stores import at, notes, write

GUILTY: list[tuple[Fn, type[Exception]]] = [
    (batches.breaks_a_key, sa.exc.IntegrityError),
    (batches.breaks_an_assertion, AssertionError),
    (batches.fills_the_disk, Transient),
    (batches.fills_the_disk_in_many_rows, Transient),
    (batches.fills_the_disk_and_goes_on, Transient),
    (batches.fills_the_disk_and_swallows_everything, Transient),
    (batches.meets_an_io_error, Transient),
    (batches.loses_its_savepoint, Transient),
    (batches.is_interrupted_in_a_write, Transient),
    (batches.is_interrupted_in_a_read, Transient),
    (batches.is_interrupted_inside_a_savepoint, Transient),
    (batches.uses_a_table_that_is_not_there, Transient),
]
NAMES = [fn.__name__ for fn, _ in GUILTY]
# The failures that roll back the whole transaction.
LOSE_ALL = [fn for fn, _ in GUILTY if "disk" in fn.__name__ and "rows" not in fn.__name__] + [
    batches.meets_an_io_error,
    batches.is_interrupted_in_a_write,
    batches.is_interrupted_inside_a_savepoint,
]


def innocent(number: int) -> Fn:
    """Make a create without a token: if it took effect twice, there would be two notes."""

    def run(tx: Tx) -> str:
        tx.wake(f"channel-{number}")
        return write(f"n{number}-{mint(tx, 'x')}")(tx)

    return run


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize(("guilty", "error"), GUILTY, ids=NAMES)
def test_a_failing_member_harms_nobody_at_any_place_of_the_batch(
    bench: Bench, guilty: Fn, error: type[Exception], place: int
) -> None:
    members = [innocent(number) for number in range(4)]
    futures = bench.run([*members[:place], guilty, *members[place:]])
    assert isinstance(futures.pop(place).exception(), error)
    acknowledged = [future.result() for future in futures]
    assert bench.names() == sorted(acknowledged)
    assert set().union(*bench.announced) == {f"channel-{number}" for number in range(4)}


@pytest.mark.parametrize(("guilty", "error"), GUILTY, ids=NAMES)
def test_a_batch_after_the_failure_is_an_ordinary_one(
    bench: Bench, guilty: Fn, error: type[Exception]
) -> None:
    (failed,) = bench.run([guilty])
    assert isinstance(failed.exception(), error)
    futures = bench.run([innocent(0), innocent(1)])
    assert bench.names() == sorted(future.result() for future in futures)


@pytest.mark.parametrize("guilty", LOSE_ALL, ids=lambda fn: fn.__name__)
def test_these_failures_do_lose_the_whole_transaction(bench: Bench, guilty: Fn) -> None:
    """The tests above depend on it: if no transaction were lost, they could not fail."""
    lost: list[bool] = []

    def look(tx: Tx) -> None:
        try:
            guilty(tx)
        finally:
            lost.append(not bench.session.in_transaction())

    bench.run([innocent(0), look])
    assert True in lost


def test_every_kind_of_failure_in_one_batch_still_harms_nobody(bench: Bench) -> None:
    members: list[Fn] = []
    for number, (guilty, _) in enumerate(GUILTY):
        members += [innocent(number), guilty]
    futures = bench.run(members)
    for future, (_, error) in zip(futures[1::2], GUILTY, strict=True):
        assert isinstance(future.exception(), error)
    assert bench.names() == sorted(future.result() for future in futures[::2])


def test_a_replay_in_a_batch_that_is_lost_is_answered_from_what_committed(bench: Bench) -> None:
    """If it had been answered early, it would have acknowledged a row that is gone."""

    def create(tx: Tx) -> Any:
        return ENGINE.execute_once(tx, call(P=1), CREATE)

    futures = bench.run([create, create, batches.meets_an_io_error, create])
    answers = [future.result() for future in futures[:2] + futures[3:]]
    assert [answer.attempt for answer in answers] == [Attempt.NEW, Attempt.REPLAY, Attempt.REPLAY]
    assert {answer.get()["id"] for answer in answers} == set(bench.names())


def test_nothing_of_a_batch_is_answered_before_its_commit(bench: Bench) -> None:
    def refuse(tx: Tx) -> None:
        raise ServiceError("No", "no")

    seen: list[list[str]] = []
    with at(Point.STORE_BEFORE_COMMIT, lambda: seen.append(bench.names())):
        bench.run([innocent(0), refuse, innocent(1)])
    assert seen == [[]]


def test_what_callers_sent_is_neither_logged_nor_told_when_the_database_refuses_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "swordfish" * 100_000
    (future,) = bench.run([write("guilty", body=secret)])
    assert "swordfish" not in f"{future.exception()}{caplog.text}"
    assert "full" in f"{future.exception()}"


# -- a failing COMMIT ---------------------------------------------------------------------------


def test_a_commit_that_breaks_a_constraint_acknowledges_nobody_and_keeps_nothing(
    bench: Bench,
) -> None:
    futures = bench.run([innocent(0), write("guilty", twin="nobody"), innocent(1)])
    for future in futures:
        error = future.exception()
        assert isinstance(error, Transient)
        assert error.ran
    assert (bench.names(), bench.announced) == ([], [])
    assert bench.run([innocent(2)])[0].result() in bench.names()


class FailingSession:
    """The bench's session, where some commands fail, either before or after they have acted."""

    def __init__(self, bench: Bench, fails: Callable[[str], str]) -> None:
        self._inner = bench.session
        self._fails = fails
        self.reopened = 0

    def begin(self) -> None:
        self._do("BEGIN", self._inner.begin)

    def command(self, sql: str) -> None:
        self._do(sql, lambda: self._inner.command(sql))

    def flush(self) -> None:
        self._do("FLUSH", self._inner.flush)

    def _do(self, sql: str, act: Callable[[], None]) -> None:
        when = self._fails(sql)
        if when == "before":
            raise sqlite3.OperationalError("disk I/O error")
        act()
        if when == "after":
            raise sqlite3.OperationalError("disk I/O error")

    def transaction(self) -> Tx:
        return self._inner.transaction()

    def in_transaction(self) -> bool:
        return self._inner.in_transaction()

    def met(self, error: Exception) -> None:
        self._inner.met(error)

    def reopen(self) -> None:
        self.reopened += 1
        self._inner.reopen()


def failing_at(sql: str, count: int, when: str) -> Callable[[str], str]:
    """Make the `count`-th command that is `sql` fail, before or after it acts (`when`)."""
    seen = 0

    def fails(command: str) -> str:
        nonlocal seen
        seen += command == sql
        return when if command == sql and seen == count else ""

    return fails


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_outcome_is_unknown_is_told_so_and_the_connection_is_reopened(
    bench: Bench, when: str
) -> None:
    session = FailingSession(bench, failing_at("COMMIT", 1, when))
    for future in bench.run([innocent(0), innocent(1)], session):
        error = future.exception()
        assert isinstance(error, Transient)
        assert error.ran
    assert session.reopened == 1
    assert len(bench.names()) == (2 if when == "after" else 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_an_unknown_commit_the_retry_makes_it_once(bench: Bench, when: str) -> None:
    session = FailingSession(bench, failing_at("COMMIT", 1, when))

    def create(tx: Tx) -> Any:
        return ENGINE.execute_once(tx, call(P=1), CREATE)

    assert isinstance(bench.run([create], session)[0].exception(), Transient)
    (retry,) = bench.run([create], session)
    assert bench.names() == [retry.result().get()["id"]]


COMMANDS = ["SAVEPOINT member", "RELEASE member", "ROLLBACK TO member"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("sql", COMMANDS)
def test_whichever_command_fails_what_is_acknowledged_is_there_once(
    bench: Bench, sql: str, count: int, when: str
) -> None:
    session = FailingSession(bench, failing_at(sql, count, when))
    members = [innocent(0), batches.breaks_an_assertion, innocent(1), innocent(2)]
    futures = bench.run(members, session)
    acknowledged = [future.result() for future in futures if future.exception() is None]
    assert bench.names() == sorted(acknowledged)
    assert len(acknowledged) >= 2


# -- never begun --------------------------------------------------------------------------------


def test_a_batch_that_cannot_begin_did_not_run(bench: Bench) -> None:
    session = FailingSession(bench, failing_at("BEGIN", 1, "before"))
    ran: list[str] = []
    for future in bench.run([lambda tx: ran.append("x"), innocent(0)], session):
        error = future.exception()
        assert isinstance(error, Transient)
        assert not error.ran
    assert (ran, bench.names()) == ([], [])


def test_members_that_cannot_begin_again_alone_have_no_effect_as_they_are_told(
    bench: Bench,
) -> None:
    """Members did run in the lost transaction, but it left no effect: "did not run" is true."""
    session = FailingSession(bench, failing_at("BEGIN", 2, "before"))
    futures = bench.run([innocent(0), batches.meets_an_io_error, innocent(1)], session)
    first = futures[0].exception()
    assert isinstance(first, Transient)
    assert not first.ran
    assert bench.names() == [futures[2].result()]


def test_an_empty_batch_does_nothing(bench: Bench) -> None:
    session = FailingSession(bench, lambda sql: "before")
    assert bench.run([], session) == []


@pytest.mark.parametrize("loses", [False, True])
def test_a_bug_of_the_writer_leaves_nobody_waiting(bench: Bench, loses: bool) -> None:
    def break_down(point: Point) -> None:
        raise LookupError("a bug")

    jobs = taken([innocent(0), batches.meets_an_io_error if loses else innocent(1), innocent(2)])
    faults.install(break_down)
    try:
        with pytest.raises(LookupError):
            run_batch(bench.session, jobs, bench.announced.append)
    finally:
        faults.install(None)
    assert all(isinstance(job.future.exception(0), Transient) for job in jobs)
    bench.session.reopen()
    assert bench.names() == []


def test_reading_members_share_the_batch(bench: Bench) -> None:
    futures = bench.run([innocent(0), batches.counts_notes, notes])
    assert futures[1].result() == "1 notes"
    assert futures[2].result() == [futures[0].result()]
