"""Rows that are gathered through a commit's transactions are read, undone and refused as others.

Each history goes with the bug that it finds, which is planted to prove it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.store import gathering
from sametoken.store.dialects import Text
from sametoken.store.gathering import Gathering
from sametoken.store.port import Tx
from sametoken.store.sqlite import dbapi
from sametoken.store.statements import Straight
from store.batches import Bench, Fn
from store.gathered import (
    PUT,
    PUT_OTHERWISE,
    fails,
    looks,
    looks_by_sqlalchemy,
    puts,
    told,
    watched,
)
from store.stores import NOTE, write

# -- gathered rows are there for everybody ------------------------------------------------------


@pytest.mark.parametrize("look", [looks, looks_by_sqlalchemy])
def test_what_is_gathered_is_read_by_its_member_and_by_those_behind_it(
    bench: Bench, look: Fn
) -> None:
    def puts_and_looks(tx: Tx) -> Any:
        puts("b")(tx)
        return look(tx)

    # Once by SQLAlchemy itself, then by the prepared statement.
    for number in range(3):
        start = [f"{one}{number}" for one in "abc"]
        assert told(bench, puts(*start))[0] is None
    found = told(bench, puts("a"), puts_and_looks, look)
    assert found[1] == found[2] == bench.names()
    assert {"a", "b"} < set(bench.names())


def test_rows_of_all_members_go_by_one_statement_unless_somebody_looks(bench: Bench) -> None:
    members = [puts(f"note-{number}") for number in range(8)]
    with watched(bench) as sent:
        bench.run(members)
        commit = sent.index("COMMIT")
        between = [one for one in sent[:commit] if one.startswith("INSERT")]
        assert len(between) == 8
        # Members that only gather need no savepoint.
        assert not any("SAVEPOINT" in one for one in sent[:commit])
    assert bench.names() == [f"note-{number}" for number in range(8)]


def test_two_statements_for_one_table_keep_their_order(bench: Bench) -> None:
    def both(tx: Tx) -> None:
        puts("a")(tx)
        tx.write(PUT_OTHERWISE, [("", "b")])
        puts("c")(tx)

    with watched(bench) as sent:
        assert told(bench, both) == [None]
        inserts = [one for one in sent if one.startswith("INSERT")]
    assert ["'a'" in inserts[0], "'b'" in inserts[1], "'c'" in inserts[2]] == [True] * 3
    assert bench.names() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE test_note SET body = ?", "INSERT INTO a SELECT ?",
        "INSERT INTO test_note (name) SELECT ? FROM other",
    ],
)  # fmt: skip
def test_only_values_are_gathered(bench: Bench, sql: str) -> None:
    assert told(bench, lambda tx: tx.write(Text(sql), [("x",)])) == [AssertionError]


# -- looking at one row -------------------------------------------------------------------------

LOOK_AT_ONE = Text("SELECT name FROM test_note WHERE name = ?")


def puts_by_key(*names: str) -> Fn:
    rows, keys = [(name, "") for name in names], [(NOTE.name, name) for name in names]
    return lambda tx: tx.write(PUT, rows, keys)


def finds(name: str) -> Fn:
    return lambda tx: bool(tx.look(LOOK_AT_ONE, (name,), (NOTE.name, name)))


def look_at_a_gathered_row(bench: Bench) -> bool:
    return told(bench, puts_by_key("a"), finds("a")) == [None, True]


def look_at_a_row_without_a_key(bench: Bench) -> bool:
    return told(bench, puts_by_key("b"), puts("a"), finds("a")) == [None, None, True]


def look_at_an_undone_row(bench: Bench) -> bool:
    members = puts_by_key("a"), fails(puts_by_key("b")), finds("a"), finds("b")
    return told(bench, *members) == [None, Transient, True, False]


def look_at_a_row_that_was_written_and_undone(bench: Bench) -> bool:
    """A member has a row of another written, and fails: the row must still be found."""
    members = puts_by_key("a"), fails(looks), finds("a")
    return told(bench, *members) == [None, Transient, True]


def test_a_look_leaves_rows_with_other_keys_where_they_are(bench: Bench) -> None:
    with watched(bench) as sent:
        assert told(bench, puts_by_key("a", "b"), finds("c"), finds("d")) == [None, False, False]
        inserts = [number for number, one in enumerate(sent) if one.startswith("INSERT")]
        assert min(inserts) > max(n for n, one in enumerate(sent) if one.startswith("SELECT"))
    assert told(bench, finds("a"), finds("c")) == [True, False]


def test_a_look_that_does_more_is_refused(bench: Bench) -> None:
    removes = Text("DELETE FROM test_note WHERE name = ? RETURNING name")

    def removing(tx: Tx) -> None:
        tx.look(removes, ("a",), (NOTE.name, "a"))

    assert told(bench, removing) == [AssertionError]


# -- undoing ------------------------------------------------------------------------------------


def puts_at_once(name: str) -> Fn:
    return lambda tx: tx.send(PUT, (name, ""))


def failing_member_that_wrote_at_once(bench: Bench) -> bool:
    members = fails(puts_at_once("guilty")), puts("a")
    return told(bench, *members) == [Transient, None] and bench.names() == ["a"]


def failing_member_that_wrote_inside_a_savepoint(bench: Bench) -> bool:
    """A member's own savepoint is not all that must be undone."""

    def member(tx: Tx) -> None:
        with tx.savepoint():
            write("guilty")(tx)
        raise Transient("refused")

    members = write("a"), member, write("b")
    return told(bench, *members) == ["a", Transient, "b"] and bench.names() == ["a", "b"]


def failing_member_that_wrote_by_sqlalchemy(bench: Bench) -> bool:
    def writes(tx: Tx) -> None:
        tx.execute(sa.text("INSERT INTO test_note (name, body) VALUES ('guilty', '')"))

    return told(bench, fails(writes), puts("a")) == [Transient, None] and bench.names() == ["a"]


def lost_transaction_that_nobody_notices(bench: Bench) -> bool:
    """The transaction is lost in a read, the error is swallowed, and only rows are gathered."""

    def loses(tx: Tx) -> None:
        puts("b")(tx)
        dbapi(tx.connection).execute("ROLLBACK")

    found = told(bench, puts("a"), loses)
    return found == [None, Transient] and bench.names() == ["a"]


def test_savepoints_are_sent_only_where_something_could_be_undone(bench: Bench) -> None:
    def member(tx: Tx) -> None:
        with tx.savepoint():
            looks(tx)
        with tx.savepoint():
            write("a")(tx)

    bench.run([write("warm")])
    with watched(bench) as sent:
        bench.run([looks, member, looks])
        savepoints = [one for one in sent if "SAVEPOINT" in one or "RELEASE" in one]
    assert savepoints == [
        "SAVEPOINT member", "SAVEPOINT effects", "RELEASE SAVEPOINT effects", "RELEASE member",
        # Of the end of watching.
        *savepoints[4:],
    ]  # fmt: skip


def failing_member_that_looked(bench: Bench) -> bool:
    """A member has the rows of those before it written, and fails: they must stay."""
    members = puts("a"), fails(puts("guilty"), looks), puts("b")
    return told(bench, *members) == [None, Transient, None] and bench.names() == ["a", "b"]


def member_that_looks(bench: Bench) -> bool:
    return told(bench, puts("a"), looks) == [None, ["a"]]


def failing_member(bench: Bench) -> bool:
    members = puts("a"), fails(puts("guilty")), puts("b")
    return told(bench, *members) == [None, Transient, None] and bench.names() == ["a", "b"]


def effects_undone(bench: Bench) -> bool:
    """A member undoes a part of what it did, and goes on."""

    def member(tx: Tx) -> None:
        puts("b")(tx)
        for part in (puts("guilty"), lambda tx: (puts("guilty")(tx), looks(tx))):
            with pytest.raises(Transient), tx.savepoint():
                fails(part)(tx)
        puts("c")(tx)

    return told(bench, puts("a"), member) == [None, None] and bench.names() == ["a", "b", "c"]


def refused_row(bench: Bench) -> bool:
    """A row is refused when another member looks, or at the end: only its own caller hears it."""
    told(bench, puts("taken"))
    first = told(bench, puts("a"), puts("taken"), looks, puts("b"))
    second = told(bench, puts("c"), puts("taken"), puts("d"))
    return (
        first == [None, sa.exc.IntegrityError, ["a", "taken"], None]
        and second == [None, sa.exc.IntegrityError, None]
        and bench.names() == ["a", "b", "c", "d", "taken"]
    )


def refused_row_whose_error_is_swallowed(bench: Bench) -> bool:
    """A caller must not be told that a row is there which was refused."""
    told(bench, puts("taken"))

    def swallows(tx: Tx) -> None:
        puts("taken")(tx)
        try:
            looks(tx)
        except sa.exc.IntegrityError:
            puts("later")(tx)

    found = told(bench, puts("a"), swallows)
    return found == [None, sa.exc.IntegrityError] and bench.names() == ["a", "taken"]


def member_that_sees_another_as_guilty(bench: Bench) -> bool:
    """A member answers a refusal by another error; the row that was refused is not its own."""
    told(bench, puts("taken"))

    def misjudges(tx: Tx) -> str:
        try:
            return f"{len(looks(tx))} notes"
        except sa.exc.IntegrityError as error:
            raise Transient("it was me") from error

    return bool(told(bench, puts("a"), puts("taken"), misjudges)[2] == "2 notes")


HISTORIES = (
    look_at_a_gathered_row,
    look_at_a_row_without_a_key,
    look_at_an_undone_row,
    look_at_a_row_that_was_written_and_undone,
    failing_member_that_wrote_at_once,
    failing_member_that_wrote_inside_a_savepoint,
    failing_member_that_wrote_by_sqlalchemy,
    lost_transaction_that_nobody_notices,
    member_that_looks,
    failing_member_that_looked,
    failing_member,
    effects_undone,
    refused_row,
    refused_row_whose_error_is_swallowed,
    member_that_sees_another_as_guilty,
)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: one.__name__)
def test_what_is_gathered_is_undone_and_refused_with_its_own_member(
    bench: Bench, history: Callable[[Bench], bool]
) -> None:
    assert history(bench)


def _nothing(*_given: Any) -> None: ...


def _undone_alone(self: Gathering, gathered: int, written: int) -> None:
    del self._rows[gathered:]
    self._written = min(self._written, gathered)


def _keeps_no_keys(self: Gathering, gathered: int, written: int) -> None:
    take_back(self, gathered, written)
    self._keys.clear()


def _looks_past_all(self: Gathering, sql: str, values: Any, key: Any) -> Any:
    return Straight._send(self, sql, values)


def _flushes_unseen(self: Gathering) -> None:
    check, self._check = self._check, None
    try:
        flush(self)
    finally:
        self._check = check


def _forgets(self: Gathering) -> None:
    self._broken = None
    flush(self)


flush, take_back = Gathering.flush, Gathering._take_back
BUGS: dict[str, tuple[Callable[[Bench], bool], Any, str, Any]] = {
    "tables are not found in texts": (
        member_that_looks, gathering, "_words", lambda sql: frozenset(),
    ),
    "what was undone is not gathered again": (
        failing_member_that_looked, Gathering, "_take_back", _undone_alone,
    ),
    "what is undone is kept": (failing_member, Gathering, "_take_back", _nothing),
    "a failure is forgotten": (
        refused_row_whose_error_is_swallowed, Gathering, "flush", _forgets,
    ),
    "keys of what is gathered again are forgotten": (
        look_at_a_row_that_was_written_and_undone, Gathering, "_take_back", _keeps_no_keys,
    ),
    "gathered rows are looked past": (look_at_a_gathered_row, Gathering, "_look", _looks_past_all),
    "rows without a key are looked past": (
        look_at_a_row_without_a_key, Gathering, "_look", _looks_past_all,
    ),
    "savepoints are never sent": (
        failing_member_that_wrote_at_once, Gathering, "_protect", _nothing,
    ),
    "all statements are taken for reads": (
        failing_member_that_wrote_at_once, gathering, "_changes", lambda sql: False,
    ),
    "SQLAlchemy writes beyond all savepoints": (
        failing_member_that_wrote_by_sqlalchemy, Gathering, "_make_way", flush,
    ),
    "rows are written without a transaction": (
        lost_transaction_that_nobody_notices, Gathering, "flush", _flushes_unseen,
    ),
    "effects are kept": (effects_undone, Gathering, "_take_back", _nothing),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_each_rule_is_needed(bench: Bench, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history, owner, name, planted = BUGS[bug]
    monkeypatch.setattr(owner, name, planted)
    assert not history(bench)


def test_a_closed_connection_holds_no_lock_for_the_traceback_of_an_error(bench: Bench) -> None:
    kept: list[BaseException] = []

    def keeps(tx: Tx) -> None:
        puts("guilty")(tx)
        try:
            tx.send(Text("SELECT * FROM test_note, no_such_table"))
        except sa.exc.OperationalError as error:
            kept.append(error)
            dbapi(tx.connection).execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error") from error

    assert told(bench, keeps, puts("a")) == [Transient, None]
    assert bench.names() == ["a"]


def test_no_more_texts_are_remembered_than_there_may_be() -> None:
    for number in range(gathering._TEXTS_MAX + 1):
        gathering._words(f"SELECT {number} FROM thing")
    assert gathering._words.cache_info().currsize == gathering._TEXTS_MAX
