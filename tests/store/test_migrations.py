"""Migrations lead to exactly the tables of the program, are repeatable, and refuse the future."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from sametoken.errors import Misconfigured
from sametoken.migrations.tables import METADATA
from sametoken.migrations.upgrade import check_current, current, head, upgrade
from sametoken.migrations.upgrade import revisions as known_revisions
from sametoken.operate.opening import open_store
from sametoken.settings import database_of
from sametoken.store import clock
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.port import Tx
from sametoken.store.sqlite import change_schema
from store.next_release import EXPANDING, scripts
from store.worlds import START, SetWorld


def revisions() -> list[Script]:
    config = Config()
    config.set_main_option("script_location", "sametoken:migrations")
    return list(ScriptDirectory.from_config(config).walk_revisions())


def empty() -> sa.Connection:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    return engine_for(SQLITE, lambda: raw).connect()


@pytest.fixture
def migrated() -> Iterator[sa.Connection]:
    with empty() as connection:
        upgrade(connection)
        yield connection


@pytest.fixture
def declared() -> Iterator[sa.Connection]:
    """A database whose tables were made from their declarations."""
    with empty() as connection:
        for metadata in METADATA:
            metadata.create_all(connection)
        yield connection


def objects(connection: sa.Connection) -> dict[str, list[str]]:
    """Return the clauses of each table and index, with CHECKs and partial indexes, spaced alike.

    Sorts them, because SQLite writes a column that is added later behind the table's constraints.
    """
    found = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL"))
    return {row.name: clauses(row.sql) for row in found if row.name != "alembic_version"}


def clauses(sql: str) -> list[str]:
    """Return what is before a statement's brackets, what is behind, and each clause inside."""
    spaced = re.sub(r"\s+", " ", re.sub(r"\s*([(),])\s*", r"\1", sql)).strip()
    before, inside = spaced.split("(", 1)
    inside, behind = inside.rsplit(")", 1)
    depth, parts = 0, [""]
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [before, behind, *sorted(parts)]


def test_the_migrated_tables_are_those_the_program_declares(migrated: sa.Connection) -> None:
    context = MigrationContext.configure(migrated, opts={"compare_type": True})
    together = sa.MetaData()
    for metadata in METADATA:
        for table in metadata.tables.values():
            table.to_metadata(together)
    assert compare_metadata(context, together) == []


def test_checks_defaults_and_partial_indexes_are_the_same_too(
    migrated: sa.Connection, declared: sa.Connection
) -> None:
    ours, theirs = objects(migrated), objects(declared)
    assert any("CHECK" in clause for found in theirs.values() for clause in found)
    assert any("WHERE" in clause for found in theirs.values() for clause in found)
    assert ours == theirs


def test_no_two_parts_of_the_program_declare_the_same_table() -> None:
    names = [name for metadata in METADATA for name in metadata.tables]
    assert len(names) == len(set(names))


def test_upgrading_again_changes_nothing(migrated: sa.Connection) -> None:
    before = objects(migrated)
    upgrade(migrated)
    assert objects(migrated) == before
    assert current(migrated) == head()


def test_an_empty_database_has_no_revision() -> None:
    with empty() as connection:
        assert current(connection) is None


def test_a_database_of_a_newer_program_is_refused_naming_both(migrated: sa.Connection) -> None:
    migrated.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    before = objects(migrated)
    with pytest.raises(Misconfigured) as refused:
        upgrade(migrated)
    assert "9999" in str(refused.value)
    assert head() in str(refused.value)
    assert objects(migrated) == before
    assert current(migrated) == "9999"


@pytest.mark.parametrize("script", revisions(), ids=lambda script: script.revision)
def test_every_revision_says_whether_it_expands_or_contracts(script: Script) -> None:
    """The nodes of 0.1.0 are stopped before an upgrade, so 0003 alone may change what they use."""
    allowed = ("change",) if script.revision == "0003" else ("expand", "contract")
    assert script.module.phase in allowed


def test_the_program_knows_the_revisions_that_alembic_applies_in_their_order() -> None:
    scripts = [(script.revision, script.module.phase) for script in reversed(revisions())]
    assert [(one.id, one.phase) for one in known_revisions()] == scripts


def test_revisions_are_one_line_of_descent() -> None:
    downs = [script.down_revision for script in revisions()]
    assert len(downs) == len(set(map(str, downs)))
    assert downs[-1] is None


# -- on a file ----------------------------------------------------------------------------------


def clocks(tx: Tx) -> int:
    return len(tx.execute(sa.select(clock.CLOCK)).all())


def test_opening_a_file_migrates_it_and_starts_its_clock_once(tmp_path: Path) -> None:
    path = tmp_path / "a" / "folder" / "plane.db"
    for _ in range(2):
        with open_store(database_of(path), SetWorld()) as store:
            assert store.run(lambda tx: current(tx.connection)) == head()
            assert store.read(clocks) == 1
            assert store.read(lambda tx: tx.now) == START


def test_a_revision_that_changes_a_file_is_applied_at_opening_and_shuts_older_programs_out(
    tmp_path: Path,
) -> None:
    newer = scripts(tmp_path / "newer", replace(EXPANDING, phase="change"))
    database = database_of(tmp_path / "plane.db")
    assert database.file is not None
    change_schema(database.file, upgrade)
    with pytest.raises(Misconfigured, match="needs revision 1001"):
        change_schema(database.file, partial(check_current, name="it", scripts=newer))
    change_schema(database.file, partial(upgrade, scripts=newer))
    with (
        pytest.raises(Misconfigured, match=r"at revision 1001: .* has taken away \(1001\)"),
        open_store(database, SetWorld()),
    ):
        pass


def test_a_file_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "plane.db"
    with open_store(database_of(path), SetWorld()) as store:
        store.run(lambda tx: tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    before = path.read_bytes()
    with pytest.raises(Misconfigured, match="9999"), open_store(database_of(path), SetWorld()):
        pass
    assert path.read_bytes() == before


def test_a_migration_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plane.db"
    with sqlite3.connect(path) as squatter:
        squatter.execute("CREATE TABLE work (somebody_elses INTEGER)")
    squatter.close()
    with (
        pytest.raises(Misconfigured, match=r"plane\.db"),
        open_store(database_of(path), SetWorld()),
    ):
        pass
    with sqlite3.connect(path) as onlooker:
        tables = onlooker.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    onlooker.close()
    assert tables == [("work",)]


@pytest.mark.parametrize("content", [b"Dear reader, " * 100, b"SQLite format 3\x00" + b"\xff" * 90])
def test_a_file_that_is_no_database_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    with (
        pytest.raises(Misconfigured, match=r"letter\.txt"),
        open_store(database_of(path), SetWorld()),
    ):
        pass
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(Misconfigured, match="--database"),
        open_store(database_of(tmp_path / "file" / "plane.db"), SetWorld()),
    ):
        pass


def test_alembic_is_imported_for_a_new_database_and_not_for_one_that_is_up_to_date(
    tmp_path: Path,
) -> None:
    program = """
import sys
from pathlib import Path
from sametoken.operate.serving import registered_node
from sametoken.settings import Settings, database_of
from sametoken.world import RealWorld
settings = Settings(database_of(Path(sys.argv[1])), port=0)
with registered_node(settings, RealWorld()):
    print(*{name.partition(".")[0] for name in sys.modules})
"""
    words = [sys.executable, "-c", program, str(tmp_path / "served.db")]
    new, there = (
        set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
        for _ in range(2)
    )
    slow = {"alembic", "mako", "urllib3", "dateutil", "rich", "psycopg"}
    assert slow & new == {"alembic", "mako"}
    assert slow & there == set()
