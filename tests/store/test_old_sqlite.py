"""Every statement is SQL of the oldest SQLite that we serve, and an older SQLite is refused."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.compiler import SQLCompiler

import sametoken
from sametoken.cli import main
from sametoken.errors import Misconfigured
from sametoken.idempotency import create_tables, join
from sametoken.migrations.tables import METADATA
from sametoken.store import dialects, sqlite
from sametoken.store.dialects import ByDialect, Text
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.oldest import OLDEST, check_sqlite
from store.old_sqlite import refused_by_old_sqlite

DIALECT = engine_for(SQLITE, lambda: None).dialect
STATEMENTS = (sa.Select, sa.Insert, sa.Update, sa.Delete, sa.TextClause, sa.CompoundSelect)
# Beginnings of the statements that are written as text.
VERBS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ")
# Mark statements for PostgreSQL alone, which are never sent to SQLite.
POSTGRESQL_ONLY = ("clock_timestamp", "pg_", "::")
# The store's modules for PostgreSQL, whose texts are its own.
POSTGRESQL_MODULES = ("sametoken.store.pg", "sametoken.store.postgresql", "sametoken.store.news")


def constants() -> Iterator[str]:
    """The SQL of each statement that a module of ours holds, as SQLite gets it."""
    for module in pkgutil.walk_packages(sametoken.__path__, "sametoken."):
        if ".migrations." in module.name or module.name.startswith(POSTGRESQL_MODULES):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            yield from written(value)


def written(value: Any) -> Iterator[str]:
    match value:
        case Text():
            yield value.for_driver[dialects.SQLITE]
        case ByDialect():
            yield from written(value.written_for(dialects.SQLITE))
        case sa.sql.ClauseElement() if isinstance(value, STATEMENTS):
            compiled = value.compile(dialect=DIALECT)
            assert isinstance(compiled, SQLCompiler), "these are compiled to SQL"
            values = {name: [1, 2] if one.expanding else 1 for name, one in compiled.binds.items()}
            yield compiled.construct_expanded_state(values).statement
        case str() if value.startswith(VERBS):
            yield value
        case Mapping():
            for one in list(value.values()):
                yield from written(one)
        case tuple() | list() | frozenset():
            for one in value:
                yield from written(one)


def schema() -> list[str]:
    tables = [table for metadata in METADATA for table in metadata.sorted_tables]
    indexes = [index for table in tables for index in table.indexes]
    made = [str(CreateTable(table).compile(dialect=DIALECT)) for table in tables]
    return [*made, *(str(CreateIndex(index).compile(dialect=DIALECT)) for index in indexes)]


def test_every_statement_is_sql_of_the_oldest_sqlite() -> None:
    found = {sql for sql in constants() if not any(word in sql for word in POSTGRESQL_ONLY)}
    assert len(found) > 100, "the statements are constants of modules"
    newest = "SELECT 1 IS NOT DISTINCT FROM 1"
    version, refused = refused_by_old_sqlite(schema(), [*sorted(found), newest])
    assert tuple(map(int, version.split("."))) < OLDEST
    assert refused.pop(newest), "what came later is noticed"
    assert refused == {}


def test_every_statement_is_sql_of_this_machines_sqlite() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for sql in schema():
            connection.execute(sql)
        for sql in set(constants()):
            if not any(word in sql for word in POSTGRESQL_ONLY):
                connection.execute(f"EXPLAIN {sql}", [None] * sql.count("?"))


# -- an older SQLite ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 36, 0), (3, 7, 17), (2, 8)])
def test_an_older_sqlite_is_refused_in_a_sentence(version: tuple[int, ...]) -> None:
    with pytest.raises(Misconfigured) as refused:
        check_sqlite(version)
    said = str(refused.value)
    assert ".".join(map(str, version)) in said
    assert "3.37 or later" in said
    assert "PostgreSQL" in said


@pytest.mark.parametrize("version", [(3, 37), (3, 37, 2), (3, 40, 1), (4, 0)])
def test_the_oldest_sqlite_and_all_later_ones_are_taken(version: tuple[int, ...]) -> None:
    check_sqlite(version)


def test_nothing_is_made_by_a_server_whose_sqlite_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    for command in ("serve", "migrate"):
        done = CliRunner().invoke(main, [command, "--database", f"sqlite:///{tmp_path}/new/a.db"])
        assert done.exit_code == 1
        assert "3.36.0, and sametoken needs 3.37 or later" in done.stderr
        assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_file_is_not_read_by_a_sqlite_that_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.check_usable(tmp_path / "a.db")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    url = f"sqlite:///{tmp_path}/a.db"
    done = CliRunner().invoke(main, ["accounts", "list", "--database", url])
    assert (done.exit_code, "needs 3.37" in done.stderr) == (1, True)


def test_an_application_whose_sqlite_is_too_old_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite3.dbapi2, "sqlite_version_info", (3, 36, 0))
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        with pytest.raises(Misconfigured, match=r"3\.37 or later"):
            create_tables(connection)
        with pytest.raises(Misconfigured, match=r"3\.37 or later"):
            join(connection)
    engine.dispose()


# -- page caches -----------------------------------------------------------------------------------


def test_a_server_has_64_mib_of_page_caches_in_all() -> None:
    readers_kib = sqlite.READERS * sqlite.READER_CACHE_KIB + sqlite.HURRIED_CACHE_KIB
    assert sqlite.WRITER_CACHE_KIB + readers_kib == 56 * 1024


@pytest.mark.parametrize("kib", [sqlite.WRITER_CACHE_KIB, sqlite.READER_CACHE_KIB])
def test_a_connection_has_the_page_cache_it_was_given(tmp_path: Path, kib: int) -> None:
    with closing(sqlite.connect(tmp_path / "a.db", cache_kib=kib)) as connection:
        assert connection.execute("PRAGMA cache_size").fetchone() == (-kib,)
