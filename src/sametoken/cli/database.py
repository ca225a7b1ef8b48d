"""The option that names the database, the same for every command."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from platformdirs import user_data_path

from sametoken.settings import DATABASE_VARIABLE, KEY_FILE_VARIABLE, Database, read_database

F = TypeVar("F", bound=Callable[..., Any])


def _default_database() -> str:
    return f"sqlite:///{user_data_path('sametoken') / 'sametoken.db'}"


def database_option(command: F) -> F:
    """Add `--database`, which gives the command a `Database`. No file is opened or made here."""
    return click.option(
        "--database",
        envvar=DATABASE_VARIABLE,
        default=_default_database,
        show_default="a file in your data folder",
        metavar="URL",
        callback=lambda ctx, parameter, url: named_database(url),
        help=f"sqlite:///FILE or postgresql://USER@HOST/NAME. Also from {DATABASE_VARIABLE}.",
    )(command)


def named_database(url: str) -> Database:
    """Return the database of `url`, with the key file that the environment names."""
    named = os.environ.get(KEY_FILE_VARIABLE)
    return read_database(url, Path(named).expanduser().absolute() if named else None)
