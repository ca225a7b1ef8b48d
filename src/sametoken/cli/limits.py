"""`sametoken limits`: how much capacity and quota there is."""

from __future__ import annotations

from dataclasses import asdict

import click

from sametoken.cli.database import database_option
from sametoken.cli.tables import Column, json_option, print_json, print_records
from sametoken.operate import limits as use
from sametoken.operate.opening import reading, writing
from sametoken.settings import Database
from sametoken.world import RealWorld

_COLUMNS = (Column("limit", "limit"), Column("maximum", "maximum"))
_BUCKETS = (Column("bucket", "bucket"), Column("size", "size"), Column("a second", "a second"))


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
@json_option
@database_option
def list_limits(as_json: bool, database: Database) -> None:
    """List every limit: those that were set, and the defaults of the others."""
    with reading(database, RealWorld()) as here:
        found = use.limits(here)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        {"limit": _label(one), "maximum": "none" if one.maximum is None else one.maximum}
        for one in found
    ]
    print_records(_COLUMNS, rows, as_json=False)


@limits.command()
@click.argument("action", required=False)
@json_option
def throttle(action: str | None, as_json: bool) -> None:
    """List the token buckets of `serve --throttle ec2`: of ACTION, or of every action."""
    rows = [
        {"bucket": name, "size": rate.burst, "a second": rate.per_second}
        for name, rate in use.buckets(action).items()
    ]
    print_records(_BUCKETS, rows, as_json=as_json)


def _label(limit: use.Limit) -> str:
    if not limit.is_default:
        return limit.name
    return f"{limit.name} (default{f', per {limit.per}' if limit.per else ''})"
