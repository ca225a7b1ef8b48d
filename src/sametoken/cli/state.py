"""`sametoken reset` and `sametoken snapshot`: a running server starts anew, or goes back."""

from __future__ import annotations

from typing import Any

import click

from sametoken.cli.database import database_option
from sametoken.operate.asking import ask
from sametoken.operate.opening import reading
from sametoken.settings import Database
from sametoken.world import RealWorld


@click.command()
@click.argument("account", required=False)
@database_option
def reset(account: str | None, database: Database) -> None:
    """Remove all that ACCOUNT, by name or 12 digits, or without one everybody, has made.

    Keys, limits and the clock stay. The server must be in development mode.
    """
    _order(database, "POST", "/reset", {} if account is None else {"account": account})
    click.echo(f"{account or 'every account'} has nothing any more")


@click.group()
def snapshot() -> None:
    """Saved states of a server in development mode, on SQLite: all rows, and the clock."""


@snapshot.command(name="list")
@database_option
def list_snapshots(database: Database) -> None:
    """List the names of all saved states."""
    for name in _order(database, "GET", "/snapshots")["snapshots"]:
        click.echo(name)


def _command(order: str, told: str, about: str) -> None:
    """Add the command that asks for `order` by a state's name."""

    @snapshot.command(order, help=about)
    @click.argument("name")
    @database_option
    def run(name: str, database: Database) -> None:
        _order(database, "POST", f"/snapshots/{order}", {"name": name})
        click.echo(f"{told} {name}")


_command("save", "saved", "Save the present state as NAME, which must be new.")
_command("load", "loaded", "Go back to the state NAME; launches under way in it go on.")
_command("delete", "deleted", "Delete the state NAME.")


def _order(
    database: Database, method: str, path: str, given: dict[str, object] | None = None
) -> Any:
    with reading(database, RealWorld()) as here:
        return ask(here, method, path, given)
