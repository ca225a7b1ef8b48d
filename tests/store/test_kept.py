"""Values kept by the versions of rows, within their bytes; and reads at once or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from sametoken.resources.kit import looks, rows
from sametoken.resources.kit.looks import OUTLINE
from sametoken.store import hurried, kept
from sametoken.store.hurried import HurriedReader
from sametoken.store.kept import ENTRY_BYTES, Kept, Lives
from sametoken.store.port import Store, Tx, WouldWait
from sametoken.store.sqlite import SqliteStore
from store.things import THING, id_of, put

SIZE = 1000


def test_only_the_very_version_is_found() -> None:
    values = Kept()
    values.keep("a", 1, "first", SIZE)
    assert values.find([("a", 1), ("a", 2), ("b", 1)]) == ["first", None, None]
    values.keep("a", 2, "second", SIZE)
    assert values.find([("a", 1), ("a", 2)]) == [None, "second"]
    assert (len(values), values.bytes) == (1, SIZE + ENTRY_BYTES)


def test_what_was_not_asked_for_the_longest_goes_first_and_bytes_stay_bounded() -> None:
    values = Kept(bytes_max=3 * (SIZE + ENTRY_BYTES))
    for key in "abc":
        values.keep(key, 1, key, SIZE)
    assert values.find([("a", 1)]) == ["a"]
    values.keep("d", 1, "d", SIZE)
    assert values.find((key, 1) for key in "abcd") == ["a", None, "c", "d"]
    values.keep("huge", 1, "huge", 4 * SIZE)
    assert (len(values), values.bytes) == (0, 0)
    assert kept.BYTES_MAX == 64 * 1024 * 1024


def test_threads_share_it() -> None:
    values = Kept(bytes_max=20 * (SIZE + ENTRY_BYTES))

    def use(number: int) -> None:
        for turn in range(500):
            key = (number + turn) % 40
            [found] = values.find([(key, turn % 2)])
            assert found in (None, (key, turn % 2))
            values.keep(key, turn % 2, (key, turn % 2), SIZE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert values.bytes == len(values) * (SIZE + ENTRY_BYTES) <= 20 * (SIZE + ENTRY_BYTES)


def test_nothing_that_was_read_from_one_server_is_found_for_another() -> None:
    lives = Lives()
    lives.of(1).keep("a", 5, "lost by the failover", SIZE)
    assert lives.of(1).find([("a", 5)]) == ["lost by the failover"]
    assert lives.of(2).find([("a", 5)]) == [None]
    # A read that still had a connection to the first ends after the second was met.
    lives.of(1).keep("a", 5, "lost by the failover", SIZE)
    assert lives.of(2).find([("a", 5)]) == [None]


def test_a_transaction_that_writes_keeps_nothing(store: Store) -> None:
    assert store.run(lambda tx: tx.kept) is None
    first = store.read(lambda tx: tx.kept)
    assert first is not None
    assert store.read(lambda tx: tx.kept) is first


# -- outlines -----------------------------------------------------------------------------------


def test_an_outline_changes_with_the_row_and_with_each_row_below_it(store: Store) -> None:
    parent, child = put(store, 1), put(store, 2)

    def outline(tx: Tx) -> looks.Outline:
        return OUTLINE.by_ids(tx, [parent.id])[parent.id]

    met = [store.read(outline)]

    def then(change: Callable[[Tx], object]) -> None:
        store.run(change)
        met.append(store.read(outline))

    then(lambda tx: rows.link(tx, parent.id, child.id))
    then(lambda tx: rows.change(tx, THING, rows.by_ids(tx, [child.id])[child.id], Size=2))
    then(lambda tx: rows.change(tx, THING, rows.by_ids(tx, [parent.id])[parent.id], Size=3))
    then(lambda tx: rows.unlink(tx, parent.id, child.id))
    assert len(set(met)) == len(met)
    assert (met[0].below, met[1].below) == (None, f"{id_of(2)}:0")
    assert (met[2].below, met[3].below) == (f"{id_of(2)}:1", f"{id_of(2)}:1")
    assert [one.version for one in met] == [0, 0, 0, 1, 1]


# -- reads at once ------------------------------------------------------------------------------


def test_a_read_at_once_sees_what_is_committed_or_has_to_wait(store: Store) -> None:
    put(store, 1)

    def found(tx: Tx) -> bool:
        assert tx.hurried
        return rows.find(tx, id_of(1)) is not None

    if isinstance(store, SqliteStore):
        assert store.read_now(found)
    else:
        with pytest.raises(WouldWait):
            store.read_now(found)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[HurriedReader]:
    file = tmp_path / "some.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE some (number INTEGER)")
        other.execute("INSERT INTO some VALUES (1)")

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)

        made = HurriedReader(connect)
        yield made
        made.close()


def one(connection: sa.Connection) -> object:
    return connection.exec_driver_sql("SELECT number FROM some").scalar_one()


def test_it_waits_for_no_lock_and_for_no_other_read(reader: HurriedReader, tmp_path: Path) -> None:
    assert reader.read(one) == 1
    with closing(sqlite3.connect(tmp_path / "some.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WouldWait):
            reader.read(one)
        other.execute("ROLLBACK")

    def again(connection: sa.Connection) -> None:
        with pytest.raises(WouldWait):
            reader.read(one)

    reader.read(again)
    assert reader.read(one) == 1


def test_a_statement_that_takes_long_is_given_up_and_the_next_read_is_answered(
    reader: HurriedReader,
) -> None:
    def counted(steps: int) -> int:
        sql = (
            "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < ?)"
            " SELECT count(*) FROM up"
        )
        return reader.read(lambda c: int(c.exec_driver_sql(sql, (steps,)).scalar_one()))

    for _ in range(50):
        assert counted(hurried.STEPS_MAX // 40) == hurried.STEPS_MAX // 40
        with pytest.raises(WouldWait):
            counted(100 * hurried.STEPS_MAX)


def test_an_error_of_the_function_is_its_callers(reader: HurriedReader) -> None:
    def fails(connection: sa.Connection) -> None:
        raise KeyError("a test")

    with pytest.raises(KeyError):
        reader.read(fails)
    assert reader.read(one) == 1
