"""`sametoken config`: options as a command would take them, and where each value comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sametoken.cli import Commands, configuration
from sametoken.cli.tables import Column, json_option, print_records
from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.settings import KEY_FILE_VARIABLE, without_password

# Variables that are read, and are no option's: keys, and the file's name.
OTHERS = frozenset({"SAMETOKEN_KEY", KEY_FILE_VARIABLE, configuration.FILE_VARIABLE})
_KEYS = ("command", "option", "value", "from")
# Options whose value is a secret, or has one after its first colon.
_SECRET, _ENDS_IN_SECRET = "secret-access-key", "access-key"


@click.group()
def config() -> None:
    """Tell which options have which values, and where each comes from."""


# Flags behind the command's name are that command's.
@config.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [FLAGS]...]")
@json_option
@click.pass_context
def show(ctx: click.Context, words: Sequence[str], as_json: bool) -> None:
    """Show the options of COMMAND as it would take them with FLAGS; without it, of all commands.

    A flag wins over the environment, that over the configuration file, and that over the default.
    """
    root = ctx.find_root()
    commands = root.command
    assert isinstance(commands, Commands), "it has this command"
    file = configuration.file_named(root.params.get("config"))
    names = list(words[:1]) or commands.list_commands(root)
    for name in names:
        if commands.get_command(root, name) is None:
            hint = did_you_mean(name, commands.list_commands(root))
            raise Misconfigured(f"there is no command {name!r}.{hint}")
    if file is not None:
        root.default_map = commands.defaults(root, configuration.read_file(file), names)
    records = list[dict[str, str]]()
    for name in names:
        command = commands.get_command(root, name)
        assert command is not None, "it was there just now"
        records += [
            dict(zip(_KEYS, row, strict=True)) for row in _rows(command, name, words[1:], root)
        ]
    print_records([Column(one, one) for one in _KEYS], records, as_json=as_json)
    for sentence in _unknown_variables(commands, root):
        click.echo(sentence, err=True)


def _rows(
    command: click.Command, path: str, words: Sequence[str], parent: click.Context
) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each option of a command, and of those below it unless words name one."""
    name = path.rpartition(" ")[2]
    ctx = click.Context(command, parent=parent, info_name=name)
    given, rest, _ = command.make_parser(ctx).parse_args(list(words))
    for option in configuration.options_of(command):
        value, source = option.consume_value(ctx, given)
        yield (
            path,
            f"--{configuration.key_of(option)}",
            _shown(option, value),
            _told(option, source),
        )
    commands = command.commands if isinstance(command, click.Group) else {}
    named = rest[0] if rest and rest[0] in commands else None
    for one in commands if named is None else [named]:
        yield from _rows(commands[one], f"{path} {one}", [] if named is None else rest[1:], ctx)


def _shown(option: click.Option, value: Any) -> str:
    """Return a value as a text without secrets; "" for none."""
    if isinstance(value, tuple | list):
        return " ".join(_shown(option, one) for one in value)
    if not isinstance(value, str | int | float | Path):
        return ""
    key, text = configuration.key_of(option), str(value)
    if key == _SECRET:
        return "…"
    if key == _ENDS_IN_SECRET:
        return f"{text.partition(':')[0]}:…"
    return without_password(text) if "://" in text else text


def _told(option: click.Option, source: ParameterSource) -> str:
    match source:
        case ParameterSource.COMMANDLINE:
            return "the flag"
        case ParameterSource.ENVIRONMENT:
            return str(option.envvar)
        case ParameterSource.DEFAULT_MAP:
            return "the file"
        case _:
            return "the default"


def _unknown_variables(commands: Commands, root: click.Context) -> Iterator[str]:
    """Yield a sentence for each variable that looks like an option's and is none's."""
    known = set(OTHERS)
    for name in commands.list_commands(root):
        command = commands.get_command(root, name)
        assert command is not None, "its name is listed"
        known |= {str(one.envvar) for one in configuration.every_option(command)}
    for name in sorted(os.environ):
        if name.startswith(configuration.PREFIX) and name not in known:
            yield f"{name} is no option of any command.{did_you_mean(name, known)}"
