"""A primary with a synchronous standby: answered commits survive the loss of the primary.

The servers are real: they crash, are promoted and rebuilt; commits wait for a standby that is away.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError, Transient
from sametoken.idempotency import sql_engine, statements
from sametoken.migrations.upgrade import upgrade
from sametoken.store import postgresql
from sametoken.store.port import Tx
from sametoken.store.postgresql import PostgresqlStore
from store.creating import CREATE_NOTHING_KEPT, Caller, call
from store.standbys import Pair
from store.stores import HANG_SECONDS, metadata, notes, opened, write

# The number of callers that go on writing, each in its own lane, through a failover.
_CALLERS = 4


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Start a pair of servers; each test must leave both in working order.

    Their folder is not in pytest's, which the servers' user cannot enter.
    """
    with TemporaryDirectory(prefix="sametoken-postgresql-") as folder:
        made = Pair(Path(folder))
        try:
            made.start()
            made.ask("CREATE DATABASE plane")

            def change(connection: sa.Connection) -> None:
                upgrade(connection)
                metadata.create_all(connection)

            postgresql.change_schema(made.url("plane"), change)
            yield made
        finally:
            made.stop()


@pytest.fixture
def store(pair: Pair) -> Iterator[PostgresqlStore]:
    """Open a store whose URL names both servers, and remove all notes."""
    with opened(pair.url("plane")) as made:
        made.run(lambda tx: tx.execute(sa.text("DELETE FROM test_note")))
        yield made


# -- commits that wait --------------------------------------------------------------------------


@contextmanager
def standby_away(pair: Pair) -> Iterator[None]:
    """Stop the standby for the block, in which commits wait for it."""
    pair.standby.stop()
    try:
        yield
    finally:
        pair.standby.start()


def until_held_up(pair: Pair, count: int = 1) -> int:
    """Wait until so many commits wait for the standby; return the backend of one of them."""
    waiting = "SELECT min(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    return int(pair.until(f"{waiting} HAVING count(*) = {count}")[0][0])


def cancel(pair: Pair, pid: int, _: object) -> None:
    """Cancel the wait, as an administrator can: PostgreSQL answers with success and a warning."""
    pair.ask("SELECT pg_cancel_backend(%s)", pid)


def terminate(pair: Pair, pid: int, _: Tx) -> None:
    """End the backend, as an administrator can, or a server that is shutting down."""
    pair.ask("SELECT pg_terminate_backend(%s)", pid)


def unplug(pair: Pair, pid: int, tx: Tx) -> None:
    """Cut the network connection: the server does not notice, and goes on waiting."""
    raw: Any = tx.connection.connection.dbapi_connection
    with socket.socket(fileno=os.dup(raw.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("end", [cancel, terminate, unplug])
def test_a_commit_that_ends_before_its_standby_has_it_is_an_unknown_outcome(
    pair: Pair, store: PostgresqlStore, end: Callable[[Pair, int, Tx], None]
) -> None:
    seen: list[Tx] = []

    def run(tx: Tx) -> str:
        seen.append(tx)
        return write("unsafe")(tx)

    with standby_away(pair):
        answer = store.submit(run)
        pid = until_held_up(pair)
        assert not answer.done()
        end(pair, pid, seen[0])
        unknown = answer.exception(HANG_SECONDS)
        assert isinstance(unknown, Transient)
        assert unknown.ran
        assert len(seen) == 1, "what may have committed is not run again"
    # The commit did happen here, so a caller who asks again is answered from it.
    assert store.run(write("safe")) == "safe"
    assert store.read(notes) == ["safe", "unsafe"]


def test_a_standby_that_is_away_holds_up_commits_alone_and_they_are_answered_at_its_return(
    pair: Pair, store: PostgresqlStore
) -> None:
    store.run(write("before"))
    with standby_away(pair):
        waiting = [store.submit(write(f"n{n}"), lane=f"lane {n}") for n in range(3)]
        until_held_up(pair, 3)
        assert not any(answer.done() for answer in waiting)
        assert store.read(notes) == ["before"]
    assert [answer.result(HANG_SECONDS) for answer in waiting] == ["n0", "n1", "n2"]


def test_a_refusal_is_not_answered_before_the_standby_has_what_it_saw(
    pair: Pair, store: PostgresqlStore
) -> None:
    """The rows it read may be gone after a failover, but the caller would not ask again."""
    refusal = ServiceError("NotFound", "no such thing")

    def refuse(tx: Tx) -> None:
        notes(tx)
        raise refusal

    with standby_away(pair):
        answer = store.submit(refuse)
        until_held_up(pair)
        assert not answer.done()
    assert answer.exception(HANG_SECONDS) is refusal


def test_a_replay_that_writes_nothing_is_not_answered_before_the_standby_has_what_it_tells(
    pair: Pair, store: PostgresqlStore
) -> None:
    """An administrator may have cancelled the wait of the create that it tells of."""
    caller = Caller(store, sql_engine(b"key"))
    made = [caller.ask(call("held up"), CREATE_NOTHING_KEPT).get() for _ in range(2)]
    for other in (call("held up"), call("held up", P=2)):
        with standby_away(pair):
            answer = store.submit(
                partial(caller.engine.execute_once, call=other, operation=CREATE_NOTHING_KEPT)
            )
            until_held_up(pair)
            assert not answer.done()
        assert answer.result(HANG_SECONDS).value in (made[0], None)


def test_a_replay_that_did_not_lock_its_entry_would_be_answered_too_early(
    pair: Pair, store: PostgresqlStore
) -> None:
    """The lock is what PostgreSQL logs, and so what the commit of a replay waits for."""
    caller = Caller(store, sql_engine(b"key"))
    made = [caller.ask(call("too early"), CREATE_NOTHING_KEPT).get() for _ in range(2)]
    with standby_away(pair), patch.object(statements, "LOCK", statements.FIND):
        assert caller.ask(call("too early"), CREATE_NOTHING_KEPT).get() == made[0]


# -- the primary itself -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_restarted_is_served_again_without_a_word_from_anybody(
    pair: Pair, store: PostgresqlStore, mode: str
) -> None:
    ran: list[str] = []
    store.run(write("before"))
    pair.primary.stop(mode)
    try:
        with pytest.raises(Transient) as refused:
            store.submit(lambda tx: ran.append("x")).result(HANG_SECONDS)
        assert not refused.value.ran
        with pytest.raises(Transient):
            store.read(notes)
    finally:
        pair.primary.start()
    assert store.submit(write("later")).result(HANG_SECONDS) == "later"
    assert ran == []
    assert store.read(notes) == ["before", "later"]
    # A restart during which no caller uses the server passes without an error.
    pair.primary.stop(mode)
    pair.primary.start()
    assert store.run(write("last")) == "last"


def test_a_server_that_crashes_in_a_transaction_undoes_it_and_keeps_what_was_answered(
    pair: Pair, store: PostgresqlStore
) -> None:
    def crash(tx: Tx) -> None:
        write("lost")(tx)
        pair.primary.stop("immediate")
        tx.execute(sa.text("SELECT 1"))

    store.run(write("before"))
    try:
        with pytest.raises(Transient):
            store.run(crash)
    finally:
        pair.primary.start()
    assert store.read(notes) == ["before"]
    assert store.run(write("after")) == "after"


def test_news_between_nodes_goes_on_after_a_restart(pair: Pair, store: PostgresqlStore) -> None:
    with opened(pair.url("plane")) as there:
        heard = there.listen("work")
        heard.clear()
        pair.primary.stop("immediate")
        pair.primary.start()
        # After a reconnect all channels are announced, since any news may have been lost.
        assert heard.wait(HANG_SECONDS)
        heard.clear()
        for _ in range(int(HANG_SECONDS)):
            with suppress(Transient):
                store.run(lambda tx: tx.wake("work"))
            if heard.wait(1.0):
                return
        raise AssertionError("no news comes through")


# -- failover -----------------------------------------------------------------------------------


class Callers:
    """Callers that write one note after another until they are stopped, and keep each answer."""

    def __init__(self, store: PostgresqlStore) -> None:
        self.answered: set[str] = set()
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        self._store = store
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(caller,)) for caller in range(_CALLERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(HANG_SECONDS)
            assert not thread.is_alive(), "a caller hangs"

    def until_answered(self, more: int) -> None:
        """Wait until `more` further notes have been answered."""
        target = len(self.answered) + more
        for _ in range(int(HANG_SECONDS / 0.01)):
            if len(self.answered) >= target:
                return
            threading.Event().wait(0.01)
        raise AssertionError("they are not answered any more")

    def _write(self, caller: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{caller}-{number}"
            try:
                self._store.submit(write(name), lane=str(caller)).result(HANG_SECONDS)
                self.answered.add(name)
            except Transient as failed:
                (self.unknown if failed.ran else self.refused).add(name)
                # Pause, as a client does, rather than call a server that is down as fast as it can.
                self._stop.wait(0.02)


def test_what_was_answered_is_there_after_each_failover_and_what_was_refused_is_not(
    pair: Pair, store: PostgresqlStore
) -> None:
    """Fail over and back, under load; the store finds the new primary by itself."""
    callers = Callers(store)
    callers.start()
    try:
        for _ in range(2):
            callers.until_answered(_CALLERS * 3)
            pair.fence()
            pair.take_over()
            pair.rejoin()
        callers.until_answered(_CALLERS * 3)
    finally:
        callers.finish()
    there = set(store.read(notes))
    assert callers.answered <= there
    assert not callers.refused & there
    assert there <= callers.answered | callers.unknown


def test_a_commit_that_its_standby_never_saw_was_not_answered_and_is_gone_after_the_failover(
    pair: Pair, store: PostgresqlStore
) -> None:
    """A repeat takes effect, once."""
    with standby_away(pair):
        answer = store.submit(write("unsafe"))
        until_held_up(pair)
        pair.fence()
    unknown = answer.exception(HANG_SECONDS)
    assert isinstance(unknown, Transient)
    assert unknown.ran
    pair.take_over()
    pair.rejoin()
    assert store.read(notes) == []
    assert store.run(write("unsafe")) == "unsafe"
    assert store.read(notes) == ["unsafe"]


def test_a_refusal_for_what_its_standby_may_never_see_is_an_unknown_outcome(
    pair: Pair, store: PostgresqlStore
) -> None:
    """A caller deletes, gets a 503 and asks again; a "does not exist" would end its retries."""

    def refuse(tx: Tx) -> None:
        assert notes(tx) == ["unsafe"]
        raise ServiceError("InvalidNote.NotFound", "There is none.")

    with standby_away(pair):
        answer = store.submit(write("unsafe"))
        cancel(pair, until_held_up(pair), answer)
        assert isinstance(answer.exception(HANG_SECONDS), Transient)
        refusal = store.submit(refuse)
        pid = until_held_up(pair)
        assert not refusal.done()
        cancel(pair, pid, refusal)
        assert isinstance(refusal.exception(HANG_SECONDS), Transient)
    with pytest.raises(ServiceError):
        store.run(refuse)


def test_of_several_hosts_the_one_that_takes_writes_is_used_whichever_is_named_first(
    pair: Pair,
) -> None:
    for order in (pair.servers, pair.servers[::-1]):
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in order)
        with opened(f"postgresql://sametoken@{hosts}/plane") as store:
            port = store.run(lambda tx: tx.execute(sa.text("SHOW port")).scalar_one())
            assert port == str(pair.primary.port)
