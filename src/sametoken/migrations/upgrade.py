"""Brings a database to this program's schema, in one transaction of its own.

Expand, then contract: every revision here only adds (a node of the previous release keeps
working beside this one). A database that is newer than the program is refused, naming both.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError

from sametoken.errors import Misconfigured


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "sametoken:migrations")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision this program knows as the newest."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "there is a first revision"
    return found


def current(connection: sa.Connection) -> str | None:
    """The database's revision; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: sa.Connection) -> None:
    """Apply what is missing. The caller has begun a transaction, and commits it.

    Raises `Misconfigured` for a database of a newer program.
    """
    found = current(connection)
    if found == head():
        return
    try:
        command.upgrade(_config(connection), "head")
    except (CommandError, ResolutionError) as error:
        raise Misconfigured(
            f"the database is at revision {found}, which this version of sametoken (revision "
            f"{head()}) does not know. Use the newer version that wrote it."
        ) from error
