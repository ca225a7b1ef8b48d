"""Expand, then contract: when a program applies, delays, serves or refuses a schema."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
import sqlalchemy as sa

from clients.process import until
from sametoken.errors import Misconfigured
from sametoken.migrations import history
from sametoken.migrations.history import Applied
from sametoken.migrations.upgrade import (
    SCRIPTS,
    check_current,
    contract,
    current,
    head,
    revisions,
    upgrade,
    waiting,
)
from sametoken.node import Node
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.operate.schema import contract_schema
from sametoken.settings import Database, Settings, database_of, read_database
from sametoken.store import clock, nodes, postgresql, sqlite
from sametoken.store.gate import register_node
from sametoken.store.nodes import Heartbeat
from sametoken.world import RealWorld
from store import servers
from store.next_release import CONTRACTING, EXPANDING, EXPANDING_AGAIN, Added, scripts

Change = Callable[[sa.Connection], None]


class Schema(Protocol):
    """A database, empty at first, and the way to change its schema."""

    @property
    def database(self) -> Database: ...
    def change(self, change: Change) -> None: ...


class OnSqlite:
    def __init__(self, folder: Path) -> None:
        self.database = database_of(folder / "plane.db")

    def change(self, change: Change) -> None:
        assert self.database.file is not None, "it is a file"
        sqlite.change_schema(self.database.file, change)


class OnPostgresql:
    def __init__(self, folder: Path) -> None:
        self.database = read_database(servers.new_database(), folder / "plane.key")

    def change(self, change: Change) -> None:
        postgresql.change_schema(self.database.url, change)


@pytest.fixture(params=[OnSqlite, OnPostgresql])
def schema(request: pytest.FixtureRequest, tmp_path: Path) -> Schema:
    made: Schema = request.param(tmp_path)
    return made


@pytest.fixture
def shared(tmp_path: Path) -> OnPostgresql:
    """Make a database that nodes can share, with this program's schema."""
    made = OnPostgresql(tmp_path)
    made.change(upgrade)
    return made


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., str]:
    """Return a function that makes releases with more revisions than this one."""

    def make(*added: Added) -> str:
        return scripts(tmp_path / "-".join(["release", *(one.id for one in added)]), *added)

    return make


def seen(schema: Schema) -> tuple[str | None, list[str]]:
    """Return the database's revision, and the revisions that were applied to it."""
    found: list[tuple[str | None, list[str]]] = []

    def look(connection: sa.Connection) -> None:
        applied = history.applied(connection)
        found.append((current(connection), [one.revision for one in applied]))

    schema.change(look)
    return found[0]


def living(*nodes: Heartbeat) -> Callable[[], Sequence[Heartbeat]]:
    return lambda: nodes


VERSION = version("sametoken")
OURS = [one.id for one in revisions()]


# -- revisions that are applied -----------------------------------------------------------------


def test_opening_applies_what_expands_and_stops_before_what_contracts(
    schema: Schema, release: Callable[..., str]
) -> None:
    schema.change(upgrade)
    newer = release(EXPANDING, CONTRACTING)
    for _ in range(2):
        schema.change(partial(upgrade, scripts=newer))
        assert seen(schema) == ("1001", [*OURS, "1001"])
    late: list[str] = []
    schema.change(lambda connection: late.extend(waiting(connection, newer)))
    assert late == ["1002"]


def test_what_was_applied_is_on_record_with_its_phase_and_the_version(schema: Schema) -> None:
    schema.change(upgrade)
    found: list[Applied] = []
    schema.change(lambda connection: found.extend(history.applied(connection)))
    assert [one.revision for one in found] == OURS
    assert [one.phase for one in found] == [one.phase for one in revisions()]
    assert all(one.version for one in found)


def test_an_empty_database_gets_everything_at_once(
    schema: Schema, release: Callable[..., str]
) -> None:
    newer = release(EXPANDING, CONTRACTING, EXPANDING_AGAIN)
    schema.change(partial(upgrade, scripts=newer))
    assert seen(schema) == ("1003", [*OURS, "1001", "1002", "1003"])


def test_a_release_that_builds_upon_what_still_waits_is_told_so(
    schema: Schema, release: Callable[..., str]
) -> None:
    schema.change(upgrade)
    newer = release(EXPANDING, CONTRACTING, EXPANDING_AGAIN)
    with pytest.raises(Misconfigured, match="needs revision 1003, and before it 1002") as refused:
        schema.change(partial(upgrade, scripts=newer))
    assert "sametoken migrate --contract" in str(refused.value)
    assert seen(schema) == (head(), OURS)
    schema.change(partial(contract, living=living(), scripts=newer))
    assert seen(schema) == ("1003", [*OURS, "1001", "1002", "1003"])
    schema.change(partial(upgrade, scripts=newer))


def test_an_empty_database_is_contracted_too(schema: Schema, release: Callable[..., str]) -> None:
    newer = release(EXPANDING, CONTRACTING)
    schema.change(partial(contract, living=living(), scripts=newer))
    assert seen(schema) == ("1002", [*OURS, "1001", "1002"])


# -- a database that is newer than the program --------------------------------------------------


def test_a_database_with_unknown_additions_is_served_and_that_is_logged(
    schema: Schema, release: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    schema.change(partial(upgrade, scripts=release(EXPANDING)))
    with caplog.at_level(logging.INFO), open_store(schema.database, RealWorld()) as store:
        assert store.read(lambda tx: current(tx.connection)) == "1001"
    assert f"revision 1001 of a newer sametoken; this one ({VERSION}" in caplog.text
    assert seen(schema) == ("1001", [*OURS, "1001"])


def test_a_database_from_which_something_was_taken_away_is_refused_naming_both(
    schema: Schema, release: Callable[..., str]
) -> None:
    newer = release(EXPANDING, CONTRACTING, EXPANDING_AGAIN)
    schema.change(partial(upgrade, scripts=newer))
    with (
        pytest.raises(
            Misconfigured, match=r"at revision 1003: .* has taken away \(1002\)"
        ) as refused,
        open_store(schema.database, RealWorld()),
    ):
        pass
    assert f"this version ({VERSION}, revision {head()})" in str(refused.value)
    with pytest.raises(Misconfigured, match="1002"):
        contract_schema(schema.database)
    assert seen(schema)[0] == "1003"


def test_a_database_of_another_line_of_descent_is_refused(
    schema: Schema, release: Callable[..., str]
) -> None:
    """Both know revision 0001, but the others that this program needs were never applied."""
    schema.change(partial(upgrade, scripts=release(EXPANDING)))
    sibling = release(Added("1501", "expand", EXPANDING_AGAIN.does))
    with pytest.raises(
        Misconfigured, match=r"at revision 1001, which this version .* revision 1501"
    ):
        schema.change(partial(upgrade, scripts=sibling))


def test_a_database_is_used_as_it_is_unless_something_is_missing_that_is_used(
    schema: Schema, release: Callable[..., str]
) -> None:
    schema.change(upgrade)
    newer = release(EXPANDING, CONTRACTING)
    check = partial(check_current, name="the test's", scripts=newer)
    with pytest.raises(Misconfigured, match=f"the test's is at revision {head()}") as refused:
        schema.change(check)
    assert "needs revision 1001. Run `sametoken migrate`" in str(refused.value)
    assert seen(schema) == (head(), OURS)
    schema.change(partial(upgrade, scripts=newer))
    for program in (newer, SCRIPTS):
        schema.change(partial(check, scripts=program))
    assert seen(schema) == ("1001", [*OURS, "1001"])


# -- while older nodes run ----------------------------------------------------------------------


def test_nothing_is_taken_away_while_a_node_lives_that_may_use_it(
    schema: Schema, release: Callable[..., str]
) -> None:
    schema.change(upgrade)
    newer = release(EXPANDING, CONTRACTING)
    old = Heartbeat("a", "http://old.example", "0.1.0", head())
    between = Heartbeat("b", None, "0.2.0", "1001")
    new = Heartbeat("c", "http://new.example", "0.3.0", "1002")
    newest = Heartbeat("d", "http://newest.example", "0.4.0", "2001")
    with pytest.raises(Misconfigured, match="revision 1002 takes away") as refused:
        schema.change(partial(contract, living=living(old, new, between), scripts=newer))
    assert f"http://old.example (sametoken 0.1.0, revision {head()})" in str(refused.value)
    assert "a worker (sametoken 0.2.0, revision 1001)" in str(refused.value)
    assert "new.example" not in str(refused.value)
    assert seen(schema) == (head(), OURS)

    schema.change(partial(contract, living=living(new, newest), scripts=newer))
    assert seen(schema) == ("1002", [*OURS, "1001", "1002"])


def test_a_node_counts_until_it_has_not_been_heard_of_for_long(shared: OnPostgresql) -> None:
    node = Heartbeat("a", "http://here.example", "0.1.0", head())
    found: list[list[Heartbeat]] = []

    def look(connection: sa.Connection) -> None:
        found.append(nodes.lock(connection))

    with open_store(shared.database, RealWorld()) as store:
        store.run(partial(nodes.beat, node=node))
        shared.change(look)
        store.run(lambda tx: clock.advance(tx, nodes.FRESH))
        store.run(lambda tx: clock.advance(tx, nodes.FRESH))
        shared.change(look)
        store.run(partial(nodes.beat, node=node))
        store.run(partial(nodes.leave, node=node))
        shared.change(look)
    assert found == [[node], [], []]


@contextmanager
def contracting(shared: OnPostgresql, newer: str) -> Iterator[threading.Event]:
    """Contract with the newer release, whose commit waits until the yielded event is set."""
    looked, may_commit = threading.Event(), threading.Event()

    def change(connection: sa.Connection) -> None:
        contract(connection, partial(nodes.lock, connection), newer)
        looked.set()
        assert may_commit.wait(20), "it is let go on"

    thread = threading.Thread(target=shared.change, args=(change,))
    thread.start()
    try:
        assert looked.wait(20), "nobody is in its way"
        yield may_commit
    finally:
        may_commit.set()
        thread.join()


def waits_for_a_lock(shared: OnPostgresql) -> bool:
    with psycopg.connect(shared.database.url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_class ON oid = relation"
            " WHERE NOT granted AND relname = 'node'"
        ).fetchone()
    return found is not None and found[0] > 0


def test_a_node_that_starts_while_something_is_taken_away_finds_out(
    shared: OnPostgresql, release: Callable[..., str]
) -> None:
    """The node has opened the database before, and its first beat comes too late to be seen."""
    newer = release(EXPANDING, CONTRACTING)
    with open_store(shared.database, RealWorld()) as store:
        engine = prepared(store, shared.database, RealWorld())
        node = Node(Settings(shared.database), store, engine)
        fates: list[Exception | None] = []

        def beat() -> None:
            try:
                store.run(node.beat)
                fates.append(None)
            except Misconfigured as outdated:
                fates.append(outdated)

        late = threading.Thread(target=beat)
        with contracting(shared, newer) as may_commit:
            late.start()
            until(lambda: waits_for_a_lock(shared), "the beat waits for the change")
            may_commit.set()
        late.join()
        assert store.read(nodes.living) == []
    assert "has taken away (1002)" in str(fates[0])


def test_a_file_is_contracted_only_while_nobody_serves_it(tmp_path: Path) -> None:
    database = database_of(tmp_path / "plane.db")
    server = register_node(tmp_path / "plane.db")
    with pytest.raises(Misconfigured, match="another sametoken server already runs"):
        contract_schema(database)
    server.close()
    contract_schema(database)
    register_node(tmp_path / "plane.db").close()


class Hasty(RealWorld):
    """A world in which every wait is short."""

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        return super().wait(signal, min(seconds, 0.02))


def test_a_node_that_was_taken_for_dead_ends_when_it_finds_its_schema_gone(
    shared: OnPostgresql, release: Callable[..., str]
) -> None:
    with open_store(shared.database, RealWorld()) as store:
        engine = prepared(store, shared.database, RealWorld())
        node = Node(Settings(shared.database), store, engine, Hasty())
        ended: list[Exception] = []

        def serve() -> None:
            try:
                asyncio.run(node.serve(asyncio.Event()))
            except Misconfigured as outdated:
                ended.append(outdated)

        serving = threading.Thread(target=serve)
        serving.start()
        until(lambda: store.read(nodes.living), "it has told that it lives")
        newer = release(EXPANDING, CONTRACTING)
        shared.change(partial(contract, living=living(), scripts=newer))
        serving.join(30)
        assert not serving.is_alive()
        assert store.read(nodes.living) == []
    assert "Use the newer version." in str(ended[0])


# -- beside others' locks -----------------------------------------------------------------------


def test_a_change_that_met_others_is_made_again_and_only_once(shared: OnPostgresql) -> None:
    tries: list[str] = []

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE made (once INTEGER)"))
        tries.append(str(connection.execute(sa.text("SHOW lock_timeout")).scalar_one()))
        if len(tries) < 3:
            state = ("40P01", "55P03")[len(tries) - 1]
            connection.execute(sa.text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))

    shared.change(change)
    assert tries == [f"{postgresql.SCHEMA_LOCK_SECONDS}s"] * 3
    with psycopg.connect(shared.database.url) as connection:
        assert connection.execute("SELECT count(*) FROM made").fetchone() == (0,)


def test_a_change_that_always_meets_others_is_given_up_with_a_sentence(
    shared: OnPostgresql,
) -> None:
    tries: list[None] = []

    def change(connection: sa.Connection) -> None:
        tries.append(None)
        connection.execute(sa.text("DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$"))

    with pytest.raises(Misconfigured, match="cannot be brought up to date"):
        shared.change(change)
    assert len(tries) == postgresql.SCHEMA_TRIES_MAX
