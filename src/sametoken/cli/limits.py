"""`sametoken limits`: how much capacity and quota there is."""

from __future__ import annotations

import click
from rich.table import Table

from sametoken.cli.database import database_option
from sametoken.cli.tables import print_table
from sametoken.operate import limits as use
from sametoken.operate.opening import reading, writing
from sametoken.settings import Database
from sametoken.world import RealWorld


@click.group()
def limits() -> None:
    """Capacity per instance type and zone, vCPUs and EC2's quotas per account and Region.

    Names are capacity/ZONE/TYPE, vcpus/ACCOUNT/REGION and KIND/ACCOUNT/REGION with a kind of
    resource, such as route-table; * stands for any. `limits list` shows the kinds.
    """


@limits.command(name="set")
@click.argument("name")
@click.argument("maximum", type=click.IntRange(0, use.MAXIMUM_MAX))
@database_option
def set_limit(name: str, maximum: int, database: Database) -> None:
    """Set the maximum of NAME, e.g. capacity/us-east-1a/t3.micro 2."""
    use.check_name(name)
    with writing(database, RealWorld()) as here:
        use.set_maximum(here, name, maximum)
    click.echo(f"{name} is {maximum} now")


@limits.command(name="unset")
@click.argument("name")
@database_option
def unset_limit(name: str, database: Database) -> None:
    """Hold NAME to its default again."""
    with writing(database, RealWorld()) as here:
        use.unset_maximum(here, name)
    click.echo(f"{name} has its default again")


@limits.command(name="list")
@database_option
def list_limits(database: Database) -> None:
    """List every limit: those that were set, and the defaults of the others."""
    table = Table("limit", "maximum")
    with reading(database, RealWorld()) as here:
        for limit in use.limits(here):
            table.add_row(_label(limit), "none" if limit.maximum is None else str(limit.maximum))
    print_table(table)


@limits.command()
@click.argument("action", required=False)
def throttle(action: str | None) -> None:
    """List the token buckets of `serve --throttle ec2`: of ACTION, or of every action."""
    table = Table("bucket", "size", "a second")
    for name, rate in use.buckets(action).items():
        table.add_row(name, str(rate.burst), f"{rate.per_second:g}")
    print_table(table)


def _label(limit: use.Limit) -> str:
    if not limit.is_default:
        return limit.name
    return f"{limit.name} (default{f', per {limit.per}' if limit.per else ''})"
