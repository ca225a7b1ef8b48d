"""`sametoken tokens`: show what a client token did, and why a repeat was refused."""

from __future__ import annotations

from dataclasses import asdict

import click

from sametoken.cli.database import database_option
from sametoken.cli.stories import story_lines
from sametoken.cli.tables import (
    Column,
    json_option,
    limit_option,
    only_account_option,
    print_json,
    print_records,
)
from sametoken.operate import tokens as use
from sametoken.operate.opening import reading
from sametoken.operate.story.model import as_json as json_of
from sametoken.operate.story.telling import tell
from sametoken.settings import Database
from sametoken.world import RealWorld

_COLUMNS = (
    Column("claimed_at", "claimed", 3),
    Column("account", "account", 4),
    Column("region", "Region", 5),
    Column("action", "action", 2),
    Column("client_token", "token"),
    Column("attempts", "attempts", 1),
    Column("kept_until", "kept until", 6),
)


@click.group()
def tokens() -> None:
    """Client tokens: list them, explain one."""


@tokens.command(name="list")
@only_account_option
@limit_option
@json_option
@database_option
def list_tokens(account: str | None, limit: int, as_json: bool, database: Database) -> None:
    """List the newest tokens that callers sent. Without an end, one is kept for its resources."""
    with reading(database, RealWorld()) as here:
        found = use.newest(here, account=account, limit=limit)
    records = [asdict(one) for one in found]
    for record in records:
        record["kept_until"] = record.pop("expires_at")
    print_records(_COLUMNS, records, as_json=as_json)


@tokens.command()
@click.argument("named", metavar="TOKEN")
@only_account_option
@json_option
@database_option
def explain(named: str, account: str | None, as_json: bool, database: Database) -> None:
    """Tell the story of TOKEN: every attempt and step, what it made, what became of that.

    The id of an instance, a reservation or a request leads to its token as well.
    """
    with reading(database, RealWorld()) as here:
        found = tell(here, named, account=account)
    if as_json:
        print_json([json_of(one) for one in found])
    else:
        click.echo("\n\n".join("\n".join(story_lines(one)) for one in found))
