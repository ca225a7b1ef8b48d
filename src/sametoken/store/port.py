"""The door to a database: functions of a transaction, never open transactions.

`store.run(fn)` calls `fn(tx)` and commits; the value it returns (or the error `fn` raised)
reaches the caller only once the transaction's fate is known. `fn` may be called more than once,
so it has no effect but through `tx`, and it never leaves the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.store.dialects import ByDialect, locks_rows
from sametoken.world import World, mint_uuid

T = TypeVar("T")


class Stale(Transient):
    """A row was changed by another transaction after this one read it.

    The store runs the function again, which then reads what it lost to; a caller hears of it only
    if that does not help.
    """


class Result(Protocol):
    """What a statement answered: rows, and how many it changed."""

    @property
    def rowcount(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def all(self) -> Sequence[Any]: ...
    def first(self) -> Any: ...
    def one(self) -> Any: ...
    def scalar(self) -> Any: ...
    def scalar_one(self) -> Any: ...


@dataclass(slots=True)
class Tx:
    """One open transaction: its connection, its moment and what to wake once it has committed.

    `now` is the store's clock, read once, so that everything in a transaction happened at the
    same moment and no node's own clock is ever persisted. Ids minted here share the digits `near`.
    """

    connection: sa.Connection
    now: datetime
    world: World
    channels: set[str] = field(default_factory=set)
    near: str = ""

    def execute(self, statement: sa.Executable | ByDialect, parameters: Any = None) -> Result:
        """Run one statement. `parameters` is a mapping, or a list of them for many rows."""
        if isinstance(statement, ByDialect):
            statement = statement.written_for(self.connection.dialect.name)
        return self.connection.execute(statement, parameters)

    def lock(self, statement: sa.Executable, parameters: Any = None) -> None:
        """Lock the rows that `statement` selects for update; nothing is read of them.

        Where a transaction is the only one that writes, nothing is sent.
        """
        if locks_rows(self.connection.dialect.name):
            self.execute(statement, parameters)

    def mint_uuid(self) -> str:
        return mint_uuid(self.world)

    def wake(self, channel: str) -> None:
        """Have listeners on `channel` told of this transaction, after it committed."""
        self.channels.add(channel)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did when it raises; the transaction itself goes on.

        One name for all, as savepoints nest: SQLAlchemy's own are numbered, and each number is a
        new statement to compile and to cache.
        """
        command = self.connection.exec_driver_sql
        command("SAVEPOINT effects")
        try:
            yield
        except BaseException:
            command("ROLLBACK TO SAVEPOINT effects")
            command("RELEASE SAVEPOINT effects")
            raise
        command("RELEASE SAVEPOINT effects")


class Store(Protocol):
    """What every database offers the rest of the program."""

    def run(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in one durable transaction and return its value after the commit.

        Raises what `fn` raised, its effects undone; or `Transient` when the store could not
        finish (`ran` says whether anything may have happened).
        """
        ...

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "") -> Future[T]:
        """As `run`, without waiting. Cancelling the future in time takes the job back whole.

        Jobs of one `lane` would only wait for each other's locks: a store may run them in turn.
        """
        ...

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot of what has committed. `fn` must not write."""
        ...

    def listen(self, channel: str) -> threading.Event:
        """An event that is set after each commit that woke `channel`. The listener clears it."""
        ...
