"""SQLAlchemy engines without transactions or a pool: the stores handle both themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from sametoken.store import codec

SQLITE, POSTGRESQL = "sqlite://", "postgresql+psycopg://"


def engine_for(dialect: str, creator: Callable[[], Any]) -> sa.Engine:
    """Make an engine whose connections, from `creator`, never begin, commit or pool on their own.

    Its errors leave out parameters: errors reach logs, and parameters hold callers' secrets. Both
    drivers take parameters by position, so that code which sends compiled statements works with
    either of them.
    """
    return sa.create_engine(
        dialect,
        creator=creator,
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        paramstyle="format" if dialect == POSTGRESQL else "qmark",
        json_serializer=codec.dumps,
        json_deserializer=codec.loads_document,
    )
