"""Saved states of a SQLite file: copies in a folder beside it, and their rows put back.

An ordinary transaction puts rows back, so others see all of them or none. Rows are copied as the
database has them, through a connection of its own to the copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sametoken.errors import Misconfigured
from sametoken.store.port import Tx

_ENDING = ".db"


def folder_of(database: Path) -> Path:
    """Return the folder of the saved states of the database in that file."""
    return database.with_name(database.name + ".saved")


def file_of(database: Path, name: str) -> Path:
    return folder_of(database) / (name + _ENDING)


def names(database: Path) -> list[str]:
    """List the names of the states that are saved."""
    return sorted(one.name.removesuffix(_ENDING) for one in folder_of(database).glob(f"*{_ENDING}"))


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a saved state to read it. Raises `Misconfigured` if it is damaged."""
    uri = f"{file.as_uri()}?mode=ro&immutable=1"
    try:
        # The writer's thread reads it.
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        with closing(connection):
            yield connection
    except sqlite3.DatabaseError as error:
        raise Misconfigured(f"{file} cannot be read: {error}. Save the state anew.") from error


def put_back(tx: Tx, saved: sqlite3.Connection, tables: Sequence[sa.Table]) -> None:
    """Replace the rows of `tables` by the saved ones; a table comes after those that it refers to.

    Others of this commit may not use what they know of them: what the transaction knows is dropped.
    """
    for table in reversed(tables):
        tx.connection.exec_driver_sql(f'DELETE FROM "{table.name}"')  # noqa: S608 - our own names
    for table in tables:
        columns = [column.name for column in table.columns]
        rows = saved.execute(_select(table, columns)).fetchall()
        if rows:
            listed = ", ".join(f'"{name}"' for name in columns)
            values = ", ".join("?" for _ in columns)
            into = f'"{table.name}" ({listed})'
            sql = f"INSERT INTO {into} VALUES ({values})"  # noqa: S608 - our own names
            tx.connection.exec_driver_sql(sql, rows)
    if tx.cache is not None:
        tx.cache.clear()
    tx.written.clear()
    tx.known.clear()
    tx.stamps.clear()


def row_of(saved: sqlite3.Connection, table: sa.Table) -> dict[str, Any]:
    """Return the only row of a table, as it was saved."""
    columns = [column.name for column in table.columns]
    [row] = saved.execute(_select(table, columns))
    return dict(zip(columns, row, strict=True))


def values_of(saved: sqlite3.Connection, column: sa.Column[Any]) -> set[Any]:
    """Return the values of a column that were saved."""
    return {row[0] for row in saved.execute(_select(column.table, [column.name]))}


def _select(table: sa.FromClause, columns: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in columns)
    return f'SELECT {listed} FROM "{table}"'  # noqa: S608 - our own names
