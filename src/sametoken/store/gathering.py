"""Writes that nobody looks at, gathered through a commit's transactions: one statement for a table.

To SQLite a row is cheaper among others of its statement than alone, and so it is to Python.

The rules, and the histories they prevent:

1. Gathered rows of a table are written before a statement that names the table in its text, whoever
   sends that: each member reads what it, and those before it, have written.
2. Undoing a savepoint drops the rows that were gathered since it was set. Older ones that were
   written since are gathered again: the database has just undone them. (A member reads a table,
   fails, and takes the rows of the members before it along.)
3. Rows that cannot be written may be another member's than that which has them written. So each
   `flush` fails from then on, until an undoing leaves nothing gathered. The commit is not made, and
   its members run alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sametoken.store.statements import Found, Prepared, Straight

_WORD = re.compile(r"\w+")
# More than the program has. Statements with lists have a text for each length.
_TEXTS_MAX = 2_000


@lru_cache(maxsize=_TEXTS_MAX)
def _words(sql: str) -> frozenset[str]:
    """Return all words of a statement, and with them the tables that it may read or write."""
    return frozenset(_WORD.findall(sql))


@lru_cache(maxsize=_TEXTS_MAX)
def _table(sql: str) -> str:
    """Return the table of a statement that inserts values, and reads none."""
    words = _WORD.findall(sql)
    assert words[:2] == ["INSERT", "INTO"] and "SELECT" not in words, f"not to be gathered: {sql}"
    return str(words[2])


class Gathering(Straight):
    """The connection of SQLite's writer. `flush` it before COMMIT."""

    # Set by `start`, for each transaction: all rows that were gathered, each with its statement;
    # how many of them are in the database; the statements of the others by their tables; and for
    # each savepoint that is open, how many were gathered and in the database as it was set.
    _rows: list[tuple[str, Sequence[Any]]]
    _written: int
    _waiting: dict[str, str]
    _marks: list[tuple[int, int]]
    _broken: BaseException | None

    def start(self) -> None:
        """Forget what was gathered for the transaction before."""
        self._rows, self._written, self._waiting = [], 0, {}
        self._marks, self._broken = [], None

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
        found: dict[str, list[Sequence[Any]]] = {sql: [] for sql in self._waiting.values()}
        for sql, values in self._rows[self._written :]:
            found[sql].append(values)
        self._written = len(self._rows)
        self._waiting.clear()
        for sql, rows in found.items():
            # In the order of their first values, mostly keys, rows of one kind lie together: what
            # changes or lists these alone touches, and logs, fewer pages.
            rows.sort(key=itemgetter(0))
            try:
                self._cursor.executemany(sql, rows)
            except self._driver_error as error:
                self._broken = self._translated(sql, error)
                raise self._broken from error

    def _make_way(self) -> None:
        self.flush()

    def _run(self, prepared: Prepared, given: Sequence[Any]) -> Any:
        if self._waiting and not self._waiting.keys().isdisjoint(_words(prepared.sql)):
            self.flush()
        return super()._run(prepared, given)

    def _send(self, sql: str, values: Sequence[Any]) -> Found:
        if self._waiting and not self._waiting.keys().isdisjoint(_words(sql)):
            self.flush()
        return super()._send(sql, values)

    def _write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        table = _table(sql)
        if self._waiting.setdefault(table, sql) != sql:
            self.flush()
            self._waiting[table] = sql
        self._rows += [(sql, values) for values in rows]

    def _command(self, sql: str) -> Any:
        done = super()._command(sql)
        if sql.startswith("SAVEPOINT"):
            self._marks.append((len(self._rows), self._written))
        elif sql.startswith("RELEASE"):
            self._marks.pop()
        else:
            self._take_back(*self._marks[-1])
        return done

    def _take_back(self, gathered: int, written: int) -> None:
        """Return to the rows as they were: so many gathered, of which so many were written."""
        del self._rows[gathered:]
        self._written = written
        self._waiting = {_table(sql): sql for sql, _ in self._rows[written:]}
        if not self._rows:
            self._broken = None
