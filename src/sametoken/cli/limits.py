"""`sametoken limits`: how much capacity and quota there is."""

from __future__ import annotations

import re

import click
from rich.table import Table

from sametoken.cli.database import database_option, opened
from sametoken.cli.tables import print_table
from sametoken.errors import Misconfigured
from sametoken.resources.catalogues.geography import REGIONS, zone_by_name
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES
from sametoken.resources.kit import counters
from sametoken.resources.kit.quotas import QUOTAS

# What every database holds in an integer column.
MAXIMUM_MAX = 2**31 - 1
_ACCOUNT = re.compile(r"[0-9]{12}")


@click.group()
def limits() -> None:
    """Capacity per instance type and zone, vCPUs and EC2's quotas per account and Region.

    Names are capacity/ZONE/TYPE, vcpus/ACCOUNT/REGION and KIND/ACCOUNT/REGION with a kind of
    resource, such as route-table; * stands for any. `limits list` shows the kinds.
    """


@limits.command(name="set")
@click.argument("name")
@click.argument("maximum", type=click.IntRange(0, MAXIMUM_MAX))
@database_option
def set_limit(name: str, maximum: int, database: str) -> None:
    """Set the maximum of NAME, e.g. capacity/us-east-1a/t3.micro 2."""
    what, *rest = name.split("/")
    if what not in ("capacity", "vcpus", *QUOTAS) or len(rest) != 2:
        raise Misconfigured(
            f"{name!r} is no limit; use capacity/ZONE/TYPE, vcpus/ACCOUNT/REGION or "
            f"KIND/ACCOUNT/REGION with one of: {', '.join(QUOTAS)}"
        )
    _check_place(what, *rest)
    with opened(database) as here:
        here.store.run(lambda tx: counters.set_maximum(tx, name, maximum))
    click.echo(f"{name} is {maximum} now")


def _check_place(what: str, where: str, rest: str) -> None:
    """Raise `Misconfigured` for a limit that nothing would ever be held to."""
    if what == "capacity":
        if where != "*" and zone_by_name(where) is None:
            raise Misconfigured(f"{where!r} is no zone; use one, such as us-east-1a, or *")
        if rest != "*" and rest not in INSTANCE_TYPES:
            raise Misconfigured(f"{rest!r} is no instance type served here; use one, or *")
        return
    if where != "*" and not _ACCOUNT.fullmatch(where):
        raise Misconfigured(f"{where!r} is no account; use one's 12 digits, or *")
    if rest != "*" and rest not in REGIONS:
        raise Misconfigured(f"{rest!r} is no Region; use one of {', '.join(REGIONS)}, or *")


@limits.command(name="list")
@database_option
def list_limits(database: str) -> None:
    """List every limit: those that were set, and the defaults of the others."""
    table = Table("limit", "maximum")
    with opened(database) as here:
        for name, maximum in here.store.read(counters.maxima_set):
            table.add_row(name, str(maximum))
    table.add_row("capacity/*/* (default)", str(counters.CAPACITY_DEFAULT))
    table.add_row("vcpus/*/* (default)", str(counters.VCPUS_DEFAULT))
    for kind, quota in QUOTAS.items():
        per = f", per {quota.per}" if quota.per else ""
        most = "none" if quota.maximum is None else str(quota.maximum)
        table.add_row(f"{kind}/*/* (default{per})", most)
    print_table(table)
