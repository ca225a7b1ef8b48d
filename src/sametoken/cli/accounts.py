"""`sametoken accounts`: who may call. Works before the first `serve`, and beside a running one."""

from __future__ import annotations

from functools import partial

import click
from rich.table import Table

from sametoken.cli.database import database_option, opened
from sametoken.cli.tables import print_table
from sametoken.errors import Misconfigured
from sametoken.node import add_key
from sametoken.resources.account import accounts as stored
from sametoken.server.sealing import KEY_VARIABLE, Sealer, new_key, write_keys


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
    database: str,
) -> None:
    """Make an access key for the account NAME, which is made when it is new."""
    if access_key_id is not None and not (access_key_id.isascii() and access_key_id.isalnum()):
        raise Misconfigured(f"{access_key_id!r} is no access key id; use letters and digits")
    with opened(database, create=True) as here:
        account, id, secret = here.store.run(
            lambda tx: add_key(
                tx,
                here.sealer,
                name,
                access="read-only" if read_only else "full",
                access_key_id=access_key_id,
                secret=secret_access_key,
            )
        )
    click.echo(f"account           {account} ({name})")
    click.echo(f"access key id     {id}{' (read-only)' if read_only else ''}")
    click.echo(f"secret access key {secret}")


@accounts.command(name="list")
@database_option
def list_accounts(database: str) -> None:
    """List accounts and their access keys."""
    table = Table("account", "name", "access key id", "access")
    with opened(database) as here:
        for row in here.store.read(stored.list_keys):
            table.add_row(*row)
    print_table(table)


@accounts.command()
@click.argument("name")
@database_option
def keys(name: str, database: str) -> None:
    """Show the access keys of the account NAME with their secrets."""
    with opened(database) as here:
        found = [row for row in here.store.read(stored.list_keys) if row[1] == name]
        if not found:
            raise Misconfigured(f"there is no account {name!r}; see `sametoken accounts list`")
        for _, _, id, access in found:
            key = here.store.read(partial(stored.find_key, access_key_id=id))
            assert key is not None, "it was listed a moment ago"
            secret = here.sealer.unseal(key.sealed_secret, key.sealing_key)
            click.echo(f"{id} {secret} {access}")


@accounts.command()
@click.argument("name")
@click.option("--v2/--no-v2", required=True, help="May the account sign with version 2?")
@database_option
def signatures(name: str, v2: bool, database: str) -> None:
    """Let the account NAME sign with version 2, for old clients, or with version 4 alone."""
    with opened(database) as here:
        if not here.store.run(partial(stored.allow_signature_v2, name=name, allowed=v2)):
            raise Misconfigured(f"there is no account {name!r}; see `sametoken accounts list`")
    click.echo(f"{name} may sign with version {'2 and 4' if v2 else '4 alone'}")


@accounts.command()
@database_option
def rekey(database: str) -> None:
    """Seal every secret with a new key. A running server goes on, with the new one."""
    with opened(database) as here:
        file = here.database.key_file
        if file is None or not file.exists():
            raise Misconfigured(
                f"the key comes from {KEY_VARIABLE}: put the new key before the old one there "
                "(NEW,OLD), restart every node, then run this again with the file in place"
            )
        old = file.read_text().split()
        fresh = new_key()
        # Both keys are in the file while either may be in the rows: a crash here loses nothing.
        write_keys(file, [fresh, *old])
        both = Sealer([fresh, *old])

        def reseal(sealed: str, sealing_key: str) -> tuple[str, str]:
            return both.seal(both.unseal(sealed, sealing_key))

        count = here.store.run(lambda tx: stored.reseal_all(tx, reseal))
        write_keys(file, [fresh])
    click.echo(f"{count} secrets are sealed with a new key ({file})")


@accounts.command(name="new-key")
def make_key() -> None:
    """Print a new key to seal secrets with, for nodes that share a PostgreSQL database."""
    click.echo(new_key())
