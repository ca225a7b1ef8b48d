"""SQLAlchemy's statements without its bookkeeping: compiled once, then straight to the driver.

A schedule runs some six hundred statements, nearly all of them the same few, and SQLAlchemy takes
several times as long over each as SQLite does. What is sent and what comes back is the same: its
own compiled text, its own conversions of values and its own rows; `test_straight.py` shows it, and
that a schedule's trace is the same either way. What is out of the ordinary goes the ordinary way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

# Statements are told apart by identity, so they are kept until they are met again. Those that a
# function builds anew each time never are: the oldest are let go.
MET_MAX = 1024

# How commands begin that a member's savepoint takes.
_SAVEPOINTS = ("SAVEPOINT ", "RELEASE ", "ROLLBACK TO ")

Convert = Callable[[Any], Any]
Parameters = Mapping[str, Any]


class Rows(list[sa.Row[Any]]):
    """What a statement answered, all of it, and the driver's count of what it changed.

    As much of SQLAlchemy's result as the program uses; anything else is an `AttributeError`.
    """

    rowcount: int

    def all(self) -> Rows:
        return self

    def first(self) -> sa.Row[Any] | None:
        return self[0] if self else None

    def fetchone(self) -> sa.Row[Any] | None:
        return self.pop(0) if self else None

    def one(self) -> sa.Row[Any]:
        if len(self) != 1:
            raise (sa.exc.MultipleResultsFound if self else sa.exc.NoResultFound)(len(self))
        return self[0]

    def scalar(self) -> Any:
        return self[0][0] if self else None

    def scalar_one(self) -> Any:
        return self.one()[0]


class Prepared:
    """One statement under one set of parameter names, with lists of one length each."""

    def __init__(self, compiled: SQLCompiler, dialect: sa.Dialect, sample: Parameters) -> None:
        state = compiled.construct_expanded_state(dict(sample))
        self.sql = state.statement
        converts = {**compiled._bind_processors, **state.processors}
        self._binds: list[tuple[str, Convert | None]] = [
            (name, cast(Convert | None, converts.get(name))) for name in state.positiontup or ()
        ]
        # The values that the statement itself has.
        own = compiled.construct_params(_check=False)
        self._own = {name: value for name, value in own.items() if name not in sample}
        self._lists = list(state.parameter_expansion.items())
        columns = compiled._result_columns
        self._metadata = SimpleResultMetaData([one.keyname for one in columns])
        reads = [one.type._cached_result_processor(dialect, None) for one in columns]
        self._reads = reads if any(reads) else None

    def bind(self, parameters: Parameters) -> list[Any]:
        values = parameters
        if self._own or self._lists:
            values = {**self._own, **parameters}
            for name, parts in self._lists:
                values.update(zip(parts, values[name], strict=True))
        return [
            values[name] if convert is None else convert(values[name])
            for name, convert in self._binds
        ]

    def answer(self, cursor: sqlite3.Cursor) -> Rows:
        metadata, reads = self._metadata, self._reads
        places = metadata._key_to_index
        rows = Rows([sa.Row(metadata, reads, places, one) for one in cursor.fetchall()])
        rows.rowcount = cursor.rowcount
        return rows


class Constant:
    """A statement that was met before, under one set of names: prepared for each length of lists.

    `expands` are the names whose values are lists that the text spells out.
    """

    def __init__(self, compiled: SQLCompiler, dialect: sa.Dialect) -> None:
        self._compiled = compiled
        self._dialect = dialect
        self._expands = [compiled.bind_names[one] for one in compiled.post_compile_params]
        self._prepared: dict[tuple[int, ...], Prepared | None] = {}

    def prepared(self, parameters: Parameters) -> Prepared | None:
        """None when a list is part of the statement, or empty."""
        lengths = tuple(len(parameters.get(name, ())) for name in self._expands)
        if lengths not in self._prepared:
            usual = all(lengths)
            made = Prepared(self._compiled, self._dialect, parameters) if usual else None
            self._prepared[lengths] = made
        return self._prepared[lengths]


class Straight(sa.Connection):
    """A connection whose constant statements take the short way."""

    @cached_property
    def _heeding(self) -> Sequence[Callable[..., object]]:
        """Who listens to what is sent: since before the first statement, or never."""
        return tuple(self.dispatch.before_cursor_execute)

    def execute(self, statement: Any, parameters: Any = None, **rest: Any) -> Any:
        many = parameters if isinstance(parameters, list) else None
        given: Parameters = (many[0] if many else parameters) or {}
        constant = None if rest or many == [] else _look_up(statement, tuple(given), self.dialect)
        prepared = constant.prepared(given) if constant is not None else None
        if prepared is None:
            return super().execute(statement, parameters, **rest)
        if many is None:
            return prepared.answer(self._send(prepared.sql, prepared.bind(given)))
        for each in many:
            self._send(prepared.sql, prepared.bind(each))
        return None

    def exec_driver_sql(self, statement: str, *rest: Any, **more: Any) -> Any:
        if not statement.startswith(_SAVEPOINTS):
            return super().exec_driver_sql(statement, *rest, **more)
        self._send(statement, [])
        return None

    def _send(self, sql: str, values: list[Any]) -> sqlite3.Cursor:
        raw = self.connection.dbapi_connection
        assert raw is not None, "it is not detached"
        cursor = cast(sqlite3.Cursor, raw.cursor())
        try:
            for heed in self._heeding:
                heed(self, cursor, sql, values, None, False)
            return cursor.execute(sql, values)
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance(
                sql, values, error, sqlite3.Error, hide_parameters=True, dialect=self.dialect
            ) from error


def _look_up(statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> Constant | None:
    """None for a statement that is met for the first time, or that takes the ordinary way."""
    key = (id(statement), names)
    if key in _constants:
        return _constants[key]
    if id(statement) not in _met:
        if len(_met) == MET_MAX:
            del _met[next(iter(_met))]
        _met[id(statement)] = statement
        return None
    constant = _constants[key] = _constant(statement, names, dialect)
    _kept.append(statement)
    return constant


def _constant(statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> Constant | None:
    """None when SQLAlchemy has more to do at each execution than to pass values on."""
    compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
    assert isinstance(compiled, SQLCompiler), "only the image is made with other statements"
    more = (
        compiled.literal_execute_params, compiled.implicit_returning,
        compiled.insert_prefetch if compiled.isinsert else (),
        compiled.update_prefetch if compiled.isupdate else (),
    )  # fmt: skip
    return None if any(more) else Constant(compiled, dialect)


# Statements by identity, which lasts as long as they are kept.
_met: dict[int, Any] = {}
_constants: dict[tuple[int, tuple[str, ...]], Constant | None] = {}
_kept: list[Any] = []
