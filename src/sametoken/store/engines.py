"""SQLAlchemy without its own transactions and pool: for stores that see to both themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from sametoken.store import codec

SQLITE, POSTGRESQL = "sqlite://", "postgresql+psycopg://"


def engine_for(dialect: str, creator: Callable[[], Any]) -> sa.Engine:
    """An engine whose connections, made by `creator`, never begin, commit or pool by themselves.

    Its errors do not repeat parameters: they reach logs, and callers' secrets are among them. Both
    drivers are given values by place, so that whoever sends a compiled statement need not know
    which it is.
    """
    return sa.create_engine(
        dialect,
        creator=creator,
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        paramstyle="format" if dialect == POSTGRESQL else "qmark",
        json_serializer=codec.dumps,
        json_deserializer=codec.loads,
    )
