"""Options from elsewhere: each is taken from the flag, else the environment, else a TOML file.

An option `--boot-seconds` is SAMETOKEN_BOOT_SECONDS in the environment, and `boot-seconds` in the
file: in the table of its command, such as `[serve]`, or above all tables, for every command that
has it. So the file is read by click, which asks the environment itself.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean

PREFIX = "SAMETOKEN_"
FILE_VARIABLE = "SAMETOKEN_CONFIG"
# The file of a folder, where neither a flag nor the environment names another.
FILE_NAME = "sametoken.toml"

Table: TypeAlias = Mapping[str, Any]


def key_of(option: click.Parameter) -> str:
    """Return the option's name in a file: that of its longest flag, without the dashes."""
    return max(option.opts, key=len).lstrip("-")


def variable_of(option: click.Parameter) -> str:
    """Return the option's name in the environment."""
    return PREFIX + key_of(option).upper().replace("-", "_")


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Yield the options that may come from elsewhere: not those that print and end."""
    for one in command.params:
        if isinstance(one, click.Option) and not one.is_eager:
            yield one


def bound(command: click.Command) -> click.Command:
    """Have the command's options, and those of its subcommands, read from the environment too."""
    for option in options_of(command):
        option.envvar = option.envvar or variable_of(option)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            bound(one)
    return command


def file_named(given: Path | None) -> Path | None:
    """Return the file to read, if there is one. Raises `Misconfigured` for one that is missing."""
    named = given or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if named is None:
        here = Path(FILE_NAME)
        return here if here.is_file() else None
    if not named.is_file():
        raise Misconfigured(
            f"there is no configuration file {named}. Name another with --config or "
            f"{FILE_VARIABLE}, or write it."
        )
    return named


def read_file(file: Path) -> Table:
    """Return what the file says. Raises `Misconfigured` if it is no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise Misconfigured(f"{file} cannot be read as TOML: {error}") from error


def defaults_of(
    command: click.Command, said: Table, where: str, above: Table | None = None
) -> dict[str, Any]:
    """Return click's defaults for a command, from a table of the file, and from those `above` it.

    Raises `Misconfigured` for a key that is none of its options or commands, and for a value of
    another type than the option's. `where` names the table.
    """
    options = {key_of(one): one for one in options_of(command)}
    commands = command.commands if isinstance(command, click.Group) else {}
    unknown = next((key for key in said if key not in {*options, *commands}), None)
    if unknown is not None:
        hint = did_you_mean(unknown, [*options, *commands])
        raise Misconfigured(f"{where} has no option {unknown!r}.{hint}")
    own = {key: value for key, value in said.items() if key in options}
    for key, value in own.items():
        _check(value, options[key], f"{where}.{key}")
    known = {**(above or {}), **own}
    found = {str(one.name): known[key] for key, one in options.items() if key in known}
    for name, one in commands.items():
        inner = f"{where}.{name}"
        found[name] = defaults_of(one, _table(said.get(name, {}), inner), inner, known)
    return found


def _table(value: Any, where: str) -> Table:
    if not isinstance(value, dict):
        raise Misconfigured(f"{where} is a command's table: write [{where}], not {value!r}")
    return value


def _check(value: Any, option: click.Option, where: str) -> None:
    """Raise `Misconfigured`, which says what to write, for a value that the option cannot have."""
    if option.multiple and not isinstance(value, list):
        raise Misconfigured(f"{where} is a list: write [{value!r}], not {value!r}")
    for one in value if option.multiple else [value]:
        if option.is_flag != isinstance(one, bool) or not isinstance(one, str | int | float):
            wanted = "true or false" if option.is_flag else "a text or a number"
            raise Misconfigured(f"{where} is {wanted}, not {one!r}")
        try:
            option.type.convert(one, option, None)
        except click.BadParameter as error:
            raise Misconfigured(f"{where} is {one!r}: {error.message}") from error


def common(said: Table, commands: Mapping[str, click.Command]) -> dict[str, Any]:
    """Return what the file says above all tables, for every command that has the option.

    Raises `Misconfigured` for a key that is no option of any of `commands`, and no name of one.
    """
    known: dict[str, click.Option] = {}
    for command in commands.values():
        known |= {key_of(one): one for one in every_option(command)}
    for key, value in said.items():
        if key in commands:
            _table(value, key)
        elif key not in known:
            hint = did_you_mean(key, [*known, *commands])
            raise Misconfigured(f"{key!r} is no option and no command.{hint}")
        else:
            _check(value, known[key], key)
    return {key: value for key, value in said.items() if key in known and key not in commands}


def every_option(command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command and of all commands below it."""
    yield from options_of(command)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from every_option(one)
