"""`sametoken env` and `sametoken run`: point a client at this endpoint."""

from __future__ import annotations

import os
import shlex

import click

from sametoken.cli.database import database_option
from sametoken.errors import Misconfigured
from sametoken.operate.clients import environment
from sametoken.operate.opening import reading
from sametoken.settings import FIRST_ACCOUNT, Database
from sametoken.world import RealWorld

account_option = click.option(
    "--account", "name", default=FIRST_ACCOUNT, show_default=True, help="Whose access key to use."
)
region_option = click.option(
    "--region", default="us-east-1", show_default=True, help="The default Region."
)


@click.command()
@account_option
@region_option
@database_option
def env(name: str, region: str, database: Database) -> None:
    """Print the exports a shell needs: eval "$(sametoken env)"."""
    with reading(database, RealWorld()) as here:
        for variable, value in environment(here, name, region).items():
            click.echo(f"export {variable}={shlex.quote(value)}")


@click.command(context_settings={"ignore_unknown_options": True})
@account_option
@region_option
@database_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, region: str, database: Database, command: tuple[str, ...]) -> None:
    """Run COMMAND with the exports set: sametoken run -- aws ec2 describe-instances."""
    with reading(database, RealWorld()) as here:
        variables = {**os.environ, **environment(here, name, region)}
    try:
        os.execvpe(command[0], list(command), variables)  # noqa: S606 - the caller's own command
    except FileNotFoundError:
        raise Misconfigured(f"there is no command {command[0]!r} on this machine's PATH") from None
