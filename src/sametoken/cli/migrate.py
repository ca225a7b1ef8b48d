"""`sametoken migrate`."""

from __future__ import annotations

import click

from sametoken.cli.database import database_option
from sametoken.migrations.upgrade import head
from sametoken.node import open_store
from sametoken.settings import database_path
from sametoken.world import RealWorld


@click.command()
@database_option
def migrate(database: str) -> None:
    """Bring the database to this version's schema. `serve` does so by itself."""
    path = database_path(database)
    with open_store(path, RealWorld()):
        click.echo(f"{path} is at revision {head()}")
