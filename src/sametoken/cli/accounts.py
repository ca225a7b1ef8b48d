"""`sametoken accounts`: accounts and access keys, before the first `serve` or beside a server."""

from __future__ import annotations

from dataclasses import asdict

import click

from sametoken.cli.database import database_option
from sametoken.cli.tables import Column, json_option, print_records
from sametoken.operate import accounts as use
from sametoken.operate import keys as sealing_keys
from sametoken.operate.opening import making, reading, writing
from sametoken.settings import Database
from sametoken.world import RealWorld

_COLUMNS = (
    Column("account", "account"),
    Column("name", "name", 1),
    Column("id", "access key id"),
    Column("access", "access", 2),
)


@click.group()
def accounts() -> None:
    """Accounts and their access keys."""


@accounts.command()
@click.argument("name")
@click.option("--access-key-id", help="Use this id instead of a random one.")
@click.option("--secret-access-key", help="Use this secret instead of a random one.")
@click.option("--read-only", is_flag=True, help="The key may describe, and change nothing.")
@database_option
def create(
    name: str,
    access_key_id: str | None,
    secret_access_key: str | None,
    read_only: bool,
    database: Database,
) -> None:
    """Make an access key for the account NAME, which is made when it is new."""
    if access_key_id is not None:
        use.check_access_key_id(access_key_id)
    with making(database, RealWorld()) as here:
        account, id, secret = use.create(
            here,
            name,
            access="read-only" if read_only else "full",
            access_key_id=access_key_id,
            secret=secret_access_key,
        )
    click.echo(f"account           {account} ({name})")
    click.echo(f"access key id     {id}{' (read-only)' if read_only else ''}")
    click.echo(f"secret access key {secret}")


@accounts.command(name="list")
@json_option
@database_option
def list_accounts(as_json: bool, database: Database) -> None:
    """List accounts and their access keys."""
    with reading(database, RealWorld()) as here:
        records = [asdict(key) for key in use.keys(here)]
    print_records(_COLUMNS, records, as_json=as_json)


@accounts.command()
@click.argument("name")
@database_option
def keys(name: str, database: Database) -> None:
    """Show the access keys of the account NAME with their secrets."""
    with reading(database, RealWorld()) as here:
        for key in use.secrets(here, name):
            click.echo(f"{key.id} {key.secret} {key.access}")


@accounts.command()
@click.argument("name")
@click.option("--v2/--no-v2", required=True, help="May the account sign with version 2?")
@database_option
def signatures(name: str, v2: bool, database: Database) -> None:
    """Let the account NAME sign with version 2, for old clients, or with version 4 alone."""
    with writing(database, RealWorld()) as here:
        use.allow_signature_v2(here, name, allowed=v2)
    click.echo(f"{name} may sign with version {'2 and 4' if v2 else '4 alone'}")


@accounts.command()
@database_option
def rekey(database: Database) -> None:
    """Seal every secret with a new key. A running server goes on, with the new one."""
    with writing(database, RealWorld()) as here:
        count, file = sealing_keys.rekey(here)
    click.echo(f"{count} secrets are sealed with a new key ({file})")


@accounts.command(name="new-key")
def make_key() -> None:
    """Print a new key to seal secrets with, for nodes that share a PostgreSQL database."""
    click.echo(sealing_keys.new_key())
