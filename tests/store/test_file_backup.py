"""Back up a SQLite file, step by step, while other connections write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sametoken.errors import Misconfigured
from sametoken.store.backup import PAGES_AT_ONCE, back_up
from sametoken.store.sqlite import connect

# Enough rows for more than two steps of pages.
ROWS, ROW_BYTES = 2_200, 4_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "plane.db"
    with closing(connect(file)) as connection:
        connection.execute("CREATE TABLE filler (body BLOB)")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO filler VALUES (?)", [(bytes(ROW_BYTES),) for _ in range(ROWS)]
        )
        connection.execute("COMMIT")
    return file


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM filler").fetchone()[0])


def test_writers_go_on_and_are_neither_in_the_copy_nor_in_its_way(
    path: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    with closing(connect(path)) as writer:

        def write(left: int, pages: int) -> None:
            told.append((left, pages))
            assert len(told) < 10, "every write makes it begin again"
            writer.execute("INSERT INTO filler VALUES (zeroblob(9))")

        back_up(path, tmp_path / "copy", write)
    pages = told[0][1]
    assert pages > 2 * PAGES_AT_ONCE
    assert [left for left, _ in told] == [pages - PAGES_AT_ONCE, pages - 2 * PAGES_AT_ONCE, 0]
    assert count(tmp_path / "copy") == ROWS
    assert count(path) == ROWS + 3


def test_a_copy_that_was_interrupted_has_no_name_and_leaves_nothing(
    path: Path, tmp_path: Path
) -> None:
    def interrupt(_left: int, _pages: int) -> None:
        raise KeyboardInterrupt

    before = {file.name for file in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        back_up(path, tmp_path / "copy", interrupt)
    assert {file.name for file in tmp_path.iterdir()} - before <= {"plane.db-gate", "plane.db-turn"}


# Damage to a page in the middle: the whole page, or only its header, which then points outside it.
@pytest.mark.parametrize(("start", "damage"), [(0, b"\xff" * 4096), (8, b"\xff" * 2)])
def test_a_damaged_file_is_not_copied(
    path: Path, tmp_path: Path, start: int, damage: bytes
) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 40 + start)
        file.write(damage)
    with pytest.raises(Misconfigured, match=r"is damaged|is malformed"):
        back_up(path, tmp_path / "copy", lambda _left, _pages: None)
    assert not (tmp_path / "copy").exists()


def test_a_copy_is_one_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    back_up(path, tmp_path / "there" / "copy", lambda _left, _pages: None)
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["copy"]
    with closing(sqlite3.connect(f"file:{tmp_path}/there/copy?immutable=1", uri=True)) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
