"""Readers: they see a writer's commits, and change neither the database nor its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken.errors import Misconfigured, Transient
from sametoken.store.pgreading import PostgresqlReader
from sametoken.store.port import Store, Tx
from sametoken.store.reading import TRIES_MAX, Check, FileReader, Reads
from store.stores import Database, PostgresqlDatabase, SqliteDatabase, notes, write
from store.worlds import START, SetWorld


def pass_all(connection: sa.Connection) -> None:
    """Let every database be read."""


def reader_of(database: Database, check: Check = pass_all) -> Reads:
    if isinstance(database, SqliteDatabase):
        return FileReader(database.path, SetWorld(), check)
    assert isinstance(database, PostgresqlDatabase)
    return PostgresqlReader(database.url, SetWorld(), check, name="the test's")


@pytest.fixture
def file(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path)


def test_a_reader_sees_each_commit_of_an_open_store(database: Database, store: Store) -> None:
    reader = reader_of(database)
    for count in range(3):
        assert reader.read(notes) == [f"note-{number}" for number in range(count)]
        store.run(write(f"note-{count}"))


def test_a_reader_sees_what_a_closed_store_has_written(database: Database, world: SetWorld) -> None:
    with database.open(world) as store:
        store.run(write("kept"))
    assert reader_of(database).read(notes) == ["kept"]


def test_a_reader_cannot_write(database: Database, world: SetWorld) -> None:
    with pytest.raises(Misconfigured, match="read"):
        reader_of(database).read(write("never"))
    with database.open(world), pytest.raises(Misconfigured, match="read"):
        reader_of(database).read(write("never"))
    assert reader_of(database).read(notes) == []


def test_a_reader_asks_its_check_first_and_in_the_same_snapshot(database: Database) -> None:
    def refuse(connection: sa.Connection) -> None:
        assert connection.execute(sa.text("SELECT count(*) FROM test_note")).scalar() == 0
        raise Misconfigured("not this one")

    def run(tx: Tx) -> None:
        raise AssertionError("it was refused")

    with pytest.raises(Misconfigured, match="not this one"):
        reader_of(database, refuse).read(run)


def test_a_reader_of_a_file_has_the_clock_of_the_store(file: SqliteDatabase) -> None:
    assert reader_of(file).read(lambda tx: tx.now) == START


# -- a file that is opened by a server while it is read -----------------------------------------


def written_during(file: SqliteDatabase, times: int) -> Callable[[Tx], list[str]]:
    """Make a read during whose first `times` runs a server starts, writes a note and stops."""
    names = iter([f"note-{number}" for number in range(times)])

    def run(tx: Tx) -> list[str]:
        found = notes(tx)
        for name in names:
            with file.open(SetWorld()) as store:
                store.run(write(name))
            break
        return found

    return run


def test_what_was_read_while_a_server_came_is_read_again(file: SqliteDatabase) -> None:
    assert reader_of(file).read(written_during(file, 2)) == ["note-0", "note-1"]


def test_a_refusal_of_what_a_server_was_changing_is_not_believed(file: SqliteDatabase) -> None:
    changing = written_during(file, 1)

    def refuse(tx: Tx) -> list[str]:
        found = changing(tx)
        if not found:
            raise Misconfigured("there is no note")
        return found

    assert reader_of(file).read(refuse) == ["note-0"]


def test_a_file_that_never_stands_still_is_given_up(file: SqliteDatabase) -> None:
    with pytest.raises(Transient, match="changes while it is read") as given_up:
        reader_of(file).read(written_during(file, TRIES_MAX))
    assert not given_up.value.ran


class Hindered(sqlite3.Connection):
    """A connection whose first read meets a log whose index a server is about to make."""

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if statement.startswith("SELECT"):
            error = sqlite3.OperationalError("attempt to write a readonly database")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY_CANTINIT
            raise error
        return super().execute(statement, *parameters)


def test_an_index_that_is_being_made_is_waited_for(
    file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    ways: list[str] = []

    def hindering(where: str, **more: Any) -> Any:
        ways.append(where.partition("?")[2])
        if "readonly_shm" in where:
            more["factory"] = Hindered
        return connect(where, **more)

    with file.open(SetWorld()) as store:
        store.run(write("kept"))
        monkeypatch.setattr(sqlite3, "connect", hindering)
        assert reader_of(file).read(notes) == ["kept"]
    assert ways == ["mode=ro&readonly_shm=1", "mode=ro"]
