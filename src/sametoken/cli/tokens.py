"""`sametoken tokens`: what a client token did, and why a repeat was refused."""

from __future__ import annotations

import click
from rich.table import Table

from sametoken.cli.database import database_option, opened
from sametoken.cli.tables import print_table
from sametoken.errors import Misconfigured
from sametoken.idempotency import tables
from sametoken.idempotency.ledger import Entry
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store.port import Tx

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
def list_tokens(account: str | None, limit: int, database: str) -> None:
    """List the newest tokens that callers sent."""
    table = Table("claimed", "account", "Region", "action", "token", "attempts", "kept until")
    with opened(database) as here:
        found = here.store.read(
            lambda tx: tables.list_entries(
                tx, account=account, hidden=INTERNAL_ACCOUNT, limit=limit
            )
        )
    for row in found:
        kept = "its resources end" if row.expires_at is None else f"{row.expires_at:%F %T}"
        table.add_row(
            f"{row.claimed_at:%F %T}", row.account, row.region, row.action, row.client_token,
            str(row.attempts), kept,
        )  # fmt: skip
    print_table(table)


@tokens.command()
@click.argument("client_token")
@click.option("--account", help="Only this account's (12 digits).")
@database_option
def explain(client_token: str, account: str | None, database: str) -> None:
    """Tell the story of one token: every attempt, what differed, what it made."""
    with opened(database) as here:
        told = here.store.read(lambda tx: _tell(tx, client_token, account))
    if not told:
        raise Misconfigured(f"no request with the token {client_token!r} is retained")
    click.echo("\n\n".join(told))


def _tell(tx: Tx, client_token: str, account: str | None) -> list[str]:
    return [
        _story(tx, entry)
        for entry in tables.find_everywhere(tx, client_token)
        if account in (None, entry.scope.account)
    ]


def _story(tx: Tx, entry: Entry) -> str:
    scope = entry.scope
    lines = [f"{entry.client_token}: {scope.action} of {scope.account} in {scope.region}"]
    for outcome in entry.outcomes:
        where = outcome.zone or "Regional"
        lines.append(f"  {where}: {outcome.state} at {outcome.recorded_at:%F %T}")
        lines.append(f"    by request {outcome.request_id}")
        for name, value in (outcome.identities or {}).items():
            lines.append(f"    made {name}: {value}")
        for path, value in sorted(outcome.fingerprint.plain.items()):
            lines.append(f"    asked {path} = {value}")
        hidden = sorted(outcome.fingerprint.digests.keys() - outcome.fingerprint.plain.keys())
        if hidden:
            lines.append(f"    asked, kept as digests only: {', '.join(hidden)}")
    for row in tables.read_attempts(tx, entry):
        differing = f", differing in {', '.join(row.fields)}" if row.fields else ""
        lines.append(
            f"  attempt {row.number} at {row.made_at:%F %T}: {row.attempt}{differing} "
            f"(request {row.request_id})"
        )
    return "\n".join(lines)
