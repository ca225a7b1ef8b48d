"""`sametoken clock`: what the store's clock says, beside that of its host."""

from __future__ import annotations

from datetime import timedelta

import click

from sametoken.cli.database import database_option
from sametoken.operate.clock import look
from sametoken.operate.opening import reading
from sametoken.settings import Database
from sametoken.world import RealWorld

_SECOND = timedelta(seconds=1)


@click.command()
@database_option
def clock(database: Database) -> None:
    """Tell the store's clock, how far it is ahead of its host's, and what it leapt over."""
    with reading(database, RealWorld()) as here:
        told = look(here)
    click.echo(f"{told.now:%Y-%m-%d %H:%M:%S} UTC by the store's clock")
    if told.ahead >= _SECOND:
        click.echo(f"{_whole(told.ahead)} ahead of its host's clock, a second a second from here")
    if told.leapt >= _SECOND:
        click.echo(f"{_whole(told.leapt)} did not pass by it: tokens are kept so much longer")


def _whole(span: timedelta) -> timedelta:
    return span // _SECOND * _SECOND
