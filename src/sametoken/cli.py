"""The command line: `sametoken serve`, and what one needs beside it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from sametoken import faults
from sametoken.errors import SametokenError
from sametoken.settings import (
    DATABASE_VARIABLE,
    DEFAULT_HOST,
    DEFAULT_PORT,
    Settings,
    database_path,
)

F = TypeVar("F", bound=Callable[..., None])


def default_database() -> str:
    """A file in the user's data folder."""
    from platformdirs import user_data_path

    return f"sqlite:///{user_data_path('sametoken') / 'sametoken.db'}"


def database_option(command: F) -> F:
    """Every command's `--database`."""
    return click.option(
        "--database",
        envvar=DATABASE_VARIABLE,
        default=default_database,
        show_default="a file in your data folder",
        metavar="URL",
        help=f"sqlite:///FILE. Also from {DATABASE_VARIABLE}.",
    )(command)


class Commands(click.Group):
    """Tells errors of ours as a sentence; anything else is a bug and shows its traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SametokenError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sametoken")
def main() -> None:
    """An EC2-compatible control plane whose create calls are safe to retry.

    Start with `sametoken serve`, then `sametoken run -- aws ec2 describe-regions`.
    """


@main.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate (PEM): serve https.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key (PEM).")
@click.option("--insecure-bind", is_flag=True, help="Allow another host than loopback without TLS.")
@click.option("--boot-seconds", default=1.5, show_default=True, help="Simulated boot time.")
@click.option("--boot-failure-odds", default=0.0, show_default=True, help="From 0 to 1.")
@database_option
def serve(
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure_bind: bool,
    boot_seconds: float,
    boot_failure_odds: float,
    database: str,
) -> None:
    """Serve EC2's API and drive launches until SIGTERM or Ctrl-C."""
    from sametoken.node import claimed_node
    from sametoken.services.simulated_machines import SimulationSettings
    from sametoken.world import RealWorld

    _log_to_stderr()
    faults.install_from_environment()
    settings = Settings(
        database_path(database),
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure_bind=insecure_bind,
        simulation=SimulationSettings(
            boot_seconds=boot_seconds, boot_failure_odds=boot_failure_odds
        ),
    )
    with claimed_node(settings, RealWorld()) as node:
        click.echo(f"sametoken serves EC2 at {node.url} (database {settings.database})")
        click.echo("Use it with: sametoken run -- aws ec2 describe-instances")
        _run_until_signalled(node.serve)
    click.echo("stopped")


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    # Both say in many words what our own lines say in one.
    for name in ("alembic", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _run_until_signalled(serving: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serving(stop)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
