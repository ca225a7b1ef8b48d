"""The database every command works on: its option, and the store opened beside a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from platformdirs import user_data_path

from sametoken.errors import Misconfigured
from sametoken.node import find_sealer, open_store, prepare
from sametoken.server.sealing import Sealer
from sametoken.settings import DATABASE_VARIABLE, KEY_FILE_VARIABLE, Database, read_database
from sametoken.store.port import Store
from sametoken.world import RealWorld

F = TypeVar("F", bound=Callable[..., Any])


def _default_database() -> str:
    return f"sqlite:///{user_data_path('sametoken') / 'sametoken.db'}"


def database_option(command: F) -> F:
    """`--database`, the same for every command."""
    return click.option(
        "--database",
        envvar=DATABASE_VARIABLE,
        default=_default_database,
        show_default="a file in your data folder",
        metavar="URL",
        help=f"sqlite:///FILE or postgresql://USER@HOST/NAME. Also from {DATABASE_VARIABLE}.",
    )(command)


def named_database(url: str) -> Database:
    """The database of `--database`, with the key file that the environment names."""
    named = os.environ.get(KEY_FILE_VARIABLE)
    return read_database(url, Path(named).expanduser().absolute() if named else None)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a command beside the server works with."""

    database: Database
    store: Store
    sealer: Sealer


@contextmanager
def opened(database: str, *, create: bool = False) -> Iterator[Opened]:
    """Open the database beside its server, if any. Made and prepared when `create` says so.

    Raises `Misconfigured` where there is none: a path that was mistyped is not a new database.
    """
    found, world = named_database(database), RealWorld()
    if found.file is not None and not create and not found.file.exists():
        raise Misconfigured(
            f"there is no database at {found}. Name another with --database or "
            f"{DATABASE_VARIABLE}, or make it with `sametoken serve`."
        )
    with open_store(found, world) as store:
        sealer = find_sealer(store, found.key_file)
        prepare(store, sealer, world)
        yield Opened(found, store, sealer)
