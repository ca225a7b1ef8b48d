"""`sametoken clock`: what the store's clock says, beside that of its host."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from sametoken.cli.database import database_option
from sametoken.operate.asking import ask
from sametoken.operate.clock import look
from sametoken.operate.durations import read_duration
from sametoken.operate.opening import reading
from sametoken.settings import Database
from sametoken.world import RealWorld

_SECOND = timedelta(seconds=1)


@click.group(invoke_without_command=True)
@click.pass_context
@database_option
def clock(ctx: click.Context, database: Database) -> None:
    """Tell the store's clock, how far it is ahead of its host's, and what it leapt over.

    The commands change the clock of a server in development mode (`sametoken serve --dev`).
    """
    if ctx.invoked_subcommand is None:
        _show(database)


@clock.command()
@database_option
def show(database: Database) -> None:
    """Tell the store's clock, as without a command."""
    _show(database)


@clock.command()
@database_option
def freeze(database: Database) -> None:
    """Have time stand still for all that is kept, until `resume`."""
    _order(database, "freeze")


@clock.command()
@database_option
def resume(database: Database) -> None:
    """Let a frozen clock go on from where it stands."""
    _order(database, "resume")


@clock.command()
@click.argument("by", metavar="SPAN")
@database_option
def advance(by: str, database: Database) -> None:
    """Move the clock on by SPAN, such as 90s, 15m, 25h or 2d, and wait for all that falls due."""
    read_duration(by)
    _order(database, "advance", {"by": by})


def _order(database: Database, order: str, given: dict[str, object] | None = None) -> None:
    with reading(database, RealWorld()) as here:
        told = ask(here, "POST", f"/clock/{order}", given)
    moment = datetime.fromisoformat(told["now"])
    click.echo(f"{moment:%Y-%m-%d %H:%M:%S} UTC{', and frozen' if told['frozen'] else ''}")


def _show(database: Database) -> None:
    with reading(database, RealWorld()) as here:
        told = look(here)
    click.echo(f"{told.now:%Y-%m-%d %H:%M:%S} UTC by the store's clock")
    if told.stands:
        click.echo("frozen: it stands there until `sametoken clock resume`")
    if told.ahead >= _SECOND:
        click.echo(f"{_whole(told.ahead)} ahead of its host's clock, a second a second from here")
    if told.leapt >= _SECOND:
        click.echo(f"{_whole(told.leapt)} did not pass by it: tokens are kept so much longer")


def _whole(span: timedelta) -> timedelta:
    return span // _SECOND * _SECOND
