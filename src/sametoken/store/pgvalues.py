"""Values and statements in the text that PostgreSQL reads. Pure: no connection here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg.types.json import Json

from sametoken.store.codec import dumps

# The mark of a value, and that of a percent sign.
_MARK = re.compile(r"%[s%]")


def _text(value: str) -> bytes:
    if "\0" in value:
        # The driver would take it for the end of the value.
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return value.encode()


# How values are written as PostgreSQL reads them; the statement tells of which type each is.
_WRITTEN: dict[type, Callable[[Any], bytes]] = {
    str: _text,
    int: b"%d".__mod__,
    bool: lambda value: b"t" if value else b"f",
    Json: lambda value: _text(dumps(value.obj)),
}


def _as_derived(value: Any) -> bytes:
    """Write a value whose type is derived from one of these."""
    write = next((one for kind, one in _WRITTEN.items() if isinstance(value, kind)), None)
    assert write is not None, f"no statement has values of {type(value)}"
    return write(value)


def written(values: Sequence[Any]) -> list[bytes | None]:
    """Write values as PostgreSQL reads them. Raises `psycopg.DataError`."""
    return [
        None if value is None else _WRITTEN.get(type(value), _as_derived)(value) for value in values
    ]


# The insertion of a row whose values are all given, as SQLAlchemy writes it.
_INSERTION = re.compile(r"(INSERT INTO \w+ \([\w, ]+\)) VALUES \(((?:%s::\w+(?:, )?)+)\)")


@lru_cache(maxsize=1_000)
def of_columns(sql: str) -> str | None:
    """Make the insertion of many rows, which takes an array for each column, of that of one row."""
    found = _INSERTION.fullmatch(sql)
    if found is None:
        return None
    arrays = ", ".join(f"{one}[]" for one in found[2].split(", "))
    return f"{found[1]} SELECT * FROM unnest({arrays})"  # noqa: S608 - nothing here is a value


def array(values: Sequence[Any]) -> str:
    """Write values as PostgreSQL reads an array of them."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value)
    text = dumps(value.obj) if isinstance(value, Json) else value
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def numbered(sql: str) -> bytes:
    """Write the marks of values as the server has them: `$1`, `$2`, …"""
    numbers = count(1)
    return _MARK.sub(lambda mark: "%" if mark[0] == "%%" else f"${next(numbers)}", sql).encode()
