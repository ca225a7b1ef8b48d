"""Differences between the SQL of the two databases, all of them.

Statements are module constants. A statement that each database spells differently is a
`ByDialect`; `Tx.execute` takes it like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles

from sametoken.store import codec
from sametoken.store.columns import from_microseconds, to_microseconds

SQLITE, POSTGRESQL = "sqlite", "postgresql"

# An auto-incremented key. SQLite increments only columns whose type is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer, SQLITE)

_INSERTS: Mapping[str, Callable[[sa.Table], Any]] = {
    SQLITE: sqlite.insert,
    POSTGRESQL: postgresql.insert,
}


@dataclass(frozen=True, slots=True, eq=False)
class ByDialect:
    """A statement in the spelling of each database."""

    statements: Mapping[str, sa.Executable]

    def written_for(self, dialect: str) -> sa.Executable:
        return self.statements[dialect]


class Joined(sa.sql.functions.FunctionElement[str]):
    """The texts of a group in one text, in no certain order, with a blank between them."""

    inherit_cache = True
    type = sa.Text()


@compiles(Joined)
def _joined(element: Joined, compiler: Any, **rest: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **rest)}, ' ')"


@compiles(Joined, POSTGRESQL)
def _joined_on_postgresql(element: Joined, compiler: Any, **rest: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **rest)}, ' ')"


# Drivers, as SQLAlchemy calls them, that mark values as the stores' own drivers do.
TAKES_TEXT = frozenset({"pysqlite", "aiosqlite", "psycopg", "psycopg2"})


class Text:
    """A statement written by hand, with `?` for each value, in the spelling of each database.

    `Tx.send` takes it. SQLAlchemy has no part in it, so values and rows are what the driver has:
    numbers and texts. `sqlite` is also PostgreSQL's spelling unless `postgresql` is given.
    """

    __slots__ = ("for_any", "for_driver")

    def __init__(self, sqlite: str, postgresql: str | None = None) -> None:
        other = sqlite if postgresql is None else postgresql
        # For a store's own connection, and every other whose driver is one of `TAKES_TEXT`.
        self.for_driver = {
            SQLITE: sqlite,
            POSTGRESQL: other.replace("%", "%%").replace("?", "%s"),
        }
        # For an application's connection through a driver that may mark values in other ways.
        self.for_any = {SQLITE: _named(sqlite), POSTGRESQL: _named(other)}


def inserting(table: sa.Table, *columns: str) -> Text:
    """Write the insertion of a row, for `Tx.write`, of values in the order of `columns`."""
    json = [isinstance(table.c[name].type, sa.JSON) for name in columns]
    into = ", ".join(f'"{name}"' for name in columns)
    untyped, typed = (
        ", ".join(cast if is_json else "?" for is_json in json) for cast in ("?", "CAST(? AS json)")
    )
    insert = f"INSERT INTO {table.name} ({into}) VALUES"
    return Text(f"{insert} ({untyped})", f"{insert} ({typed})")


def _named(sql: str) -> sa.TextClause:
    """Name the values by their places: `v0`, `v1`, ..."""
    assert ":" not in sql, "SQLAlchemy would take what follows for the name of a value"
    first, *others = sql.split("?")
    return sa.text(first + "".join(f":v{place}{part}" for place, part in enumerate(others)))


def locks_rows(dialect: str) -> bool:
    """Can a transaction lock rows? On SQLite it need not: it is the only one that writes."""
    return dialect != SQLITE


def insert_or_ignore(table: sa.Table, *, returning: sa.Column[Any]) -> ByDialect:
    """Insert a row unless its key is taken. Returns the column `returning` if it was inserted."""
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
    """Insert a row, or update the stored row with the same primary key.

    `change` returns the new values, given the columns of the row that was to be inserted; without
    it, all columns but the key are replaced. A stored row that does not meet `where` stays as it
    is, and no row is returned.
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


# The parameter of a statement of many rows: one document, a list with a list for each row.
_GIVEN = "given_rows"


def of_many(columns: Mapping[str, Any], build: Callable[[str, Any], sa.Executable]) -> ByDialect:
    """Make a statement that acts on all rows it is given, whose `columns` have these types.

    `build` gets the dialect's name and the columns of the given rows, as those of a table. The
    statement is executed with the parameters that `given` makes.
    """
    return ByDialect(
        {dialect: build(dialect, _given(dialect, columns)) for dialect in (SQLITE, POSTGRESQL)}
    )


def given(rows: Iterable[Sequence[Any]], **more: Any) -> dict[str, Any]:
    """Make the parameters of a statement of many rows; values are in the order of its columns."""
    return {_GIVEN: codec.dumps([[plain(value) for value in row] for row in rows]), **more}


def insert_many_or_ignore(table: sa.Table) -> ByDialect:
    """Insert rows, but those whose key is taken. Returns the rows that were inserted."""
    return of_many(
        _types(table),
        lambda dialect, rows: (
            _insert_all(dialect, table, rows).on_conflict_do_nothing().returning(*table.c)
        ),
    )


def upsert_many(
    table: sa.Table,
    change: Callable[[Any], Mapping[str, Any]],
    *,
    where: Callable[[Any], sa.ColumnElement[bool]],
) -> ByDialect:
    """Insert rows, or update the stored ones, each as `upsert` does. Returns the rows written."""
    return of_many(
        _types(table),
        lambda dialect, rows: _upsert(
            _insert_all(dialect, table, rows), table, change, where, list(table.c)
        ),
    )


def _types(table: sa.Table) -> dict[str, Any]:
    return {column.name: column.type for column in table.c}


def _insert_all(dialect: str, table: sa.Table, rows: Any) -> Any:
    """Insert the given rows in the order of their key, in which every transaction locks them."""
    key = [rows[column.name] for column in table.primary_key]
    # Without WHERE, SQLite takes ON CONFLICT for the condition of a join.
    found = sa.select(*rows).where(sa.true()).order_by(*key)
    return _INSERTS[dialect](table).from_select(list(_types(table)), found)


def plain(value: Any) -> Any:
    """Write a value as drivers and JSON have it: a moment as a number, a document as its text."""
    if value is None or type(value) in (str, int):
        return value
    match value:
        case datetime():
            return to_microseconds(value)
        case codec.Encoded():
            return value.text
        case dict() | list():
            return codec.dumps(value)
        case _:
            return value


def moment(value: int | None) -> datetime | None:
    """Return the moment of a number, which a statement written by hand returned; see `plain`."""
    return None if value is None else from_microseconds(value)


def _given(dialect: str, columns: Mapping[str, Any]) -> Any:
    document = sa.bindparam(_GIVEN, type_=sa.Text)
    if dialect == SQLITE:
        each = sa.func.json_each(document).table_valued("value")
        found = [
            sa.type_coerce(
                sa.func.json_extract(each.c.value, sa.literal_column(f"'$[{number}]'")), type
            ).label(name)
            for number, (name, type) in enumerate(columns.items())
        ]
    else:
        each = sa.func.jsonb_array_elements(sa.cast(document, postgresql.JSONB)).table_valued(
            "value"
        )
        found = [
            sa.cast(each.c.value.op("->>")(sa.literal_column(str(number))), type).label(name)
            for number, (name, type) in enumerate(columns.items())
        ]
    return sa.select(*found).select_from(each).subquery("given").c
