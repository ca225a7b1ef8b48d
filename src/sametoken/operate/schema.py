"""Bringing a database to this program's schema, and taking away what only older programs use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sametoken.migrations.upgrade import contract, current, upgrade, waiting
from sametoken.operate.drivers import change_schema
from sametoken.operate.serving import registered
from sametoken.settings import Database
from sametoken.store import nodes


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's revision, and the revisions that only `contract_schema` applies."""

    revision: str | None
    waiting: list[str]


def upgrade_schema(database: Database) -> Schema:
    """Apply the revisions that only add, to a new database every one; the schema it has then."""
    found: list[Schema] = []

    def change(connection: Any) -> None:
        upgrade(connection)
        found.append(Schema(current(connection), waiting(connection)))

    change_schema(database, change)
    # A change that lost a race has run again: the last one stays.
    return found[-1]


def contract_schema(database: Database) -> None:
    """Bring the database to this program's schema, and take away what only older programs use.

    Raises `Misconfigured`, nothing changed, while a node runs that may use it.
    """
    if database.file is not None:
        # Its one server, of whatever version, holds its lock file for as long as it runs.
        with registered(database.file):
            change_schema(database, partial(contract, living=list))
        return
    change_schema(
        database, lambda connection: contract(connection, living=partial(nodes.lock, connection))
    )
