"""Differences between the SQL of the two databases, all of them.

Statements are module constants. A statement that each database spells differently is a
`ByDialect`; `Tx.execute` takes it like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.util import PopulateDict

from sametoken.store import codec
from sametoken.store.columns import from_microseconds, to_microseconds

SQLITE, POSTGRESQL = "sqlite", "postgresql"

# An auto-incremented key. SQLite increments only columns whose type is exactly INTEGER.
BIG = sa.BigInteger().with_variant(sa.Integer, SQLITE)


class ByDialect:
    """A statement in the spelling of each database, made when it is first asked for.

    SQLAlchemy's part for PostgreSQL takes a tenth of a start, so only who uses it imports it.
    """

    __slots__ = ("_build", "_made")

    def __init__(self, build: Callable[[str], sa.Executable]) -> None:
        self._build = build
        self._made: dict[str, sa.Executable] = {}

    def written_for(self, dialect: str) -> sa.Executable:
        """Return the statement, the same object to all who ask. Raises KeyError."""
        if dialect not in (SQLITE, POSTGRESQL):
            raise KeyError(dialect)
        found = self._made.get(dialect)
        return self._made.setdefault(dialect, self._build(dialect)) if found is None else found


def _insert(dialect: str, table: sa.Table) -> Any:
    if dialect == SQLITE:
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


class IndexWhere(sa.Index):
    """An index of the rows that meet the condition `where`, on each database.

    SQLAlchemy imports a whole dialect to check an option of it; for PostgreSQL's, only once the
    option is asked for, which no node on SQLite does.
    """

    def __init__(self, name: str, *columns: str, where: str, unique: bool = False) -> None:
        self.where = where
        super().__init__(name, *columns, unique=unique, sqlite_where=sa.text(where))

    @cached_property
    def dialect_options(self) -> PopulateDict[str, Any]:
        def options(dialect: str) -> Any:
            made = self._kw_reg_for_dialect_cls(dialect)
            if dialect == "postgresql":
                made["where"] = sa.text(self.where)
            return made

        return PopulateDict(options)


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


class Texts(sa.types.TypeDecorator[Sequence[str]]):
    """A list of texts in one value, so that a statement is the same for every length."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Any) -> str | None:
        return None if value is None else codec.dumps(list(value))


class _Among(sa.sql.functions.FunctionElement[Any]):
    """Is the first of two clauses one of the texts that the second has?"""

    inherit_cache = True
    # Not Boolean: where a database has no such type, `= 1` would follow, and no index be used.
    type = sa.types.NullType()


@compiles(_Among)
def _among(element: _Among, compiler: Any, **rest: Any) -> str:
    column, texts = (compiler.process(one, **rest) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - names alone


@compiles(_Among, POSTGRESQL)
def _among_on_postgresql(element: _Among, compiler: Any, **rest: Any) -> str:
    column, texts = (compiler.process(one, **rest) for one in element.clauses)
    # An array that is made once: with it the look-up in an index is planned, however long it is.
    return f"{column} = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({texts} AS jsonb))))"


def among(column: sa.Column[str], name: str) -> sa.ColumnElement[bool]:
    """Is the column one of the texts that the parameter `name` lists?"""
    found: Any = _Among(column, sa.bindparam(name, type_=Texts))
    return cast(sa.ColumnElement[bool], found)


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
    into = ", ".join(f'"{name}"' for name in columns)
    untyped = ", ".join("?" for _ in columns)
    # With its types told, PostgreSQL's store makes it the insertion of many rows (`of_columns`).
    typed = ", ".join(f"CAST(? AS {_spelled(table.c[name].type)})" for name in columns)
    insert = f"INSERT INTO {table.name} ({into}) VALUES"
    return Text(f"{insert} ({untyped})", f"{insert} ({typed})")


def _spelled(type: sa.types.TypeEngine[Any]) -> str:
    """Spell a column's type for PostgreSQL. Texts have no length: a cast to one would cut them."""
    for kind, name in (
        (sa.JSON, "json"), (sa.Boolean, "boolean"), (sa.BigInteger, "bigint"),
        (sa.Integer, "integer"),
    ):  # fmt: skip
        if isinstance(getattr(type, "impl", type), kind):
            return name
    return "text"


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
        lambda dialect: _insert(dialect, table).on_conflict_do_nothing().returning(returning)
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
        lambda dialect: _upsert(_insert(dialect, table), table, change, where, returning)
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
    return ByDialect(lambda dialect: build(dialect, _given(dialect, columns)))


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
    return _insert(dialect, table).from_select(list(_types(table)), found)


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
        from sqlalchemy.dialects import postgresql

        each = sa.func.jsonb_array_elements(sa.cast(document, postgresql.JSONB)).table_valued(
            "value"
        )
        found = [
            sa.cast(each.c.value.op("->>")(sa.literal_column(str(number))), type).label(name)
            for number, (name, type) in enumerate(columns.items())
        ]
    return sa.select(*found).select_from(each).subquery("given").c
