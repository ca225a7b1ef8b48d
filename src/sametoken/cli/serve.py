"""`sametoken serve` and `sametoken worker`: run a node until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import click

from sametoken.cli.database import database_option
from sametoken.cli.log_lines import log_format_option, log_to_stderr
from sametoken.console.mounting import show_to_developer, show_to_operators
from sametoken.operate.allocation import return_freed_memory
from sametoken.operate.faults import rules_named
from sametoken.operate.first_state import prepare
from sametoken.operate.forking import usual_edges
from sametoken.operate.initial import Initial, read_initial
from sametoken.operate.serving import registered_node
from sametoken.server.choices import Choices
from sametoken.server.development import PREFIX
from sametoken.server.rates import read_rates
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import (
    ACCESS_KEY_VARIABLE,
    DEFAULT_HOST,
    DEFAULT_PORT,
    Database,
    Settings,
    read_access_key,
)
from sametoken.world import RealWorld

log = logging.getLogger(__name__)

# A day, in seconds. A launch that boots for longer than its deadline is unwound anyway.
BOOT_SECONDS_MAX = 86_400.0
# Load balancers probe every few seconds, and supervisors kill a process that drains for longer.
DRAIN_SECONDS_MAX = 600.0
# Seconds in which a node ends that was told to, after its --drain-seconds: 8 for requests, 5 more
# for edges, and some for what is queued.
ENDING_SECONDS_MAX = 30.0
# Seconds for which a thread keeps the interpreter while others wait for it.
SWITCH_SECONDS = 0.0005
# Far more than keep a node's one writer busy.
PROCESSES_MAX = 64
# Names what the command was told, for `run_until_signalled`: no thread may begin before edges do.
ENDS_WITH_INPUT = "sametoken.ends-with-input"


def _number(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse `nan`, which is neither below nor above the ends of a range."""
    if math.isnan(value):
        raise click.BadParameter(f"{value} is not a number.")
    return value


# For every command that drives launches.
boot_option = click.option(
    "--boot-seconds",
    type=click.FloatRange(0, BOOT_SECONDS_MAX),
    callback=_number,
    default=SimulationSettings().boot_seconds,
    show_default=True,
    help="How long a simulated machine boots.",
)

dev_option = click.option(
    "--dev",
    is_flag=True,
    help="Development mode: whoever can connect may stop the clock, reset accounts and more.",
)
metrics_port_option = click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Answer /metrics, /health and /ready at a port of its own; 0 takes a free one.",
)
metrics_host_option = click.option(
    "--metrics-host",
    default=DEFAULT_HOST,
    show_default=True,
    help="Address of --metrics-port: whoever reaches it may read the metrics.",
)
faults_option = click.option(
    "--faults",
    "fault_files",
    metavar="FILE",
    multiple=True,
    help="Have the rules of a TOML file, or of a ready scenario, in force (needs --dev).",
)


@click.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate (PEM): serve https.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key (PEM).")
@click.option("--insecure-bind", is_flag=True, help="Allow a host beyond loopback without TLS.")
@click.option(
    "--dedupe-invocations",
    is_flag=True,
    help="Make requests without a token safe to retry too, by the SDK's invocation id.",
)
@click.option(
    "--after-termination",
    type=click.Choice(["replay", "error"]),
    default="replay",
    show_default=True,
    help="What a repeated launch hears once its instances are terminated.",
)
@click.option("--no-signature-v2", is_flag=True, help="Take signatures of version 4 only.")
@click.option("--allow-sha1", is_flag=True, help="Take version 2 signatures made with SHA-1.")
@click.option(
    "--throttle",
    "rates",
    metavar="ec2|ACTION=PER_SECOND:BURST",
    multiple=True,
    help="Bound the requests of each account and Region: as EC2 documents it (ec2), or by rates "
    "of your own, e.g. RunInstances=2:5 or *=20:100.",
)
@click.option(
    "--processes",
    type=click.IntRange(0, PROCESSES_MAX),
    show_default="one a core, at most 4; 0 with a single core, without Linux, and with --dev",
    help="Processes that read and answer requests, beside the one that writes; 0: one for all.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, DRAIN_SECONDS_MAX),
    callback=_number,
    default=0.0,
    show_default=True,
    help="How long to answer on after SIGTERM, while /ready already says no.",
)
@log_format_option
@metrics_port_option
@metrics_host_option
@dev_option
@faults_option
@click.option(
    "--end-with-input",
    is_flag=True,
    expose_value=False,
    callback=lambda ctx, _, asked: ctx.meta.update({ENDS_WITH_INPUT: asked}),
    help="Stop when the input ends: a server that a program starts with a pipe ends with it.",
)
@click.option(
    "--access-key",
    "access_keys",
    metavar="ID:SECRET[:ACCOUNT]",
    multiple=True,
    envvar=ACCESS_KEY_VARIABLE,
    help="An access key to serve, made if it is new, of the account with that name or 12 digits. "
    f"Also from {ACCESS_KEY_VARIABLE}, where blanks separate several.",
)
@click.option(
    "--init",
    "initial",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=lambda ctx, parameter, file: None if file is None else read_initial(file),
    help="Make the accounts, limits, faults and resources of a TOML file, unless they are there.",
)
@click.option(
    "--any-credentials",
    is_flag=True,
    help="With --dev: take any access key and secret; a key of 12 digits is that account's.",
)
@boot_option
@database_option
def serve(
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure_bind: bool,
    dedupe_invocations: bool,
    after_termination: Literal["replay", "error"],
    no_signature_v2: bool,
    allow_sha1: bool,
    rates: tuple[str, ...],
    processes: int | None,
    drain_seconds: float,
    log_format: str,
    metrics_port: int | None,
    metrics_host: str,
    dev: bool,
    fault_files: tuple[str, ...],
    access_keys: tuple[str, ...],
    initial: Initial | None,
    any_credentials: bool,
    boot_seconds: float,
    database: Database,
) -> None:
    """Serve EC2's API and drive launches, until SIGTERM or Ctrl-C."""
    log_to_stderr(log_format)
    settings = Settings(
        database,
        host=host,
        port=port,
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure_bind=insecure_bind,
        dev=dev,
        access_keys=tuple(read_access_key(one) for one in access_keys),
        processes=_processes(processes, dev),
        drain_seconds=drain_seconds,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        choices=Choices(
            dedupe_invocations=dedupe_invocations,
            after_termination=after_termination,
            allow_signature_v2=not no_signature_v2,
            allow_sha1=allow_sha1,
            any_credentials=any_credentials,
            rates=read_rates(rates),
        ),
        simulation=SimulationSettings(boot_seconds=boot_seconds),
        faults=rules_named((*fault_files, *(initial.faults if initial else ()))),
        owns_process=True,
    )
    _serve(settings, initial)


def _serve(settings: Settings, initial: Initial | None) -> None:
    seconds = settings.drain_seconds + ENDING_SECONDS_MAX
    # Long reads give way to short ones, and to the event loop, ten times as often as usual.
    sys.setswitchinterval(SWITCH_SECONDS)
    return_freed_memory()
    world = RealWorld()
    show = partial(show_to_operators, database=settings.database, world=world)
    with ending_in_time(seconds) as ending, registered_node(settings, world, show=show) as node:
        if initial is not None:
            prepare(node, initial)
        controls = None
        if settings.dev:
            # Imported here: no other start has a use for it.
            from sametoken.control.mounting import mount

            controls = mount(node)
            show_to_developer(controls)

        def announce() -> None:
            click.echo(f"sametoken serves EC2 at {node.url} (database {settings.database})")
            if node.monitor_url is not None:
                click.echo(f"Metrics for Prometheus: {node.monitor_url}/metrics")
            if controls is not None:
                click.echo(f"Development mode: {node.url}{PREFIX} may be used by any program here")
                click.echo(f"Console, for one browser: {controls.console_link()}")
            if settings.choices.any_credentials:
                click.echo("No signature is verified: any access key and secret will do")
            click.echo("Use it, in another shell: sametoken run -- aws ec2 describe-instances")

        run_until_signalled(node.serve, announce, ending)
    click.echo("stopped")


def _end_with_input() -> None:
    """Tell this process to stop once nobody holds the other end of its input any more."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _processes(asked: int | None, dev: bool) -> int:
    """Return the number of edges; the controls of development mode are one process's."""
    if asked is None:
        return 0 if dev else usual_edges()
    return asked


@click.command()
@log_format_option
@metrics_port_option
@metrics_host_option
@dev_option
@faults_option
@boot_option
@database_option
def worker(
    log_format: str,
    metrics_port: int | None,
    metrics_host: str,
    dev: bool,
    fault_files: tuple[str, ...],
    boot_seconds: float,
    database: Database,
) -> None:
    """Drive launches for the servers of a PostgreSQL database, until SIGTERM or Ctrl-C."""
    log_to_stderr(log_format)
    settings = Settings(
        database, simulation=SimulationSettings(boot_seconds=boot_seconds),
        dev=dev, faults=rules_named(fault_files), owns_process=True,
        metrics_port=metrics_port, metrics_host=metrics_host,
    )  # fmt: skip
    with (
        ending_in_time(ENDING_SECONDS_MAX) as ending,
        registered_node(settings, RealWorld(), answers=False) as node,
    ):

        def announce() -> None:
            click.echo(f"sametoken works for {database}")
            if node.monitor_url is not None:
                click.echo(f"Metrics for Prometheus: {node.monitor_url}/metrics")

        run_until_signalled(node.serve, announce, ending)
    click.echo("stopped")


@contextmanager
def ending_in_time(seconds: float) -> Iterator[Callable[[], None]]:
    """Yield a function after whose first call the block ends within `seconds`, or the process does.

    A part that does not end would else keep a process that was told to end, with its port and its
    locks, and nobody could tell it again.
    """

    def end(number: int, frame: object) -> None:
        log.error("still running %g seconds after it was told to end; ends at once", seconds)
        logging.shutdown()
        os._exit(1)

    def begin() -> None:
        if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    former = signal.signal(signal.SIGALRM, end)
    try:
        yield begin
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def run_until_signalled(
    serving: Callable[[asyncio.Event], Awaitable[None]],
    announce: Callable[[], None],
    ending: Callable[[], None],
) -> None:
    """Run `serving` with an event that SIGTERM and Ctrl-C set; call `ending` when it is to end.

    `announce` is called after the handlers are set: a program that waits for its line may send a
    signal at once, and without a handler the signal would end the process without a drain. The
    handlers are not the event loop's: they are heard even while something holds that up.
    """

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def heard(number: int, frame: object) -> None:
            ending()
            loop.call_soon_threadsafe(stop.set)

        formers = [(one, signal.signal(one, heard)) for one in (signal.SIGTERM, signal.SIGINT)]
        # The collector need never look again at what the start made: none of it is garbage before
        # the end. A look would hold up every request for as long as it takes.
        gc.freeze()
        command = click.get_current_context(silent=True)
        if command is not None and command.meta.get(ENDS_WITH_INPUT):
            threading.Thread(target=_end_with_input, name="input", daemon=True).start()
        announce()
        try:
            await serving(stop)
        finally:
            ending()
            for number, former in formers:
                signal.signal(number, former)

    asyncio.run(run())
