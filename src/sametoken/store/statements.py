"""Constant statements: compiled by SQLAlchemy once, then sent straight to the driver.

SQLAlchemy takes several times as long over a statement as SQLite does: at each execution it makes
a cache key, finds the compiled form, and builds a context and a result. Here, this happens once.
The text that is sent is still SQLAlchemy's, and so are the conversions of values, the rows and the
errors.

Statements written by hand (`dialects.Text`) go to the driver as they are: see `Straight.send`.

Some statements still go through SQLAlchemy at each execution: its own texts, a statement that was
met only once, a default that is computed at each execution, an empty list; and all statements, if
there are listeners to the connection's events or SQLAlchemy logs statements. A connection that an
application passes to `idempotency.join` uses none of this.

`tests/store/test_statements.py` compares both ways on both databases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol, Self, cast

import sqlalchemy as sa
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

# Statements are identified by `id()`, so each is kept from its second execution on. Statements that
# were executed once may be temporary; of these, only the latest so many are remembered.
MET_MAX = 1024
# A statement with a list is prepared for each length of the list. A page asks for at most 500 ids,
# and few callers use many lengths. Beyond this many, all are dropped and prepared again.
LENGTHS_MAX = 256

# The beginnings of all savepoint commands.
_SAVEPOINTS = ("SAVEPOINT ", "RELEASE ", "ROLLBACK TO ")
_CONSTANT = (sa.Select, sa.TextualSelect, sa.Insert, sa.Update, sa.Delete)

Convert = Callable[[Any], Any]
Parameters = Mapping[str, Any]
# A table, and values that one of its rows has at most.
Key = tuple[Any, ...]


class Rows(list[sa.Row[Any]]):
    """All rows that a statement returned, and the driver's count of rows it changed.

    It has the part of SQLAlchemy's result that the program uses; the rest is an `AttributeError`.
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


class Found(Protocol):
    """The rows of a statement written by hand, and the count of rows it changed."""

    @property
    def rowcount(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> tuple[Any, ...]: ...


class Sent(list[tuple[Any, ...]]):
    """All rows that a statement written by hand returned, as `Found`."""

    __slots__ = ("rowcount",)

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        super().__init__(rows)
        self.rowcount = rowcount

    @classmethod
    def of(cls, result: sa.CursorResult[Any]) -> Self:
        """Read all rows of a result of SQLAlchemy's."""
        rowcount = result.rowcount
        return cls([tuple(row) for row in result] if result.returns_rows else (), rowcount)


class Prepared:
    """A statement, compiled for one set of parameter names and one length of each list."""

    def __init__(self, compiled: SQLCompiler, dialect: sa.Dialect, sample: Parameters) -> None:
        state = compiled.construct_expanded_state(dict(sample))
        self.sql = state.statement
        self._dialect = dialect
        self._lists = list(state.parameter_expansion.items())
        # Values that are part of the statement itself.
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
        """Return the values in the order and the form that the driver takes."""
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
        """Read all of the cursor's rows, as SQLAlchemy's rows."""
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
        """Learn how to convert the columns: some types are known only from the cursor."""
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
    """A statement with one set of parameter names, prepared for each length of its lists.

    `_expands` has the parameters whose values are lists; the SQL has a placeholder per element.
    """

    def __init__(self, compiled: SQLCompiler, dialect: sa.Dialect) -> None:
        self._compiled = compiled
        self._dialect = dialect
        self._expands = [compiled.bind_names[one] for one in compiled.post_compile_params]
        self._prepared: dict[tuple[int, ...], Prepared] = {}

    def prepared(self, parameters: Parameters) -> Prepared | None:
        """Return the form for these lengths. None if a list is empty or not in `parameters`."""
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
    """The constant statements of a dialect, shared by the connections of all threads."""

    def __init__(self) -> None:
        # The key is the statement's `id()`, which is unique while the statement is kept, and the
        # parameter names, since those of an insert are its columns. The value is None for a
        # statement that must go through SQLAlchemy.
        self._known: dict[tuple[int, tuple[str, ...]], Constant | None] = {}
        self._met: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._lock = threading.Lock()

    def find(self, statement: Any, names: tuple[str, ...], dialect: sa.Dialect) -> Constant | None:
        """Find a statement. None if it is met for the first time, or must go through SQLAlchemy."""
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
    """Compile a statement. None if SQLAlchemy has more to do than to pass values at each run."""
    if not isinstance(statement, _CONSTANT):
        return None
    compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
    assert isinstance(compiled, SQLCompiler), "these are compiled to SQL"
    more = (
        compiled.literal_execute_params, compiled.implicit_returning,
        compiled.insert_prefetch if compiled.isinsert else (),
        compiled.update_prefetch if compiled.isupdate else (),
        # Required values that are missing: SQLAlchemy's error names them.
        [one for one in compiled.binds.values() if one.required and one.key not in names],
    )  # fmt: skip
    return None if any(more) else Constant(compiled, dialect)


# Statements by dialect name: all engines of a dialect are made alike, so they compile alike.
_constants: dict[str, Constants] = {}


class Straight(sa.Connection):
    """A connection of a store, which sends constant statements straight to the driver.

    `check` is called with the driver's connection before every statement. An error that it raises
    becomes the statement's error.
    """

    def __init__(self, engine: sa.Engine, *, check: Callable[[Any], None] | None = None) -> None:
        super().__init__(engine)
        self._raw = cast(Any, self.connection.dbapi_connection)
        # A single cursor is enough: all rows of a statement are read before the next is sent.
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
            self._make_way()
            return super().execute(statement, parameters, **rest)
        return self._run(prepared, many if many is not None and several else [given])

    def send(self, sql: str, values: Sequence[Any]) -> Found:
        """Run a statement in the driver's own text, with values as the driver takes them."""
        if self._check is not None:
            self._check(self._raw)
        if self._is_listened_to():
            self._make_way()
            return Sent.of(super().exec_driver_sql(sql, tuple(values)))
        return self._send(sql, values)

    def look(self, sql: str, values: Sequence[Any], key: Key) -> Found:
        """Run a SELECT as `send` does, which of the table of `key` reads that row alone."""
        if self._check is not None:
            self._check(self._raw)
        return self.send(sql, values) if self._is_listened_to() else self._look(sql, values, key)

    def exec_driver_sql(self, statement: str, *rest: Any, **more: Any) -> Any:
        if self._check is not None:
            self._check(self._raw)
        if rest or more or self._is_listened_to() or not statement.startswith(_SAVEPOINTS):
            self._make_way()
            return super().exec_driver_sql(statement, *rest, **more)
        return self._command(statement)

    def write(
        self, sql: str, rows: Sequence[Sequence[Any]], keys: Sequence[Key] | None = None
    ) -> None:
        """Run a statement of `send` for each row of values. It returns nothing and counts nothing.

        It may be run later, but before it matters to any other statement, or to the commit. `keys`
        are those of the rows, by which `look` finds them.
        """
        if self._check is not None:
            self._check(self._raw)
        if self._is_listened_to():
            self._make_way()
            for values in rows:
                super().exec_driver_sql(sql, tuple(values))
        else:
            self._write(sql, rows)

    # Overridden by connections that put statements off: see `store.gathering`.

    def _make_way(self) -> None:
        """Prepare for a statement that SQLAlchemy sends."""

    def _run(self, prepared: Prepared, given: Sequence[Parameters]) -> Any:
        try:
            if len(given) > 1:
                values = [prepared.bind(one) for one in given]
                self._cursor.executemany(prepared.sql, values)
            else:
                self._cursor.execute(prepared.sql, prepared.bind(given[0]))
            return prepared.answer(self._cursor)
        except self._driver_error as error:
            raise self._translated(prepared.sql, error) from error

    def _send(self, sql: str, values: Sequence[Any]) -> Found:
        cursor = self._cursor
        try:
            cursor.execute(sql, values)
            rows = () if cursor.description is None else cursor.fetchall()
            return Sent(rows, cursor.rowcount)
        except self._driver_error as error:
            raise self._translated(sql, error) from error

    def _look(self, sql: str, values: Sequence[Any], key: Key) -> Found:
        return self._send(sql, values)

    def _write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        for values in rows:
            self._send(sql, values)

    def _command(self, sql: str) -> Any:
        try:
            self._cursor.execute(sql)
        except self._driver_error as error:
            raise self._translated(sql, error) from error
        return Rows((), self._cursor.rowcount)

    def _is_listened_to(self) -> bool:
        return self._has_events or self.engine._has_events or self._echo

    def _translated(self, sql: str, error: Exception) -> BaseException:
        """Wrap the driver's error as SQLAlchemy does, noting if the connection is lost."""
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
