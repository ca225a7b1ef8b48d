"""Writes that nobody looks at, gathered through a commit's transactions: one statement for a table.

To SQLite a row is cheaper among others of its statement than alone, and so it is to Python. A
member that only gathers has nothing in the database that could be undone; so savepoints are sent
before the first statement that changes something, and most are never sent.

The rules, and the histories they prevent:

1. Gathered rows of a table are written before a statement that names the table in its text, whoever
   sends that: each member reads what it, and those before it, have written. Only `look`, which
   reads one row by its key, leaves rows with other keys where they are.
2. Undoing a savepoint drops the rows that were gathered since it was set. Older ones that were
   written since are gathered again: the database has just undone them. (A member reads a table,
   fails, and takes the rows of the members before it along.)
3. Rows that cannot be written may be another member's than that which has them written. So each
   `flush` fails from then on, until an undoing leaves nothing gathered. The commit is not made, and
   its members run alone.
4. All savepoints that are open are sent, from the outermost on, before anything is changed. (A
   member writes, fails, and leaves what it wrote to the commit of the others.)
5. Before each statement and each savepoint the transaction is seen to stand. (It is lost, an error
   is swallowed, and rows that are written later commit one by one.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sametoken.store.statements import Found, Key, Prepared, Straight

_WORD = re.compile(r"\w+")
_READ_FROM = re.compile(r"\b(?:FROM|JOIN) (\w+)")
# More than the program has. Statements with lists have a text for each length.
_TEXTS_MAX = 2_000


@lru_cache(maxsize=_TEXTS_MAX)
def _words(sql: str) -> frozenset[str]:
    """Return all words of a statement, and with them the tables that it may read or write."""
    return frozenset(_WORD.findall(sql))


@lru_cache(maxsize=_TEXTS_MAX)
def _changes(sql: str) -> bool:
    """Tell whether a statement may change anything."""
    return not sql.startswith("SELECT ")


@lru_cache(maxsize=_TEXTS_MAX)
def _table(sql: str) -> str:
    """Return the table of a statement that inserts values, and reads no other."""
    words = _WORD.findall(sql)
    assert words[:2] == ["INSERT", "INTO"], f"not to be gathered: {sql}"
    table = str(words[2])
    assert {table}.issuperset(_READ_FROM.findall(sql)), f"reads more than {table}: {sql}"
    assert "SELECT" not in words or table in _READ_FROM.findall(sql), f"reads what? {sql}"
    return table


# A savepoint that is open; how much was gathered, and was in the database, before.
_Mark = tuple[str, int, int]


class Gathering(Straight):
    """The connection of SQLite's writer. `flush` it before COMMIT."""

    # Set by `start`, for each transaction: all that was gathered, the rows of each call with their
    # statement and keys; how much of that is in the database; of the rest, the statements by their
    # tables, the keys, and the tables of rows without keys; the savepoints that are open, and how
    # many of these were sent.
    _rows: list[tuple[str, Sequence[Sequence[Any]], Sequence[Key] | None]]
    _written: int
    _waiting: dict[str, str]
    _keys: set[Key]
    _keyless: set[str]
    _marks: list[_Mark]
    _sent: int
    _broken: BaseException | None

    def start(self) -> None:
        """Forget what was gathered for the transaction before."""
        self._rows, self._written, self._waiting = [], 0, {}
        self._keys, self._keyless = set(), set()
        self._marks, self._sent, self._broken = [], 0, None

    def invalidate(self, exception: BaseException | None = None) -> None:
        # As long as a statement is kept, if only by the traceback of an error, SQLite does not end
        # the transaction of a connection that was closed: nobody else could write.
        self._cursor.close()
        super().invalidate(exception)

    def flush(self) -> None:
        """Write what is gathered. Raises if that failed, now or before."""
        if self._broken is not None:
            raise self._broken
        if not self._waiting:
            return
        if self._check is not None:
            self._check(self._raw)
        self._protect()
        found: dict[str, list[Sequence[Any]]] = {sql: [] for sql in self._waiting.values()}
        for sql, rows, _ in self._rows[self._written :]:
            found[sql] += rows
        self._written = len(self._rows)
        self._waiting.clear()
        self._keys.clear()
        self._keyless.clear()
        for sql, every in found.items():
            # In the order of their first values, mostly keys, rows of one kind lie together: what
            # changes or lists these alone touches, and logs, fewer pages.
            every.sort(key=itemgetter(0))
            try:
                self._cursor.executemany(sql, every)
            except self._driver_error as error:
                self._broken = self._translated(sql, error)
                raise self._broken from error

    def _protect(self) -> None:
        """Send the savepoints that are open, as something is about to be changed."""
        for sql, _, _ in self._marks[self._sent :]:
            self._cursor.execute(sql)
            self._sent += 1

    def _make_way(self) -> None:
        self.flush()
        self._protect()

    def _make_ready(self, sql: str) -> None:
        """Write what the statement may look at, and set what protects others from it."""
        if self._waiting and not self._waiting.keys().isdisjoint(_words(sql)):
            self.flush()
        if self._sent < len(self._marks) and _changes(sql):
            self._protect()

    def _run(self, prepared: Prepared, given: Sequence[Any]) -> Any:
        self._make_ready(prepared.sql)
        return super()._run(prepared, given)

    def _send(self, sql: str, values: Sequence[Any]) -> Found:
        self._make_ready(sql)
        return super()._send(sql, values)

    def _look(self, sql: str, values: Sequence[Any], key: Key) -> Found:
        assert not _changes(sql), f"does more than look: {sql}"
        if key in self._keys or key[0] in self._keyless:
            return self._send(sql, values)
        return super()._send(sql, values)

    def write(
        self, sql: str, rows: Sequence[Sequence[Any]], keys: Sequence[Key] | None = None
    ) -> None:
        # A row that is gathered needs no transaction yet.
        if self._is_listened_to():
            super().write(sql, rows, keys)
            return
        table = _table(sql)
        if self._waiting.setdefault(table, sql) != sql:
            self.flush()
            self._waiting[table] = sql
        self._rows.append((sql, rows, keys))
        if keys is None:
            self._keyless.add(table)
        else:
            self._keys.update(keys)

    def exec_driver_sql(self, statement: str, *rest: Any, **more: Any) -> Any:
        # The shorter way for savepoints that are set and released without being sent: each member
        # has some.
        is_set = statement.startswith("SAVEPOINT ")
        is_released = statement.startswith("RELEASE ") and self._sent < len(self._marks)
        if not (is_set or is_released) or self._is_listened_to():
            return super().exec_driver_sql(statement, *rest, **more)
        if self._check is not None:
            self._check(self._raw)
        if is_set:
            self._marks.append((statement, len(self._rows), self._written))
        else:
            self._marks.pop()
        return None

    def _command(self, sql: str) -> Any:
        if self._sent == len(self._marks):
            super()._command(sql)
        if sql.startswith("RELEASE"):
            self._marks.pop()
            self._sent = len(self._marks)
        else:
            self._take_back(*self._marks[-1][1:])

    def _take_back(self, gathered: int, written: int) -> None:
        """Return to what was there before: so much gathered, of which so much was written."""
        del self._rows[gathered:]
        self._written = written
        waiting = self._rows[written:]
        self._waiting = {_table(sql): sql for sql, _, _ in waiting}
        self._keys = {key for _, _, keys in waiting for key in keys or ()}
        self._keyless = {_table(sql) for sql, _, keys in waiting if keys is None}
        if not self._rows:
            self._broken = None
