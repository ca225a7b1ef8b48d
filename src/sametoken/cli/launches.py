"""`sametoken launches`: what is being done for instances, and what happens to one, line by line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter

import click

from sametoken.cli.database import database_option
from sametoken.cli.stories import attempt_line, moment, try_lines
from sametoken.cli.tables import (
    Column,
    json_option,
    limit_option,
    only_account_option,
    print_json_line,
    print_records,
)
from sametoken.operate import launches as use
from sametoken.operate.opening import reading
from sametoken.operate.story.model import Story
from sametoken.operate.story.telling import tell
from sametoken.settings import Database
from sametoken.world import RealWorld

# Often enough that a line comes while it is news; a look takes a few milliseconds.
LOOK_SECONDS = 0.2

_COLUMNS = (
    Column("instance", "instance"),
    Column("state", "state"),
    Column("step", "step", 1),
    Column("attempt", "try", 2),
    Column("due_at", "due", 6),
    Column("owner", "node", 5),
    Column("client_token", "token", 3),
    Column("account", "account", 7),
    Column("zone", "zone", 8),
    Column("failure", "because of", 4),
)


@click.group()
def launches() -> None:
    """Launches: list those under way, watch one."""


@launches.command(name="list")
@only_account_option
@click.option("--all", "every", is_flag=True, help="With --account: also what is done.")
@limit_option
@json_option
@database_option
def list_launches(
    account: str | None, every: bool, limit: int, as_json: bool, database: Database
) -> None:
    """List the instances for which something is to be done, and the step that is next."""
    if every and account is None:
        raise click.UsageError("--all lists one account: name it with --account")
    with reading(database, RealWorld()) as here:
        if every and account is not None:
            found = use.of_account(here, account)[:limit]
        else:
            found = use.under_way(here, account=account, limit=limit)
    print_records(_COLUMNS, [asdict(one) for one in found], as_json=as_json)


@launches.command()
@click.argument("named", metavar="TOKEN")
@only_account_option
@json_option
@database_option
def watch(named: str, account: str | None, as_json: bool, database: Database) -> None:
    """Print what happens to the launch of TOKEN as it happens, until nothing is left to do.

    An instance's or a reservation's id leads to its launch too. Each line stands for itself, so it
    can be piped; with --json each is an object.
    """
    world, never = RealWorld(), threading.Event()
    told = set[tuple[datetime, str]]()
    with reading(database, world) as here:
        while True:
            stories = tell(here, named, account=account)
            events = [one for story in stories for one in _events(story)]
            for at, text in sorted(events, key=itemgetter(0)):
                if (at, text) not in told:
                    told.add((at, text))
                    _print(at, text, as_json=as_json)
            if all(story.is_settled for story in stories):
                break
            world.wait(never, LOOK_SECONDS)
    for story in stories:
        _print(story.told_at, f"{story.verdict}: {story.said}", as_json=as_json)


def _events(story: Story) -> Iterator[tuple[datetime, str]]:
    """Yield what has happened, each with its moment."""
    for attempt in story.attempts:
        yield attempt.made_at, attempt_line(attempt)
    for launch in story.launches:
        for walk in launch.walks:
            for step in walk.steps:
                for at, line in try_lines(step):
                    yield at, f"{launch.instance} {step.name}: {line}"
    for resource in story.resources:
        for move in resource.moves:
            yield move.at, f"{resource.id} is {move.after} ({move.cause})"


def _print(at: datetime, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"at": at, "event": text})
    else:
        click.echo(f"{moment(at)} {text}")
