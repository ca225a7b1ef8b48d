"""Failures of a transaction on PostgreSQL, and how the store handles them.

The failures are real: backends are ended, sockets are shut, locks are held, rows are raced for.
Failures of the server itself are in test_postgresql_failover.py.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.faults import Point
from sametoken.resources.kit.ids import mint
from sametoken.store import clock
from sametoken.store.columns import to_microseconds
from sametoken.store.pgsession import TRIES_MAX
from sametoken.store.port import Stale, Tx
from sametoken.store.postgresql import SESSIONS, WRITERS, PostgresqlStore
from store import servers
from store.stores import HANG_SECONDS, NOTE, at, migrated_database, notes, opened, together, write
from store.worlds import SetWorld

# More than the interval at which the clock's mark is raised.
_MARK = timedelta(microseconds=2 * clock.MARK_US)


@pytest.fixture
def url() -> Iterator[str]:
    """Make a database for a single test."""
    made = migrated_database()
    yield made
    servers.drop_database(made)


def bounded(url: str, **settings: str) -> str:
    """Add settings to the URL, as an operator can, for each connection."""
    words = "%20".join(f"-c%20{name}%3D{value}" for name, value in settings.items())
    return f"{url}?options={words}"


def ask(sql: str, *parameters: object) -> None:
    """Run a statement on a connection of its own, unknown to the store."""
    with psycopg.connect(servers.shared().url(), autocommit=True) as onlooker:
        onlooker.execute(sql.encode(), parameters)


def backend(tx: Tx) -> int:
    """Return the id of the server process that serves this transaction."""
    return int(tx.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


def check_whole(store: PostgresqlStore) -> None:
    """Check that all connections can be used at once, and that all writers work."""
    everybody = threading.Barrier(SESSIONS)
    met = together(SESSIONS, lambda _: store.run(lambda _: everybody.wait(HANG_SECONDS)))
    assert sorted(map(str, met)) == sorted(map(str, range(SESSIONS)))
    writers = threading.Barrier(WRITERS)
    answers = [store.submit(lambda _: writers.wait(HANG_SECONDS)) for _ in range(WRITERS)]
    assert sorted(answer.result(HANG_SECONDS) for answer in answers) == list(range(WRITERS))


# -- connections that break ---------------------------------------------------------------------


class Cuts:
    """Ways to lose the connection of an open transaction."""

    @staticmethod
    def ended(tx: Tx) -> None:
        """End it, as an administrator or a server that shuts down does. The next use tells so."""
        ask("SELECT pg_terminate_backend(%s)", backend(tx))
        tx.execute(sa.text("SELECT 1"))

    @staticmethod
    def unplugged(tx: Tx) -> None:
        """Cut the network connection, which the server does not notice."""
        raw: Any = tx.connection.connection.dbapi_connection
        with socket.socket(fileno=os.dup(raw.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
        tx.execute(sa.text("SELECT 1"))

    @staticmethod
    def inside_a_savepoint(tx: Tx) -> None:
        """Cut the network connection inside a savepoint, whose rollback then fails as well."""
        with tx.savepoint():
            Cuts.unplugged(tx)

    @staticmethod
    def unnoticed(tx: Tx) -> None:
        """Cut the network connection, and swallow the error."""
        with suppress(sa.exc.SQLAlchemyError):
            Cuts.unplugged(tx)


Cut = Callable[[Tx], None]
CUTS: list[Cut] = [Cuts.ended, Cuts.unplugged, Cuts.inside_a_savepoint, Cuts.unnoticed]


@pytest.mark.parametrize("cut", CUTS)
def test_a_transaction_whose_connection_was_cut_runs_again_and_takes_effect_once(
    url: str, cut: Cut
) -> None:
    once = ["cut"]

    def run(tx: Tx) -> str:
        made = write(mint(tx, "x"))(tx)
        if once:
            once.pop()
            cut(tx)
        return made

    with opened(url) as store:
        made = store.submit(run).result(HANG_SECONDS)
        assert not once
        assert store.read(notes) == [made]


@pytest.mark.parametrize("cut", CUTS)
def test_a_transaction_whose_connection_is_always_cut_is_a_503_and_nothing_else_is(
    url: str, cut: Cut
) -> None:
    def lose(tx: Tx) -> None:
        write("lost")(tx)
        cut(tx)

    with opened(url) as store:
        lost, kept = store.submit(lose, lane="one"), store.submit(write("kept"), lane="one")
        assert isinstance(lost.exception(HANG_SECONDS), Transient)
        kept.result(HANG_SECONDS)
        assert store.read(notes) == ["kept"]
        check_whole(store)


@pytest.mark.parametrize("cut", CUTS)
def test_a_connection_cut_before_the_commit_is_an_unknown_outcome(url: str, cut: Cut) -> None:
    seen: list[Tx] = []

    def run(tx: Tx) -> None:
        seen.append(tx)
        write("lost")(tx)

    def lose() -> None:
        with suppress(sa.exc.SQLAlchemyError):
            cut(seen[0])

    with opened(url) as store:
        with at(Point.STORE_BEFORE_COMMIT, lose), pytest.raises(Transient) as unknown:
            store.run(run)
        assert unknown.value.ran
        assert store.run(write("kept")) == "kept"
        assert store.read(notes) == ["kept"]


@pytest.mark.parametrize("cut", CUTS)
def test_a_connection_cut_after_the_commit_takes_nothing_back_and_no_writer_with_it(
    url: str, cut: Cut
) -> None:
    """The clock's mark is raised on this connection afterwards, and that must not fail a caller."""
    world = SetWorld()
    seen: list[Tx] = []

    def run(tx: Tx) -> str:
        seen.append(tx)
        return write("made")(tx)

    def lose() -> None:
        with suppress(sa.exc.SQLAlchemyError):
            cut(seen[0])

    with opened(url, world) as store:
        world.pass_time(_MARK)
        with at(Point.STORE_COMMITTED, lose):
            assert store.submit(run).result(HANG_SECONDS) == "made"
        assert len(seen) == 1
        assert store.read(notes) == ["made"]
        store.run(write("next"))
        marked = store.read(lambda tx: tx.execute(sa.select(clock.CLOCK.c.high_us)).scalar_one())
        assert marked == to_microseconds(world.now())
        check_whole(store)


def test_a_connection_cut_under_a_read_is_a_503_that_did_not_run_and_the_next_is_answered(
    url: str,
) -> None:
    with opened(url) as store:
        store.run(write("a"))
        with pytest.raises(Transient) as failed:
            store.read(Cuts.unplugged)
        assert not failed.value.ran
        assert store.read(notes) == ["a"]


def test_a_connection_whose_server_turned_read_only_is_not_used_again(url: str) -> None:
    """SQLSTATE 25006 is the answer of a former primary."""
    world = SetWorld()
    turned = sa.text("SET default_transaction_read_only = on")
    with opened(url, world) as store:
        former = store.run(backend)
        world.pass_time(_MARK)
        assert store.run(lambda tx: (tx.execute(turned), backend(tx))[1]) == former
        assert store.run(backend) != former
        assert store.run(write("a")) == "a"


def test_a_write_that_a_read_only_server_refuses_runs_again_on_another_connection(url: str) -> None:
    backends: list[int] = []

    def run(tx: Tx) -> str:
        backends.append(backend(tx))
        if len(backends) == 1:
            tx.execute(sa.text("SET TRANSACTION READ ONLY"))
        return write("a")(tx)

    with opened(url) as store:
        assert store.run(run) == "a"
    assert len(set(backends)) == 2


# -- races --------------------------------------------------------------------------------------


def test_of_two_that_take_one_key_the_later_runs_again_and_sees_the_earlier(url: str) -> None:
    """Both transactions read before either of them writes."""
    meeting = threading.Barrier(2)

    def run(tx: Tx, tries: list[None]) -> str:
        found = notes(tx)
        tries.append(None)
        if len(tries) == 1:
            meeting.wait(HANG_SECONDS)
        return "found" if found else write("one")(tx)

    with opened(url) as store:
        told = together(2, lambda _: store.run(partial(run, tries=[])))
        assert sorted(map(str, told)) == ["found", "one"]


def test_of_two_in_a_circle_of_waits_one_runs_again_and_both_take_effect(url: str) -> None:
    meeting = threading.Barrier(2)

    def add(tx: Tx, name: str, mark: str) -> None:
        changed = sa.update(NOTE).where(NOTE.c.name == name)
        tx.execute(changed.values(body=NOTE.c.body + mark))

    def run(tx: Tx, order: str, tries: list[None], other: threading.Event) -> None:
        tries.append(None)
        if len(tries) > 1:
            # Let the other end first: PostgreSQL might run this one first, into the same deadlock.
            assert other.wait(HANG_SECONDS)
        add(tx, order[0], order[0])
        if len(tries) == 1:
            meeting.wait(HANG_SECONDS)
        add(tx, order[1], order[0])

    with opened(bounded(url, deadlock_timeout="50ms")) as store:
        for name in ("a", "b"):
            store.run(write(name))
        tries: list[list[None]] = [[], []]
        ended = [threading.Event(), threading.Event()]

        def take_part(n: int) -> None:
            order, other = ("ab", "ba")[n], ended[1 - n]
            store.run(partial(run, order=order, tries=tries[n], other=other))
            ended[n].set()

        together(2, take_part)
        bodies = store.read(lambda tx: [row.body for row in tx.execute(sa.select(NOTE.c.body))])
        assert [sorted(body) for body in bodies] == [["a", "b"]] * 2
        assert sorted(map(len, tries)) == [1, 2]


def lose(tx: Tx) -> None:
    raise Stale("a row has changed")


def refuse(tx: Tx) -> None:
    """Fail like a transaction in a stricter isolation level."""
    tx.execute(sa.text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))


@pytest.mark.parametrize("race", [lose, refuse])
def test_who_loses_every_race_is_told_to_come_back_and_who_wins_one_is_answered(
    url: str, race: Callable[[Tx], None]
) -> None:
    def run(tx: Tx, losses: list[None]) -> str:
        made = write(mint(tx, "x"))(tx)
        if losses:
            losses.pop()
            race(tx)
        return made

    with opened(url) as store:
        with pytest.raises(Transient):
            store.run(partial(run, losses=[None] * TRIES_MAX))
        assert store.read(notes) == []
        made = store.run(partial(run, losses=[None] * (TRIES_MAX - 1)))
        assert store.read(notes) == [made]


# -- waits that end -----------------------------------------------------------------------------


@pytest.mark.parametrize("bound", ["lock_timeout", "statement_timeout"])
def test_a_wait_for_others_that_takes_too_long_is_a_503_and_nothing_is_changed(
    url: str, bound: str
) -> None:
    change = sa.update(NOTE).where(NOTE.c.name == "held").values(body="changed")

    def run(tx: Tx) -> int:
        write("before")(tx)
        return tx.execute(change).rowcount

    # Long enough that a busy machine does not reach it by itself.
    with opened(bounded(url, **{bound: "500ms"})) as store:
        store.run(write("held"))
        with psycopg.connect(url) as holder:
            holder.execute("SELECT * FROM test_note FOR UPDATE")
            with pytest.raises(Transient):
                store.run(run)
        assert store.read(notes) == ["held"]
        assert store.run(run) == 1


@pytest.mark.parametrize(
    "bound", ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
)
def test_every_wait_has_an_end_unless_the_operator_chose_another(url: str, bound: str) -> None:
    def told(tx: Tx) -> str:
        return str(tx.execute(sa.text(f"SHOW {bound}")).scalar_one())

    with opened(url) as store:
        assert told_seconds(store.run(told)) > 0
    with opened(bounded(url, **{bound: "7s"})) as store:
        assert told_seconds(store.run(told)) == 7


def told_seconds(setting: str) -> int:
    """Read a setting as PostgreSQL shows it; 0 means no bound."""
    return int(setting.removesuffix("s"))


def test_a_transaction_whose_owner_stood_still_lets_go_of_its_rows_and_runs_again(url: str) -> None:
    locked, go_on = threading.Event(), threading.Event()
    change = sa.update(NOTE).where(NOTE.c.name == "held").values(body="changed")

    def stand_still(tx: Tx) -> str:
        found = tx.execute(sa.select(NOTE.c.body).with_for_update()).scalar_one()
        locked.set()
        go_on.wait(HANG_SECONDS)
        write("late")(tx)
        return str(found)

    with opened(bounded(url, idle_in_transaction_session_timeout="200ms")) as store:
        store.run(write("held"))
        stopped = store.submit(stand_still)
        assert locked.wait(HANG_SECONDS)
        store.run(lambda tx: tx.execute(change))
        go_on.set()
        # The second run has read the row anew.
        assert stopped.result(HANG_SECONDS) == "changed"


# -- commits that are none ----------------------------------------------------------------------


def test_a_commit_that_answers_rollback_is_an_unknown_outcome(url: str) -> None:
    seen: list[Tx] = []

    def run(tx: Tx) -> None:
        seen.append(tx)
        write("lost")(tx)

    def spoil() -> None:
        """Abort the transaction on the server: COMMIT then succeeds with the status ROLLBACK."""
        with suppress(sa.exc.DBAPIError):
            seen[0].execute(sa.text("SELECT 1 / 0"))

    with opened(url) as store:
        with at(Point.STORE_BEFORE_COMMIT, spoil), pytest.raises(Transient) as unknown:
            store.run(run)
        assert unknown.value.ran
        assert "ROLLBACK" in str(unknown.value)
        assert store.run(write("kept")) == "kept"
        assert store.read(notes) == ["kept"]
