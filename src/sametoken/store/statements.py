"""Constant statements: compiled by SQLAlchemy once, then sent straight to the driver.

SQLAlchemy takes several times as long over a statement as SQLite does: it makes its key, finds its
compiled form, builds a context and a result, each time. What is sent and what comes back is the
same here: its own compiled text, its own conversions of values, its own rows and errors. Whatever
is out of the ordinary goes the ordinary way: text, a statement that is met once, a default that is
made at each execution, an empty list, and all of it where somebody listens to the connection's
events or has SQLAlchemy log statements. A connection that is not ours (`idempotency.join`) knows
nothing of all this.

`tests/store/test_statements.py` holds both ways against each other, on both databases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

# Statements are told apart by identity, so they are kept from their second execution on; of those
# that were executed once, whose maker may let them go, the oldest are forgotten.
MET_MAX = 1024
# A statement with a list is prepared for each length of it. A page asks for 500 ids at most, and
# few callers ask for many lengths: beyond this many all are prepared anew.
LENGTHS_MAX = 256

# How the commands begin by which a part of a transaction can be undone.
_SAVEPOINTS = ("SAVEPOINT ", "RELEASE ", "ROLLBACK TO ")
_CONSTANT = (sa.Select, sa.Insert, sa.Update, sa.Delete)

Convert = Callable[[Any], Any]
Parameters = Mapping[str, Any]


class Rows(list[sa.Row[Any]]):
    """All that a statement answered, and the driver's count of what it changed.

    As much of SQLAlchemy's result as the program uses; anything else is an `AttributeError`.
    """

    __slots__ = ("rowcount",)

    def __init__(self, rows: Sequence[sa.Row[Any]], rowcount: int) -> None:
        super().__init__(rows)
        self.rowcount = rowcount

    def all(self) -> Rows:
        return self

    def first(self) -> sa.Row[Any] | None:
        return self[0] if self else None

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
        self._dialect = dialect
        self._lists = list(state.parameter_expansion.items())
        # The values that the statement itself has.
        own = compiled.construct_params(dict(sample))
        self._own = {name: value for name, value in own.items() if name not in sample}
        names = tuple(state.positiontup or ())
        self._pick = _picker(names)
        converts = cast(dict[str, Convert], {**compiled._bind_processors, **state.processors})
        self._converts = [
            (place, converts[name]) for place, name in enumerate(names) if name in converts
        ]
        self._columns = compiled._result_columns
        self._metadata = SimpleResultMetaData([one.keyname for one in self._columns])
        self._places = self._metadata._key_to_index
        self._reads: Sequence[Any] | None = None
        self._reads_known = not self._columns

    @property
    def takes_one(self) -> bool:
        """Must it be executed for one set of values at a time?"""
        return bool(self._columns or self._lists)

    def bind(self, parameters: Parameters) -> Sequence[Any]:
        """The values, as the driver takes them, in their order."""
        if self._own or self._lists:
            values = {**self._own, **parameters}
            for name, parts in self._lists:
                values.update(zip(parts, values[name], strict=True))
            parameters = values
        picked = self._pick(parameters)
        if not self._converts:
            return picked
        converted = list(picked)
        for place, convert in self._converts:
            converted[place] = convert(converted[place])
        return converted

    def answer(self, cursor: Any) -> Rows:
        """All that the cursor has to tell, as SQLAlchemy's rows."""
        if not self._columns:
            return Rows((), cursor.rowcount)
        if not self._reads_known:
            self._look_at(cursor)
        metadata, reads, places = self._metadata, self._reads, self._places
        rows: list[sa.Row[Any]] = [
            sa.Row(metadata, reads, places, one) for one in cursor.fetchall()
        ]
        return Rows(rows, cursor.rowcount)

    def _look_at(self, cursor: Any) -> None:
        """Learn how to read the columns: of some the driver alone knows the type."""
        reads = [
            column.type._cached_result_processor(self._dialect, described[1])
            for column, described in zip(self._columns, cursor.description, strict=True)
        ]
        self._reads = reads if any(reads) else None
        self._reads_known = True


def _picker(names: tuple[str, ...]) -> Callable[[Parameters], Sequence[Any]]:
    if len(names) > 1:
        return itemgetter(*names)
    if names:
        [name] = names
        return lambda parameters: (parameters[name],)
    return lambda parameters: ()


class Constant:
    """A statement under one set of names: prepared for each length of its lists.

    `expands` are the names whose values are lists that the text spells out.
    """

    def __init__(self, compiled: SQLCompiler, dialect: sa.Dialect) -> None:
        self._compiled = compiled
        self._dialect = dialect
        self._expands = [compiled.bind_names[one] for one in compiled.post_compile_params]
        self._prepared: dict[tuple[int, ...], Prepared] = {}

    def prepared(self, parameters: Parameters) -> Prepared | None:
        """None when a list is part of the statement, or empty."""
        lengths: tuple[int, ...] = ()
        if self._expands:
            lengths = tuple([len(parameters.get(name, ())) for name in self._expands])
        found = self._prepared.get(lengths)
        if found is None and all(lengths):
            if len(self._prepared) >= LENGTHS_MAX:
                self._prepared.clear()
            found = Prepared(self._compiled, self._dialect, parameters)
            self._prepared[lengths] = found
        return found


class Constants:
    """The constant statements of one dialect, shared by connections of many threads."""

    def __init__(self) -> None:
        # By the statement's identity, which lasts as long as it is kept, and by names: those of an
        # insert are its columns. None for what takes the ordinary way.
        self._known: dict[tuple[int, tuple[str, ...]], Constant | None] = {}
        self._met: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._lock = threading.Lock()

    def find(self, statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> Constant | None:
        """None for a statement that is executed for the first time, or takes the ordinary way."""
        key = (id(statement), names)
        try:
            return self._known[key]
        except KeyError:
            return self._learn(statement, names, dialect)

    def _learn(
        self, statement: Any, names: tuple[str, ...], dialect: sa.Dialect
    ) -> Constant | None:
        with self._lock:
            if id(statement) not in self._met:
                if len(self._met) == MET_MAX:
                    del self._met[next(iter(self._met))]
                self._met[id(statement)] = statement
                return None
            constant = _constant(statement, names, dialect)
            self._kept.append(statement)
            self._known[id(statement), names] = constant
            return constant


def _constant(statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> Constant | None:
    """None when SQLAlchemy has more to do at each execution than to pass values on."""
    if not isinstance(statement, _CONSTANT):
        return None
    compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
    assert isinstance(compiled, SQLCompiler), "these are compiled to SQL"
    more = (
        compiled.literal_execute_params, compiled.implicit_returning,
        compiled.insert_prefetch if compiled.isinsert else (),
        compiled.update_prefetch if compiled.isupdate else (),
        # It says which value nobody gives.
        [one for one in compiled.binds.values() if one.required and one.key not in names],
    )  # fmt: skip
    return None if any(more) else Constant(compiled, dialect)


# By the dialect's name: every engine of ours is made alike.
_constants: dict[str, Constants] = {}


class Straight(sa.Connection):
    """A connection of a store's own, whose constant statements take the short way.

    `check` is called with the driver's connection before each of its statements, whichever way it
    takes; what it raises is the statement's error.
    """

    def __init__(self, engine: sa.Engine, *, check: Callable[[Any], None] | None = None) -> None:
        super().__init__(engine)
        self._raw = cast(Any, self.connection.dbapi_connection)
        # One for all: whatever a statement answers is read whole before the next is sent.
        self._cursor = self._raw.cursor()
        self._check = check
        self._driver_error: type[Exception] = self.dialect.loaded_dbapi.Error
        self._constants = _constants.setdefault(engine.dialect.name, Constants())

    def execute(self, statement: Any, parameters: Any = None, **rest: Any) -> Any:
        if self._check is not None:
            self._check(self._raw)
        many = parameters if isinstance(parameters, list) else None
        given: Parameters = (many[0] if many else parameters) or {}
        prepared = None
        if not (rest or many == [] or self._is_listened_to()):
            constant = self._constants.find(statement, tuple(given), self.dialect)
            prepared = None if constant is None else constant.prepared(given)
        several = many is not None and len(many) > 1
        if prepared is None or (several and prepared.takes_one):
            return super().execute(statement, parameters, **rest)
        try:
            if several:
                values = [prepared.bind(one) for one in many or ()]
                self._cursor.executemany(prepared.sql, values)
            else:
                self._cursor.execute(prepared.sql, prepared.bind(given))
            return prepared.answer(self._cursor)
        except self._driver_error as error:
            raise self._translated(prepared.sql, error) from error

    def exec_driver_sql(self, statement: str, *rest: Any, **more: Any) -> Any:
        if self._check is not None:
            self._check(self._raw)
        if rest or more or self._is_listened_to() or not statement.startswith(_SAVEPOINTS):
            return super().exec_driver_sql(statement, *rest, **more)
        try:
            self._cursor.execute(statement)
        except self._driver_error as error:
            raise self._translated(statement, error) from error
        return Rows((), self._cursor.rowcount)

    def _is_listened_to(self) -> bool:
        return self._has_events or self.engine._has_events or self._echo

    def _translated(self, sql: str, error: Exception) -> BaseException:
        """The error as SQLAlchemy has it, which says whether the connection is of any more use."""
        return sa.exc.DBAPIError.instance(
            sql,
            None,
            error,
            self._driver_error,
            hide_parameters=True,
            connection_invalidated=self.dialect.is_disconnect(
                cast(Any, error), self._raw, self._cursor
            ),
            dialect=self.dialect,
        )
