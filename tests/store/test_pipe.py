"""Statements that travel together: their errors come later, and none is lost on the way."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.store import pgconnect, pgpipe
from sametoken.store.dialects import Text
from sametoken.store.engines import POSTGRESQL, engine_for
from sametoken.store.pgpipe import Pipe, Piped
from sametoken.store.port import Tx
from sametoken.store.postgresql import PostgresqlStore
from store import servers
from store.stores import HANG_SECONDS, NOTE, at, migrated_database, notes, opened, write

INSERT = Text("INSERT INTO test_note (name, body) VALUES (?, ?)")
COUNT = Text("SELECT count(*) FROM test_note WHERE name = ?")
_INSERT_NOTES = sa.insert(NOTE)
_BODIES = sa.select(NOTE.c.body, NOTE.c.twin).order_by(NOTE.c.name)
_DELETE = sa.delete(NOTE)
SAY = Text("SELECT CAST(? AS text)")


@pytest.fixture
def url() -> Iterator[str]:
    made = migrated_database()
    yield made
    servers.drop_database(made)


@pytest.fixture
def store(url: str) -> Iterator[PostgresqlStore]:
    with opened(url) as made:
        yield made


@pytest.fixture
def pipe(url: str) -> Iterator[Pipe]:
    """A pipe on a connection of its own."""
    connection = Piped(engine_for(POSTGRESQL, lambda: pgconnect.connect(url)))
    yield connection.pipe
    connection.invalidate()
    connection.close()


def insert(tx: Tx, name: str) -> Any:
    return tx.send(INSERT, (name, ""))


# -- errors that come late ----------------------------------------------------------------------


def broken(tx: Tx) -> str:
    """Insert a row that breaks a constraint, as no race does, and do not look at the answer."""
    insert(tx, "first")
    tx.send(Text("INSERT INTO test_note (name, body) VALUES (?, NULL)"), ("second",))
    return "made"


def test_an_error_that_nobody_looks_at_is_told_and_nothing_is_committed(
    store: PostgresqlStore,
) -> None:
    for _ in range(2):
        with pytest.raises(sa.exc.IntegrityError, match="body"):
            store.run(broken)
        assert store.read(notes) == []


def test_a_pipe_that_read_only_the_answers_that_are_looked_at_would_be_caught(
    store: PostgresqlStore,
) -> None:
    """Plant the bug: errors of statements that nobody looks at are dropped."""

    def receive(self: Pipe) -> None:
        real(self)

    real = Pipe._receive
    told_otherwise = (Transient, pytest.fail.Exception)
    with patch.object(Pipe, "_receive", receive), pytest.raises(told_otherwise):
        test_an_error_that_nobody_looks_at_is_told_and_nothing_is_committed(store)


def test_a_race_that_is_told_with_the_commit_runs_again_and_takes_effect_once(
    store: PostgresqlStore, url: str
) -> None:
    """Another transaction takes the key after this one looked, and before its insert arrives."""
    ran: list[int] = []

    def run(tx: Tx) -> str:
        [[found]] = tx.send(COUNT, ("key",))
        ran.append(found)
        if found:
            return "found"
        insert(tx, "key")
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("INSERT INTO test_note (name, body) VALUES ('key', 'theirs')")
        return "made"

    assert store.run(run) == "found"
    assert ran == [0, 1]
    assert store.read(notes) == ["key"]


def test_a_refusal_is_not_told_where_a_statement_before_it_had_failed(
    store: PostgresqlStore,
) -> None:
    def refuse(tx: Tx) -> None:
        broken(tx)
        raise ServiceError("NotFound", "no such thing")

    with pytest.raises(sa.exc.IntegrityError):
        store.run(refuse)


def test_an_error_inside_a_savepoint_is_told_before_the_savepoint_is_undone(
    store: PostgresqlStore,
) -> None:
    def run(tx: Tx) -> str:
        insert(tx, "before")
        with pytest.raises(sa.exc.IntegrityError), tx.savepoint():
            broken(tx)
            raise ServiceError("Capacity", "none left", binds_token=True)
        insert(tx, "after")
        return "made"

    assert store.run(run) == "made"
    assert store.read(notes) == ["after", "before"]


def test_a_savepoint_undoes_what_was_under_way(store: PostgresqlStore) -> None:
    def run(tx: Tx) -> None:
        insert(tx, "before")
        with suppress(ServiceError), tx.savepoint():
            insert(tx, "inside")
            raise ServiceError("Capacity", "none left", binds_token=True)
        with tx.savepoint():
            insert(tx, "kept")

    store.run(run)
    assert store.read(notes) == ["before", "kept"]


def test_to_look_at_what_was_skipped_raises(pipe: Pipe) -> None:
    pipe.send("BEGIN")
    failing = pipe.send("SELECT 1 / CAST(%s AS integer)", (0,))
    skipped = pipe.send("SELECT 1")
    with pytest.raises(sa.exc.DBAPIError, match="division by zero"):
        pipe.settle()
    assert not failing.skipped
    assert skipped.skipped
    for reply, said in ((failing, "division by zero"), (skipped, "skipped")):
        with pytest.raises(sa.exc.DBAPIError, match=said) as told:
            reply.fetchall()
        assert not pgconnect.is_unusable(told.value)
    # Prepared again: the server has skipped the preparation as well.
    pipe.send("ROLLBACK")
    assert pipe.send("SELECT 1").fetchall() == [(1,)]


def test_a_warning_of_another_statement_is_no_warning_of_the_commit(
    store: PostgresqlStore,
) -> None:
    """A COMMIT that warns has an unknown outcome."""

    def run(tx: Tx) -> str:
        tx.send(Text("DO 'BEGIN RAISE WARNING ''a word''; END'"))
        insert(tx, "made")
        return "made"

    assert store.run(run) == "made"
    assert store.read(notes) == ["made"]


# -- connections that break ---------------------------------------------------------------------


def shut(pipe: Pipe) -> None:
    """Cut the network connection, which the server does not notice; drop what has arrived."""
    with socket.socket(fileno=os.dup(pipe._pgconn.socket)) as line:
        with suppress(BlockingIOError):
            line.recv(1_000_000, socket.MSG_DONTWAIT)
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut_once(name: str, *, before: bool, when: Callable[[Pipe], bool]) -> Iterator[None]:
    """Cut the connection around a step of `Pipe`, the first time that `when` says so."""
    real, left = getattr(Pipe, name), ["cut"]

    def step(self: Pipe, *rest: Any) -> Any:
        cuts = left and when(self)
        if cuts and before:
            left.clear()
            shut(self)
        done = real(self, *rest)
        if cuts and not before:
            left.clear()
            # The server has got all of it, and answers to nobody.
            _await_idle(self)
            shut(self)
        return done

    with patch.object(Pipe, name, step):
        yield
    assert not left


def _await_idle(pipe: Pipe) -> None:
    """Wait until the server has carried out what it was sent."""
    done = "SELECT state = 'idle' FROM pg_stat_activity WHERE pid = %s"
    with psycopg.connect(servers.shared().url(), autocommit=True) as onlooker:
        for _ in range(int(HANG_SECONDS / 0.01)):
            [(is_idle,)] = onlooker.execute(done, (pipe._pgconn.backend_pid,)).fetchall()
            if is_idle:
                return
            pipe._usable.poll(10)
    raise AssertionError("the server does not come to an end")


def _commits(pipe: Pipe) -> bool:
    sent = [*pipe._sent, *(reply for reply, _ in pipe._unsent)]
    return any(reply is not None and reply.sql == "COMMIT" for reply in sent)


@pytest.mark.parametrize("before", [True, False])
def test_a_connection_cut_while_a_commit_is_under_way_is_an_unknown_outcome(
    store: PostgresqlStore, *, before: bool
) -> None:
    """Cut before the COMMIT can leave, and after the server has carried it out."""
    ran: list[None] = []

    def run(tx: Tx) -> None:
        ran.append(None)
        insert(tx, "one")

    step = "_hand_over" if before else "_write"
    with (
        cut_once(step, before=before, when=_commits),
        pytest.raises(Transient) as unknown,
    ):
        store.run(run)
    assert unknown.value.ran
    assert len(ran) == 1, "what may have committed is not run again"
    assert store.read(notes) == ([] if before else ["one"])
    assert store.run(write("kept")) == "kept"


def test_a_lost_connection_taken_for_the_servers_word_would_be_caught(
    store: PostgresqlStore,
) -> None:
    """Plant the bug: whatever follows a lost connection counts as skipped, the COMMIT too."""

    def lose(self: Pipe, error: Exception) -> Any:
        self._skips = True
        return real(self, error)

    real = Pipe._lose
    judge = test_a_connection_cut_while_a_commit_is_under_way_is_an_unknown_outcome
    with patch.object(Pipe, "_lose", lose), pytest.raises(pytest.fail.Exception):
        judge(store, before=True)


def test_a_statement_that_failed_before_the_connection_broke_has_not_committed(
    store: PostgresqlStore, url: str
) -> None:
    """The server tells that it is ended by an administrator, and takes no COMMIT after that."""
    ran: list[None] = []

    def run(tx: Tx) -> str:
        ran.append(None)
        insert(tx, "one")
        if len(ran) == 1:
            tx.send(Text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return "made"

    assert store.run(run) == "made"
    assert len(ran) == 2
    assert store.read(notes) == ["one"]


def test_a_read_that_has_ended_leaves_nothing_open_and_its_connection_is_used_again(
    store: PostgresqlStore, url: str
) -> None:
    store.run(write("a"))
    for _ in range(3):
        assert store.read(notes) == ["a"]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%%' AND datname = %s"
    with psycopg.connect(url, autocommit=True) as onlooker:
        for _ in range(int(HANG_SECONDS / 0.01)):
            [(open_transactions,)] = onlooker.execute(waiting, (url.rsplit("/", 1)[1],)).fetchall()
            if not open_transactions:
                return
    raise AssertionError("a snapshot is kept")


# -- values and statements ----------------------------------------------------------------------


def test_values_arrive_as_they_are(pipe: Pipe) -> None:
    texts = ["", "%s", "100%", "ü€𝄞", "'; --", "\\", "\x01", "line\nline", "{}", "NULL"]
    for text in texts:
        assert pipe.send("SELECT CAST(%s AS text), '%%s'", (text,)).fetchall() == [(text, "%s")]
    numbers = [0, -1, 2**31, 2**63 - 1, -(2**63)]
    for number in numbers:
        assert pipe.send("SELECT CAST(%s AS bigint)", (number,)).fetchall() == [(number,)]
    for value in (True, False, None):
        assert pipe.send("SELECT CAST(%s AS boolean)", (value,)).fetchall() == [(value,)]


def test_rows_that_are_inserted_together_arrive_as_they_are(store: PostgresqlStore) -> None:
    """Their values travel as one array for each column."""
    texts = ["", "NULL", '"', "\\", '\\"', "{a,b}", "a,b", " ", "ü€𝄞", "line\nline", "%s", "null"]
    rows = [{"name": f"{n:02}", "body": text, "twin": None} for n, text in enumerate(texts)]
    for _ in range(3):
        store.run(lambda tx: tx.execute(_DELETE, {}))
        store.run(lambda tx: tx.execute(_INSERT_NOTES, rows))
        read = store.read(lambda tx: [(one.body, one.twin) for one in tx.execute(_BODIES)])
        assert read == [(text, None) for text in texts]
    with pytest.raises(Transient, match="NUL"):
        store.run(lambda tx: tx.execute(_INSERT_NOTES, [{**rows[0], "body": "\0"}, rows[1]]))


def test_a_text_with_a_nul_is_refused_and_not_cut_off(store: PostgresqlStore) -> None:
    with pytest.raises(Transient, match="NUL"):
        store.run(lambda tx: insert(tx, "before\0after"))
    assert store.read(notes) == []


def test_more_than_the_network_holds_travels_both_ways_at_once(pipe: Pipe) -> None:
    """The server stops to read while nobody reads its answers."""
    text = "x" * 1_000_000
    replies = [pipe.send("SELECT CAST(%s AS text)", (text,)) for _ in range(40)]
    pipe.settle()
    assert all(reply.fetchall() == [(text,)] for reply in replies)


def test_old_preparations_are_forgotten_and_made_again(pipe: Pipe) -> None:
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'sametoken%%'"
    with patch.object(pgpipe, "PREPARED_MAX", 5):
        for _ in range(2):
            for number in range(12):
                assert pipe.send(f"SELECT {number}").fetchall() == [(number,)]
        [(count,)] = pipe.send(prepared).fetchall()
        assert count == 5


def test_a_prepared_statement_whose_table_has_changed_runs_again(
    store: PostgresqlStore, url: str
) -> None:
    """As where a newer node expands the schema."""
    everything = Text("SELECT * FROM test_note")
    store.run(write("a"))
    for _ in range(2):
        assert len(store.run(lambda tx: tx.send(everything)[0])) == 3
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("ALTER TABLE test_note ADD COLUMN more text")
    assert len(store.run(lambda tx: tx.send(everything)[0])) == 4


def test_an_answer_may_be_looked_at_after_the_commit(store: PostgresqlStore) -> None:
    said = store.run(lambda tx: tx.send(SAY, ("word",)))
    counted = store.run(lambda tx: insert(tx, "a"))
    assert list(said) == [("word",)]
    assert counted.rowcount == 1


def test_nothing_is_waited_for_between_a_look_and_the_commit(store: PostgresqlStore) -> None:
    """BEGIN, the look and the COMMIT each wait once, however many rows are written."""
    store.run(lambda tx: [tx.send(COUNT, ("x",))[0], insert(tx, "warm")])
    waits: list[None] = []
    real = Pipe._write

    def counted(self: Pipe) -> None:
        waits.append(None)
        real(self)

    def run(tx: Tx) -> None:
        insert(tx, "a")
        assert tx.send(COUNT, ("a",))[0] == (1,)
        for name in "bcdefgh":
            insert(tx, name)

    with patch.object(Pipe, "_write", counted), at(Point.STORE_COMMITTED, lambda: None):
        store.run(run)
    assert len(waits) == 3
