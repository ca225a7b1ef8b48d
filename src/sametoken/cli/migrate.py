"""`sametoken migrate`."""

from __future__ import annotations

import click

from sametoken.cli.database import database_option, named_database
from sametoken.migrations.upgrade import current, waiting
from sametoken.node import contract_schema, open_store
from sametoken.world import RealWorld


@click.command()
@click.option(
    "--contract",
    "contracting",
    is_flag=True,
    help="Also take away what only older versions use. Refused while one of them runs.",
)
@database_option
def migrate(contracting: bool, database: str) -> None:
    """Bring the database to this version's schema. `serve` does so too, but only adds to it."""
    found = named_database(database)
    if contracting:
        contract_schema(found)
    with open_store(found, RealWorld()) as store:
        revision = store.read(lambda tx: current(tx.connection))
        late = store.read(lambda tx: waiting(tx.connection))
    click.echo(f"{found} is at revision {revision}")
    if late:
        click.echo(
            f"Once every node runs this version: sametoken migrate --contract ({', '.join(late)})"
        )
