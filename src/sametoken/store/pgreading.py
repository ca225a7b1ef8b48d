"""Read a PostgreSQL database without changing it: a connection for each read, no threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sametoken.errors import Misconfigured
from sametoken.store import clock
from sametoken.store.engines import POSTGRESQL, engine_for
from sametoken.store.group_commit import DatabaseErrors
from sametoken.store.pgconnect import connect
from sametoken.store.port import Tx
from sametoken.store.reading import Check, told
from sametoken.world import World

T = TypeVar("T")


class PostgresqlReader:
    """`store.reading.Reads` for the database at `url`; every read first runs `check` on it.

    Messages use `name`, because the URL may hold a password.
    """

    def __init__(self, url: str, world: World, check: Check, *, name: str) -> None:
        self._engine = engine_for(POSTGRESQL, lambda: connect(url))
        self._world = world
        self._check = check
        self._name = name

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot. Raises `Misconfigured` if the database cannot be read."""
        try:
            with self._engine.connect() as connection:
                # Closing the connection ends the transaction.
                connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                self._check(connection)
                row = connection.exec_driver_sql(clock.READ_WITH_HOST).one()
                moment = clock.Pace(self._world).moment(row)
                return fn(Tx(connection, moment.now, self._world, moment.leapt))
        except DatabaseErrors as error:
            raise Misconfigured(
                f"cannot read {self._name}: {told(error)}. Name another database with --database "
                "postgresql://USER@HOST:PORT/NAME or SAMETOKEN_DATABASE."
            ) from error
