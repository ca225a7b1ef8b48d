"""`sametoken migrate`."""

from __future__ import annotations

import click

from sametoken.cli.database import database_option, named_database
from sametoken.migrations.upgrade import head
from sametoken.node import open_store
from sametoken.world import RealWorld


@click.command()
@database_option
def migrate(database: str) -> None:
    """Bring the database to this version's schema. `serve` does so by itself."""
    found = named_database(database)
    with open_store(found, RealWorld()):
        click.echo(f"{found} is at revision {head()}")
