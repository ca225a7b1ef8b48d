"""`sametoken tokens`: show what a client token did, and why a repeat was refused."""

from __future__ import annotations

import click
from rich.table import Table

from sametoken.cli.database import database_option
from sametoken.cli.tables import print_table, visible
from sametoken.operate import tokens as use
from sametoken.operate.opening import reading
from sametoken.settings import Database
from sametoken.world import RealWorld

LISTED_DEFAULT = 50


@click.group()
def tokens() -> None:
    """Client tokens: list them, explain one."""


@tokens.command(name="list")
@click.option("--account", help="Only this account's (12 digits).")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=LISTED_DEFAULT,
    show_default=True,
    help="How many at most.",
)
@database_option
def list_tokens(account: str | None, limit: int, database: Database) -> None:
    """List the newest tokens that callers sent."""
    with reading(database, RealWorld()) as here:
        found = use.newest(here, account=account, limit=limit)
    table = Table("claimed", "account", "Region", "action", "token", "attempts", "kept until")
    for one in found:
        kept = "its resources end" if one.expires_at is None else f"{one.expires_at:%F %T}"
        table.add_row(
            f"{one.claimed_at:%F %T}", one.account, one.region, one.action, one.client_token,
            str(one.attempts), kept,
        )  # fmt: skip
    print_table(table)


@tokens.command()
@click.argument("client_token")
@click.option("--account", help="Only this account's (12 digits).")
@database_option
def explain(client_token: str, account: str | None, database: Database) -> None:
    """Tell the story of one token: every attempt, what differed, what it made."""
    with reading(database, RealWorld()) as here:
        found = use.explain(here, client_token, account=account)
    click.echo("\n\n".join(_told(story) for story in found))


def _told(story: use.Story) -> str:
    scope = story.scope
    lines = [f"{visible(story.client_token)}: {scope.action} of {scope.account} in {scope.region}"]
    for outcome in story.outcomes:
        where = outcome.zone or "Regional"
        lines.append(f"  {where}: {outcome.state} at {outcome.recorded_at:%F %T}")
        lines.append(f"    by request {outcome.request_id}")
        for name, value in (outcome.identities or {}).items():
            lines.append(f"    made {name}: {visible(str(value))}")
        for path, value in sorted(outcome.fingerprint.plain.items()):
            lines.append(f"    asked {visible(path)} = {visible(str(value))}")
        hidden = sorted(outcome.fingerprint.digests.keys() - outcome.fingerprint.plain.keys())
        if hidden:
            lines.append(f"    asked, kept as digests only: {visible(', '.join(hidden))}")
    for one in story.attempts:
        differing = f", differing in {visible(', '.join(one.differing))}" if one.differing else ""
        request = "" if one.request_id is None else f" (request {one.request_id})"
        lines.append(
            f"  attempt {one.number} at {one.made_at:%F %T}: {one.attempt}{differing}{request}"
        )
    return "\n".join(lines)
