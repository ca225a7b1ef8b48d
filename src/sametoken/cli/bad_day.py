"""The demo's second part: a bad day, for a caller that names its intents and for a plain one.

Both make the same launches through boto3 and try each until they hear an answer, under the faults
of the scenario `bad-day`. The plain caller names no token, so that boto3 fills in another one for
each of its calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from sametoken.client import RetryingCaller, stable_token
from sametoken.errors import Misconfigured
from sametoken.testing import Account, Server, beside

SCENARIO = "bad-day"
LAUNCHES = 50
# Callers at a time: a day's work in ten seconds, and still one after another in each thread.
THREADS = 8
BOOT_SECONDS = 0.3
# The longest wait between two tries; a throttled caller would else wait for up to 20 seconds.
CAP_SECONDS = 1.0
# Longer than the lease of a controller that has crashed.
LEASE = "2m"
PATIENCE_SECONDS = 60.0

_INTRODUCTION = f"""\
  Two callers make {LAUNCHES} launches each, and try each until they hear an answer. One
  names a token for each launch, the other makes a new call of each try. Faults strike
  requests, and the launches behind them. An orphan is a volume, an interface or a
  machine that no instance has."""

Claim = Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class Day:
    """A caller's day: its attempts, the faults that struck it, and what was there at its end."""

    attempts: int
    fired: int
    instances: int
    orphans: int

    @property
    def duplicates(self) -> int:
        return self.instances - LAUNCHES


def show(console: Console, launch: Mapping[str, Any], claim: Claim) -> None:
    """Let both callers have their day, and compare what is left of it."""
    console.print(_INTRODUCTION, highlight=False)
    with beside(boot_seconds=BOOT_SECONDS) as server:
        careful = _day(server, console, "with tokens", launch, token=_token)
        plain = _day(server, console, "without", launch, token=None)
    console.print(_table({"with tokens": careful, "without": plain}))
    claim(f"{LAUNCHES} launches with tokens are {LAUNCHES} instances", careful.duplicates == 0)
    claim("nothing is orphaned, by either", careful.orphans == plain.orphans == 0)
    claim("without tokens, some of the same launches were made twice", plain.duplicates > 0)


def _token(number: int) -> dict[str, str]:
    return {"ClientToken": stable_token("bad day", number)}


def _day(
    server: Server,
    console: Console,
    name: str,
    launch: Mapping[str, Any],
    *,
    token: Callable[[int], dict[str, str]] | None,
) -> Day:
    account = server.account(f"bad day {name}")
    ec2, caller = (
        _client(account),
        RetryingCaller(attempts=None, quota=None, cap_seconds=CAP_SECONDS),
    )
    attempts = []

    def try_once(number: int) -> None:
        attempts.append(number)
        ec2.run_instances(**launch, MinCount=1, MaxCount=1, **(token(number) if token else {}))

    with account.faults() as faults, _progress(console) as progress:
        faults.scenario(SCENARIO)
        task = progress.add_task(f"{LAUNCHES} launches {name}", total=LAUNCHES)

        def make(number: int) -> None:
            caller.call(try_once, number)
            progress.advance(task)

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(make, range(LAUNCHES)))
        fired = faults.fired()
    with server.clock() as clock:
        # Let go on what crashed controllers held.
        clock.advance(LEASE)
    found = account.holdings(patience_seconds=PATIENCE_SECONDS)
    orphans = len(found.orphans) + len(found.unfinished)
    return Day(len(attempts), fired, len(found.living.get("instance", ())), orphans)


def _client(account: Account) -> Any:
    """Make a client that tries once: its caller tries again."""
    try:
        from botocore.config import Config

        return account.client(
            config=Config(
                retries={"total_max_attempts": 1}, max_pool_connections=THREADS, read_timeout=10
            )
        )
    except ModuleNotFoundError as missing:
        raise Misconfigured("the demo needs boto3: pip install boto3") from missing


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), console=console
    )


def _table(days: Mapping[str, Day]) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    for name in days:
        table.add_column(name, justify="right")
    rows = {
        "requests to launch": "attempts",
        "faults that struck": "fired",
        "instances": "instances",
        "duplicates": "duplicates",
        "orphans": "orphans",
    }
    for row, name in rows.items():
        table.add_row(row, *(str(getattr(day, name)) for day in days.values()))
    return table
