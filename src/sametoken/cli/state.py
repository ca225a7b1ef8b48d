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


@snapshot.command()
@click.argument("name")
@database_option
def save(name: str, database: Database) -> None:
    """Save the present state as NAME, which must be new."""
    _order(database, "POST", "/snapshots/save", {"name": name})
    click.echo(f"saved {name}")


@snapshot.command()
@click.argument("name")
@database_option
def load(name: str, database: Database) -> None:
    """Go back to the state NAME; launches under way in it go on."""
    _order(database, "POST", "/snapshots/load", {"name": name})
    click.echo(f"loaded {name}")


@snapshot.command(name="list")
@database_option
def list_snapshots(database: Database) -> None:
    """List the names of all saved states."""
    for name in _order(database, "GET", "/snapshots")["snapshots"]:
        click.echo(name)


@snapshot.command()
@click.argument("name")
@database_option
def delete(name: str, database: Database) -> None:
    """Delete the state NAME."""
    _order(database, "POST", "/snapshots/delete", {"name": name})
    click.echo(f"deleted {name}")


def _order(
    database: Database, method: str, path: str, given: dict[str, object] | None = None
) -> Any:
    with reading(database, RealWorld()) as here:
        return ask(here, method, path, given)
