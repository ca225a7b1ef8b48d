"""`sametoken migrate`: bring a database to the schema of this version."""

from __future__ import annotations

import click

from sametoken.cli.database import database_option
from sametoken.operate.schema import contract_schema, upgrade_schema
from sametoken.settings import Database


@click.command()
@click.option(
    "--contract",
    "contracting",
    is_flag=True,
    help="Also take away what only older versions use. Refused while one of them runs.",
)
@database_option
def migrate(contracting: bool, database: Database) -> None:
    """Bring the database to this version's schema. `serve` does so too, but only adds to it."""
    if contracting:
        contract_schema(database)
    found = upgrade_schema(database)
    click.echo(f"{database} is at revision {found.revision}")
    if found.waiting:
        late = ", ".join(found.waiting)
        click.echo(f"Once every node runs this version: sametoken migrate --contract ({late})")
