"""`sametoken faults`: which faults strike a server in development mode, and how often they did."""

from __future__ import annotations

from typing import Any

import click

from sametoken.cli.database import database_option
from sametoken.cli.tables import Column, json_option, print_records
from sametoken.faults.ready import scenarios as ready_scenarios
from sametoken.faults.ready import text_of
from sametoken.operate import faults as use
from sametoken.operate.opening import reading
from sametoken.settings import Database
from sametoken.world import RealWorld

_COLUMNS = (
    Column("name", "rule"),
    Column("kind", "kind", 2),
    Column("keys", "keys"),
    Column("matched", "matched", 1),
    Column("fired", "fired"),
)
_SCENARIOS = (Column("name", "scenario"), Column("says", "what it is"))


@click.group()
def faults() -> None:
    """Faults that strike requests and launches, of a server started with --dev.

    FILE is a TOML file with rules, or the name of a ready scenario. docs/faults.md tells both.
    """


@faults.command(name="list")
@json_option
@database_option
def list_rules(as_json: bool, database: Database) -> None:
    """List the rules in force, with how often each matched and struck."""
    with reading(database, RealWorld()) as here:
        _print(use.listed(here), as_json=as_json)


@faults.command(name="set")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
@database_option
def set_rules(files: tuple[str, ...], as_json: bool, database: Database) -> None:
    """Have the rules of FILE in force, and no others; all counts begin anew."""
    rules = use.rules_named(files)
    with reading(database, RealWorld()) as here:
        _print(use.put(here, rules), as_json=as_json)


@faults.command(name="add")
@click.argument("words", metavar="KIND [KEY=VALUE]...", nargs=-1, required=True)
@json_option
@database_option
def add_rule(words: tuple[str, ...], as_json: bool, database: Database) -> None:
    """Have one more rule in force, e.g. lose-reply action=RunInstances attempt=1."""
    rule = use.rule_of(words)
    with reading(database, RealWorld()) as here:
        _print(use.add(here, [rule]), as_json=as_json)


@faults.command(name="clear")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
@database_option
def clear_rules(names: tuple[str, ...], as_json: bool, database: Database) -> None:
    """Take the rules called NAME out of force, or all."""
    with reading(database, RealWorld()) as here:
        _print(use.clear(here, names), as_json=as_json)


@faults.command(name="check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def check_files(files: tuple[str, ...]) -> None:
    """Read FILE, and say what is wrong in it, or which rules it has. Asks no server."""
    rules = use.rules_named(files)
    for rule in rules:
        click.echo(f"{rule.kind}" if rule.name == rule.kind else f"{rule.kind}, called {rule.name}")
    click.echo(f"{len(rules)} rules, and nothing is wrong in them")


@faults.command(name="scenarios")
@click.argument("name", required=False)
@json_option
def list_scenarios(name: str | None, as_json: bool) -> None:
    """List the ready scenarios, or show the file of the one called NAME."""
    if name is not None:
        click.echo(text_of(name), nl=False)
        return
    records = [{"name": name, "says": says} for name, says in ready_scenarios().items()]
    print_records(_SCENARIOS, records, as_json=as_json)


def _print(board: dict[str, Any], *, as_json: bool) -> None:
    records = []
    for rule in board["rules"]:
        keys = {key: value for key, value in rule.items() if key not in ("kind", "name")}
        told = keys if as_json else [f"{key}={value}" for key, value in keys.items()]
        count = board["counts"][rule["name"]]
        records.append({"name": rule["name"], "kind": rule["kind"], "keys": told, **count})
    print_records(_COLUMNS, records, as_json=as_json)
