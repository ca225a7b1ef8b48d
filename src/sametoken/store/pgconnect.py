"""Connections to PostgreSQL: what we ask of each, and which errors say that one is of no use.

Every wait has an end, so that a caller hears a retryable 503 and not silence: connecting, a lock, a
statement, a transaction whose owner was stopped, and a peer that went away without a word.
"""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sametoken.errors import Misconfigured

# Seconds. A request is answered within 20; a lock is waited for well within that.
CONNECT_SECONDS = 5
LOCK_SECONDS = 6
STATEMENT_SECONDS = 12
# A stopped process holds its rows for no longer than this; every step of ours takes milliseconds.
IDLE_IN_TRANSACTION_SECONDS = 20
PEER_SECONDS = 10

_BOUNDS = {
    "lock_timeout": LOCK_SECONDS,
    "statement_timeout": STATEMENT_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
}
# What a URL may say otherwise. Of several hosts the one that takes writes is wanted.
_DEFAULTS: dict[str, Any] = {
    "application_name": "sametoken",
    "connect_timeout": CONNECT_SECONDS,
    "target_session_attrs": "read-write",
    "tcp_user_timeout": PEER_SECONDS * 1000,
    "keepalives_idle": PEER_SECONDS,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# An answered commit must be on a disk, whatever the server's own default is; stronger settings
# (a synchronous standby) stay.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'local', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
# SQLSTATE 25006: we write, and the server has become a standby. 57P0x: it is going down.
_LOST = frozenset({"25006", "57P01", "57P02", "57P03"})


def connect(url: str, *, bounded: bool = True) -> psycopg.Connection[Any]:
    """A connection in autocommit mode, durable, its waits bounded unless a schema is changed."""
    connection = psycopg.connect(_conninfo(url, bounded=bounded), autocommit=True)
    connection.execute(_DURABLE)
    return connection


def check_url(url: str) -> None:
    """Raise `Misconfigured` if `url` cannot be a PostgreSQL database's."""
    _conninfo(url, bounded=True)


def _conninfo(url: str, *, bounded: bool) -> str:
    try:
        asked = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise Misconfigured(
            f"the database URL cannot be read ({str(error).strip()}). Write "
            "postgresql://USER@HOST:PORT/NAME, with several HOST:PORT joined by commas."
        ) from None
    bounds = [f"-c {name}={seconds}s" for name, seconds in _BOUNDS.items()] if bounded else []
    options = " ".join([*bounds, str(asked.get("options") or "")]).strip()
    return make_conninfo(**{**_DEFAULTS, **asked, "options": options})


def is_unusable(error: Exception) -> bool:
    """Must the connection be given up that this error came from?"""
    if isinstance(error, sa.exc.PendingRollbackError):
        # SQLAlchemy has seen it break; this is the next statement's error, an undoing one's say.
        return True
    original = getattr(error, "orig", error)
    if getattr(original, "sqlstate", None) in _LOST:
        return True
    return bool(getattr(error, "connection_invalidated", False)) or (
        isinstance(original, psycopg.OperationalError) and original.sqlstate is None
    )
