"""Values and statements in the text that PostgreSQL reads. Pure: no connection here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

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


# A statement for one set of values, of which each has its type behind it. No other mark is in it.
_INSERTION = re.compile(r'(INSERT INTO \w+ \([\w", ]+\)) VALUES \((.+)\)')
_CHANGE = re.compile(r"(UPDATE \w+ SET .+|DELETE FROM \w+) (WHERE .+)")
_TYPED = re.compile(r"%s::(\w+)|CAST\(%s AS (\w+)\)")
_NOT_SIMPLE = re.compile(r"%(?!s)|\b(?:SELECT|RETURNING|CONFLICT|USING|FROM unnest)\b")


class OfMany(NamedTuple):
    """A statement for many sets of values, which takes an array for each place.

    A row is found by the values at `keys`: of two sets with equal ones only one would be heeded.
    """

    sql: str
    keys: Sequence[int]

    def takes(self, rows: Sequence[Sequence[Any]]) -> bool:
        if not self.keys:
            return True
        return len({tuple([row[key] for key in self.keys]) for row in rows}) == len(rows)


@lru_cache(maxsize=1_000)
def of_columns(sql: str) -> OfMany | None:
    """Make a statement for many sets of values of one that inserts, changes or deletes by one."""
    if _NOT_SIMPLE.search(sql):
        return None
    types = [one or other for one, other in _TYPED.findall(sql)]
    if not types or len(types) != sql.count("%s"):
        return None
    arrays = ", ".join(f"%s::{one}[]" for one in types)
    inserts = _INSERTION.fullmatch(sql)
    if inserts is not None:
        return OfMany(f"{inserts[1]} SELECT * FROM unnest({arrays})", ())  # noqa: S608 - no value
    changes = _CHANGE.fullmatch(" ".join(sql.split()))
    if changes is None:
        return None
    places = count()
    head, where = (
        _TYPED.sub(lambda mark: f"given.v{next(places)}", part) for part in changes.groups()
    )
    names = ", ".join(f"v{place}" for place in range(len(types)))
    join = "USING" if head.startswith("DELETE") else "FROM"
    known = where.count("given.v")
    return OfMany(
        f"{head} {join} unnest({arrays}) AS given({names}) {where}",
        range(len(types) - known, len(types)),
    )


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
