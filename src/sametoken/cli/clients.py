"""`sametoken env` and `sametoken run`: point a client at this endpoint."""

from __future__ import annotations

import os
import shlex

import click

from sametoken.cli.database import Opened, database_option, opened
from sametoken.errors import Misconfigured
from sametoken.resources.account import accounts
from sametoken.settings import DEFAULT_HOST, DEFAULT_PORT
from sametoken.store import nodes
from sametoken.store.gate import node_url

_DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"

account_option = click.option(
    "--account", "name", default="default", show_default=True, help="Whose access key to use."
)
region_option = click.option(
    "--region", default="us-east-1", show_default=True, help="The default Region."
)


@click.command()
@account_option
@region_option
@database_option
def env(name: str, region: str, database: str) -> None:
    """Print the exports a shell needs: eval "$(sametoken env)"."""
    with opened(database) as here:
        for variable, value in client_environment(here, name, region).items():
            click.echo(f"export {variable}={shlex.quote(value)}")


@click.command(context_settings={"ignore_unknown_options": True})
@account_option
@region_option
@database_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, region: str, database: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with the exports set: sametoken run -- aws ec2 describe-instances."""
    with opened(database) as here:
        environment = {**os.environ, **client_environment(here, name, region)}
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the caller's own command
    except FileNotFoundError:
        raise Misconfigured(f"there is no command {command[0]!r} on this machine's PATH") from None


def client_environment(here: Opened, name: str, region: str) -> dict[str, str]:
    """What AWS clients read: the newest full key of the account, the Region, the endpoint."""
    rows = here.store.read(accounts.list_keys)
    keys = [row for row in rows if row[1] == name]
    if not keys:
        known = ", ".join(sorted({row[1] for row in rows}))
        raise Misconfigured(f"there is no account {name!r}; there are: {known}")
    chosen = next((row for row in reversed(keys) if row[3] == "full"), keys[-1])
    key = here.store.read(lambda tx: accounts.find_key(tx, chosen[2]))
    assert key is not None, "it was listed a moment ago"
    return {
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": here.sealer.unseal(key.sealed_secret, key.sealing_key),
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": _endpoint(here) or _DEFAULT_URL,
    }


def _endpoint(here: Opened) -> str | None:
    """Where a node of the database serves, or served last."""
    if here.database.file is not None:
        return node_url(here.database.file)
    urls = [node.url for node in here.store.read(nodes.living) if node.url is not None]
    return urls[0] if urls else None
