"""`sametoken console`: doors to the pages that a server shows to a browser."""

from __future__ import annotations

import sys

import click

from sametoken.cli.database import database_option
from sametoken.operate import operators
from sametoken.operate.asking import ask
from sametoken.operate.opening import reading, writing
from sametoken.settings import Database
from sametoken.world import RealWorld


@click.group()
def console() -> None:
    """The console, at /console of every server: pages for a person with a browser.

    In development mode a link lets a browser in; any other server asks for the operator's password.
    """


@console.command()
@database_option
def link(database: Database) -> None:
    """Print a link that lets one browser in, once. The server must be in development mode."""
    with reading(database, RealWorld()) as here:
        click.echo(ask(here, "POST", "/console")["link"])


@console.command()
@click.option("--unset", is_flag=True, help="Let nobody sign in any more.")
@database_option
def password(unset: bool, database: Database) -> None:
    """Set the operator's password, which is asked for, or read from the input.

    All who are signed in have to sign in again.
    """
    world = RealWorld()
    if unset:
        with writing(database, world) as here:
            had = operators.unset_password(here)
        click.echo("nobody may sign in any more" if had else "there was no password")
        return
    asks = sys.stdin.isatty()
    chosen = (
        click.prompt("The operator's new password", hide_input=True, confirmation_prompt=True)
        if asks
        else sys.stdin.readline().rstrip("\n")
    )
    with writing(database, world) as here:
        operators.set_password(here, chosen, world)
    click.echo("set; whoever was signed in has to sign in again")
