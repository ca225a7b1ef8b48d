"""Connections to PostgreSQL: their settings, and the errors after which one is unusable.

Every wait is bounded, so that a caller gets a retryable 503 instead of silence: connecting, a lock,
a statement, a transaction whose owner was stopped, and a peer that vanished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sametoken.errors import Misconfigured

# Seconds. A request is answered within 20, so the wait for a lock must be well below that.
CONNECT_SECONDS = 5
LOCK_SECONDS = 6
STATEMENT_SECONDS = 12
# A stopped process holds its row locks no longer than this; our own steps take milliseconds.
IDLE_IN_TRANSACTION_SECONDS = 20
PEER_SECONDS = 10

_BOUNDS = {
    "lock_timeout": LOCK_SECONDS,
    "statement_timeout": STATEMENT_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
}
# Defaults that a URL may override. Among several hosts, libpq picks the one that takes writes.
_DEFAULTS: dict[str, Any] = {
    "application_name": "sametoken",
    "connect_timeout": CONNECT_SECONDS,
    "target_session_attrs": "read-write",
    "tcp_user_timeout": PEER_SECONDS * 1000,
    "keepalives_idle": PEER_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# A commit must be on disk before it is answered, so `off` is raised to `local`. Stronger settings
# (waiting for a synchronous standby) stay.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'local', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
# SQLSTATE 25006: a write, but the server has become a standby. 57P0x: the server is shutting down.
# 0A000 and 26000: a prepared statement whose table has changed since, or that is gone.
_LOST = frozenset({"25006", "57P01", "57P02", "57P03", "0A000", "26000"})


class Connection(psycopg.Connection[Any]):
    """A connection of psycopg's, of which the usual way to send a statement is only one.

    `make_way` is called before anybody gets a cursor, of SQLAlchemy's or of psycopg's own.
    """

    make_way: Callable[[], None] | None = None

    def cursor(self, *args: Any, **options: Any) -> Any:
        if self.make_way is not None:
            self.make_way()
        return super().cursor(*args, **options)


def connect(url: str, *, bounded: bool = True) -> Connection:
    """Connect, in autocommit mode and with durable commits.

    `bounded` limits its waits; only a change of the schema goes without.
    """
    connection = Connection.connect(_conninfo(url, bounded=bounded), autocommit=True)
    connection.execute(_DURABLE)
    return connection


def check_url(url: str) -> None:
    """Raise `Misconfigured` if `url` cannot be a PostgreSQL database's."""
    _conninfo(url, bounded=True)


def _conninfo(url: str, *, bounded: bool) -> str:
    try:
        asked = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Its message repeats what it could not read, which may be the password.
        raise Misconfigured(
            "the database URL cannot be read. Write postgresql://USER@HOST:PORT/NAME, with several "
            "HOST:PORT joined by commas, and %-encode what else is in a password."
        ) from None
    bounds = [f"-c {name}={seconds}s" for name, seconds in _BOUNDS.items()] if bounded else []
    options = " ".join([*bounds, str(asked.get("options") or "")]).strip()
    return make_conninfo(**{**_DEFAULTS, **asked, "options": options})


def is_unusable(error: BaseException) -> bool:
    """Must the connection that raised this error be dropped?"""
    if isinstance(error, sa.exc.PendingRollbackError):
        # SQLAlchemy already marked the connection as broken; this error comes from the next
        # statement, for example from the rollback to a savepoint.
        return True
    original = getattr(error, "orig", error)
    if getattr(original, "sqlstate", None) in _LOST:
        return True
    return bool(getattr(error, "connection_invalidated", False)) or (
        isinstance(original, psycopg.OperationalError) and original.sqlstate is None
    )
