"""All that the program knows of the differences between its databases' SQL.

Statements are module constants. One that every database writes in its own way is a `ByDialect`,
which `Tx.execute` takes like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

SQLITE, POSTGRESQL = "sqlite", "postgresql"

# A key that the database counts up. SQLite does so for a column of this very name alone.
BIG = sa.BigInteger().with_variant(sa.Integer, SQLITE)

_INSERTS: Mapping[str, Callable[[sa.Table], Any]] = {
    SQLITE: sqlite.insert,
    POSTGRESQL: postgresql.insert,
}


@dataclass(frozen=True, slots=True, eq=False)
class ByDialect:
    """One statement, as each database writes it."""

    statements: Mapping[str, sa.Executable]

    def written_for(self, dialect: str) -> sa.Executable:
        return self.statements[dialect]


def locks_rows(dialect: str) -> bool:
    """Can a transaction lock rows? On SQLite it need not: it is the only one that writes."""
    return dialect != SQLITE


def insert_or_ignore(table: sa.Table, *, returning: sa.Column[Any]) -> ByDialect:
    """Insert a row unless its key is taken; answers `returning` of a row that was inserted."""
    return ByDialect(
        {
            dialect: insert(table).on_conflict_do_nothing().returning(returning)
            for dialect, insert in _INSERTS.items()
        }
    )


def upsert(
    table: sa.Table,
    change: Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    where: Callable[[Any], sa.ColumnElement[bool]] | None = None,
    returning: Sequence[sa.Column[Any]] = (),
) -> ByDialect:
    """Insert a row, or change the one whose primary key it has.

    `change` says to what, from the columns of the row that was to be inserted; without it all but
    the key is replaced. A row that does not meet `where` stays as it is, and nothing is returned.
    """
    return ByDialect(
        {
            dialect: _upsert(insert(table), table, change, where, returning)
            for dialect, insert in _INSERTS.items()
        }
    )


def _upsert(
    statement: Any,
    table: sa.Table,
    change: Callable[[Any], Mapping[str, Any]] | None,
    where: Callable[[Any], sa.ColumnElement[bool]] | None,
    returning: Sequence[sa.Column[Any]],
) -> sa.Executable:
    given = statement.excluded
    key = [column.name for column in table.primary_key]
    rest = {column.name: given[column.name] for column in table.c if column.name not in key}
    made: Any = statement.on_conflict_do_update(
        index_elements=key,
        set_=rest if change is None else change(given),
        where=None if where is None else where(given),
    )
    found: sa.Executable = made.returning(*returning) if returning else made
    return found
