"""Applying revisions by Alembic, whose import takes long: only for a database that lacks one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def apply(connection: sa.Connection, revision: str, scripts: str) -> None:
    """Run the revision of the folder `scripts` in the caller's transaction."""
    config = Config()
    # Escape the path: Alembic's options are templates in which a % begins a placeholder.
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
