"""The command line: `sametoken serve`, and the commands that prepare, inspect and use a server."""

from __future__ import annotations

import click

from sametoken.cli.accounts import accounts
from sametoken.cli.backup import backup
from sametoken.cli.clients import env, run
from sametoken.cli.demo import demo
from sametoken.cli.limits import limits
from sametoken.cli.migrate import migrate
from sametoken.cli.serve import serve, worker
from sametoken.cli.tokens import tokens
from sametoken.errors import SametokenError


class Commands(click.Group):
    """Prints a `SametokenError` as a sentence. Other exceptions are bugs and show a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SametokenError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sametoken")
def main() -> None:
    """An EC2-compatible control plane whose create calls are safe to retry.

    Start with `sametoken serve`; then, in another shell,
    `sametoken run -- aws ec2 describe-instances`.
    """


for _command in (serve, worker, env, run, demo, accounts, tokens, limits, migrate, backup):
    main.add_command(_command)
