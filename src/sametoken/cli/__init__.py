"""The command line: `sametoken serve`, and the commands that prepare, inspect and use a server.

A command's module is imported when the command is asked for: `sametoken --help` does not wait for
what serving needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from sametoken.cli import configuration
from sametoken.errors import SametokenError
from sametoken.nearest import did_you_mean
from sametoken.operate.collecting import uncollected

# Imports a command's module. Its docstring is the command's line in `sametoken --help`.
Loader = Callable[[], click.Command]


class Commands(click.Group):
    """Imports each command late, and prints a `SametokenError` as a sentence.

    Other exceptions are bugs and show a traceback.
    """

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        self._loaders: dict[str, Loader] = {}

    def later(self, name: str) -> Callable[[Loader], Loader]:
        """Add the command that the decorated function imports."""

        def add(loader: Loader) -> Loader:
            self._loaders[name] = loader
            return loader

        return add

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._loaders)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        loader = self._loaders.get(cmd_name)
        if loader is None:
            return None
        with uncollected():
            return configuration.bound(loader())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was meant: click looks among loaded ones."""
        name = args[0]
        if name not in self._loaders and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}.{did_you_mean(name, self._loaders)}")
        found = super().resolve_command(ctx, args)
        file = configuration.file_named(ctx.params.get("config"))
        if file is not None:
            ctx.default_map = self.defaults(ctx, configuration.read_file(file), [name])
        return found

    def defaults(
        self, ctx: click.Context, said: configuration.Table, names: Iterable[str]
    ) -> dict[str, Any]:
        """Return the defaults that the configuration file has for commands.

        Other commands are imported only where a key above all tables may be one of theirs.
        """
        found = {one: _known(self.get_command(ctx, one)) for one in names}
        own = {configuration.key_of(one) for each in found.values() for one in each.params}
        if any(key not in own and key not in self._loaders for key in said):
            others = {one: _known(self.get_command(ctx, one)) for one in self._loaders}
        else:
            others = {one: found.get(one, click.Command(one)) for one in self._loaders}
        above = configuration.common(said, others)
        return {
            one: configuration.defaults_of(command, said.get(one, {}), one, above)
            for one, command in found.items()
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = [(name, self._loaders[name].__doc__ or "") for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SametokenError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sametoken")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar=configuration.FILE_VARIABLE,
    metavar="FILE",
    help=f"TOML file with options. Without it, {configuration.FILE_NAME} of this folder.",
)
def main(config: Path | None) -> None:
    """An EC2-compatible control plane whose create calls are safe to retry.

    Start with `sametoken serve`; then, in another shell,
    `sametoken run -- aws ec2 describe-instances`.
    """


def _known(command: click.Command | None) -> click.Command:
    assert command is not None, "its name is a command's"
    return command


@main.later("serve")
def _serve() -> click.Command:
    """Serve EC2's API and drive launches, until SIGTERM or Ctrl-C."""
    from sametoken.cli.serve import serve

    return serve


@main.later("worker")
def _worker() -> click.Command:
    """Drive launches for the servers of a PostgreSQL database, until SIGTERM or Ctrl-C."""
    from sametoken.cli.serve import worker

    return worker


@main.later("env")
def _env() -> click.Command:
    """Print the exports a shell needs: eval "$(sametoken env)"."""
    from sametoken.cli.clients import env

    return env


@main.later("run")
def _run() -> click.Command:
    """Run COMMAND with the exports set: sametoken run -- aws ec2 describe-instances."""
    from sametoken.cli.clients import run

    return run


@main.later("demo")
def _demo() -> click.Command:
    """Show the promise: lost replies, repeats, a killed server, a bad day, and no duplicate."""
    from sametoken.cli.demo import demo

    return demo


@main.later("accounts")
def _accounts() -> click.Command:
    """Accounts and their access keys."""
    from sametoken.cli.accounts import accounts

    return accounts


@main.later("tokens")
def _tokens() -> click.Command:
    """Client tokens: list them, explain one."""
    from sametoken.cli.tokens import tokens

    return tokens


@main.later("launches")
def _launches() -> click.Command:
    """Launches: list those under way, watch one."""
    from sametoken.cli.launches import launches

    return launches


@main.later("limits")
def _limits() -> click.Command:
    """Capacity per instance type and zone, vCPUs and EC2's quotas per account and Region."""
    from sametoken.cli.limits import limits

    return limits


@main.later("faults")
def _faults() -> click.Command:
    """Faults that strike requests and launches, of a server started with --dev."""
    from sametoken.cli.faults import faults

    return faults


@main.later("clock")
def _clock() -> click.Command:
    """Tell the store's clock, how far it is ahead of its host's, and what it leapt over."""
    from sametoken.cli.clock import clock

    return clock


@main.later("console")
def _console() -> click.Command:
    """The console, at /console of every server: pages for a person with a browser."""
    from sametoken.cli.console import console

    return console


@main.later("config")
def _config() -> click.Command:
    """Tell which options have which values, and where each comes from."""
    from sametoken.cli.config import config

    return config


@main.later("completion")
def _completion() -> click.Command:
    """Print what completes commands and options in a shell: bash, zsh or fish."""
    from sametoken.cli.completion import completion

    return completion


@main.later("reset")
def _reset() -> click.Command:
    """Remove all that ACCOUNT, by name or 12 digits, or without one everybody, has made."""
    from sametoken.cli.state import reset

    return reset


@main.later("snapshot")
def _snapshot() -> click.Command:
    """Saved states of a server in development mode, on SQLite: all rows, and the clock."""
    from sametoken.cli.state import snapshot

    return snapshot


@main.later("migrate")
def _migrate() -> click.Command:
    """Bring the database to this version's schema."""
    from sametoken.cli.migrate import migrate

    return migrate


@main.later("backup")
def _backup() -> click.Command:
    """Copy a SQLite database to FILE, a new file, while it is served."""
    from sametoken.cli.backup import backup

    return backup
