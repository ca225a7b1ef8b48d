"""The interface to a database: callers pass functions of a transaction, and never hold one open.

`store.run(fn)` calls `fn(tx)` and commits; the value it returns (or the error `fn` raised)
reaches the caller only once the transaction's outcome is known. `fn` may be called more than once,
so all of its effects go through `tx`, and it makes no call out of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from sametoken.errors import SametokenError, Transient
from sametoken.store.cache import Cache
from sametoken.store.counts import CommitCounts
from sametoken.store.dialects import TAKES_TEXT, ByDialect, Text, locks_rows
from sametoken.store.kept import Kept
from sametoken.store.statements import Found, Key, Sent, Straight
from sametoken.world import World, mint_uuid

T = TypeVar("T")


class Broken(SametokenError):
    """This process cannot go on: a part of it has died, or its database is not what it was."""


class Stale(Transient):
    """A row was changed by another transaction after this one read it.

    The store runs the function again, which then reads the changed row. A caller gets this error
    only if repeated runs fail too.
    """


class WouldWait(Exception):
    """A read that must not wait would have to, or would take long. It has done nothing."""


class NotAlone(Exception):
    """A function of a shared transaction does what needs a transaction of its own."""


class Counted(Protocol):
    """The number of rows that a statement has changed."""

    @property
    def rowcount(self) -> int: ...


class Result(Counted, Protocol):
    """The result of a statement: its rows, and the number of rows it changed."""

    def __iter__(self) -> Iterator[Any]: ...
    def all(self) -> Sequence[Any]: ...
    def first(self) -> Any: ...
    def one(self) -> Any: ...
    def scalar(self) -> Any: ...
    def scalar_one(self) -> Any: ...


@dataclass(slots=True)
class Tx:
    """An open transaction: its connection, its moment, and the channels to wake after its commit.

    `now` is the store's clock, read once, so that everything in a transaction happens at the same
    moment and no node's own clock is ever persisted; `leapt` is how much of it never passed (see
    `leaps`). Ids minted here share the digits `near`.

    `written` is for owners of tables: what this transaction wrote, so that it need not be read
    back, by a key of the owner's. `cache` and `stamps` are for `cached`. `kept` is for transactions
    that only read: values by the versions of the rows that they were made of. A `hurried` one holds
    everybody up: what would read many rows in it raises `WouldWait` instead.

    Transactions that share a commit share `stamps` and `known`, in which owners of tables keep what
    they have read or written there. An undoing, of any part of any of them, empties both.

    `only_writer`: nobody else can write before this transaction has ended, so what it has looked up
    stays so.

    `is_shared`: several functions run one after another, and all are undone if one of them raises;
    each then gets a transaction of its own. `checks` is for `expect`, None where statements do not
    travel together, and `endings` for `at_end`.
    """

    connection: sa.Connection
    now: datetime
    world: World
    leapt: timedelta = timedelta(0)
    channels: set[str] = field(default_factory=set)
    near: str = ""
    written: dict[Hashable, Any] = field(default_factory=dict)
    cache: Cache | None = None
    stamps: dict[Hashable, str | None] = field(default_factory=dict)
    known: dict[Hashable, Any] = field(default_factory=dict)
    kept: Kept | None = None
    hurried: bool = False
    only_writer: bool = False
    is_shared: bool = False
    checks: list[Callable[[], None]] | None = None
    endings: list[Callable[[], None]] = field(default_factory=list)

    def execute(self, statement: sa.Executable | ByDialect, parameters: Any = None) -> Result:
        """Run a statement. `parameters` is a mapping, or a list of mappings for many rows."""
        if isinstance(statement, ByDialect):
            statement = statement.written_for(self.connection.dialect.name)
        return self.connection.execute(statement, parameters)

    def send(self, statement: Text, values: Sequence[Any] = ()) -> Found:
        """Run a statement written by hand; returns its rows, as tuples of what the driver gives."""
        connection = self.connection
        dialect = connection.dialect.name
        if isinstance(connection, Straight):
            return connection.send(statement.for_driver[dialect], values)
        if connection.dialect.driver in TAKES_TEXT:
            text = statement.for_driver[dialect]
            return Sent.of(connection.exec_driver_sql(text, tuple(values)))
        named = {f"v{place}": value for place, value in enumerate(values)}
        return Sent.of(connection.execute(statement.for_any[dialect], named))

    def look(self, statement: Text, values: Sequence[Any], key: Key) -> Found:
        """Run a SELECT as `send` does, which of a table reads one row alone.

        That is the row with the unique `key`: the table's name, and the values of its columns.
        """
        connection = self.connection
        if isinstance(connection, Straight):
            return connection.look(statement.for_driver[connection.dialect.name], values, key)
        return self.send(statement, values)

    def write(
        self, statement: Text, rows: Sequence[Sequence[Any]], keys: Sequence[Key] | None = None
    ) -> None:
        """Insert rows by a statement written by hand, of which nothing is to be known.

        A store may insert them later, but before another statement looks at their table, or `look`
        at one of their `keys`. A row that is refused is an error of the transaction, perhaps not of
        this call.
        """
        connection = self.connection
        if not rows:
            return
        if isinstance(connection, Straight):
            connection.write(statement.for_driver[connection.dialect.name], rows, keys)
        else:
            for values in rows:
                self.send(statement, values)

    def lock(self, statement: sa.Executable | Text, parameters: Any = None) -> None:
        """Lock the rows that `statement` selects for update; its result is dropped.

        On SQLite the statement is not sent: only one transaction writes at a time there. Nor is it
        sent by a transaction that only reads, which sees no change of another.
        """
        if self.only_reads or not locks_rows(self.connection.dialect.name):
            return
        if isinstance(statement, Text):
            self.send(statement, parameters)
        else:
            self.execute(statement, parameters)

    @property
    def only_reads(self) -> bool:
        return self.kept is not None

    def alone(self) -> None:
        """Raise if other functions share this transaction.

        Call it before a row is locked that others lock as well: of several functions, each would
        lock in an order of its own.
        """
        if self.is_shared:
            raise NotAlone

    def expect(self, told: Counted, count: int, error: Callable[[], Exception]) -> None:
        """Raise `error()` before the commit unless a statement has changed so many rows.

        This is checked at once where answers come at once.
        """

        def check() -> None:
            if told.rowcount != count:
                raise error()

        if self.checks is None:
            check()
        else:
            self.checks.append(check)

    def at_end(self, act: Callable[[], None]) -> None:
        """Have `act` called just before the commit, when all functions that share it are done."""
        self.endings.append(act)

    def see(self) -> None:
        """Make the checks that are left. Raises the error of the first that fails."""
        while self.checks:
            self.checks.pop(0)()

    def finish(self) -> None:
        """Make all checks, and then act as is due at the end. A store commits right after it."""
        self.see()
        for act in self.endings:
            act()

    def mint_uuid(self) -> str:
        return mint_uuid(self.world)

    def wake(self, channel: str) -> None:
        """Wake the listeners on `channel` once this transaction has committed."""
        self.channels.add(channel)

    def cached(self, topic: Hashable, key: Hashable, read: Callable[[], T]) -> T:
        """Return what `read` returned under the topic's stamp, perhaps in another transaction.

        Without a stamp that this transaction has read, `read` is called. See `store.cache`.
        """
        if self.cache is None or topic not in self.stamps:
            return read()
        return self.cache.get(topic, self.stamps[topic], key, read)

    def cached_form(self, topic: Hashable, key: Hashable, make: Callable[[], T]) -> T:
        """Like `cached`, for values of which callers choose the keys.

        The value follows from the key, and from what `make` reads by `cached`, alone.
        """
        if self.cache is None or topic not in self.stamps:
            return make()
        return self.cache.get_form(topic, self.stamps[topic], key, make)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the block's effects if it raises; the transaction itself goes on.

        All savepoints have the same name, since they nest. SQLAlchemy numbers its own, and each
        number is a new statement to compile and to cache.
        """
        if self.is_shared:
            with self._all_or_nothing():
                yield
            return
        command = self.connection.exec_driver_sql
        command("SAVEPOINT effects")
        try:
            yield
        except BaseException:
            self.written.clear()
            self.stamps.clear()
            self.known.clear()
            command("ROLLBACK TO SAVEPOINT effects")
            command("RELEASE SAVEPOINT effects")
            raise
        command("RELEASE SAVEPOINT effects")

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            yield
        except SametokenError as error:
            raise NotAlone from error


class Store(Protocol):
    """The operations that every database offers to the rest of the program."""

    def run(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in one durable transaction and return its value after the commit.

        Raises the error that `fn` raised, with its effects undone; or `Transient` if the store
        could not finish (`ran` says whether it may have taken effect).
        """
        ...

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "", shares: bool = False) -> Future[T]:
        """Like `run`, without waiting. A future that is cancelled in time leaves no effect.

        Jobs of one `lane` would wait for each other's locks anyway, so a store may run them one
        after another. With `shares`, `fn` may run in one transaction with others of its lane that
        share: it locks nothing that other lanes lock, before the end.
        """
        ...

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot of the committed data. `fn` must not write."""
        ...

    def seconds(self) -> float:
        """Return the clock's moment as this process knows it, without a look at the database.

        It is in seconds since 1970. Another process may have moved the clock on meanwhile.
        """
        ...

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` as `read` does, in a hurried transaction: for a thread that must not wait.

        Raises `WouldWait` if the database does not answer at once, or `fn` would read too much.
        """
        ...

    def check(self) -> None:
        """Raise `Broken` if a thread of the store has died, or its file is not what it was."""
        ...

    def listen(self, channel: str) -> threading.Event:
        """Return an event that each commit waking `channel` sets. The listener clears it."""
        ...


class CountingStore(Store, Protocol):
    """A store that counts its commits, as the databases of nodes do."""

    @property
    def counts(self) -> CommitCounts: ...
