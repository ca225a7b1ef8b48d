"""The database every command works on: its option, and the store opened beside a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from platformdirs import user_data_path

from sametoken.node import open_store, prepare
from sametoken.server.sealing import Sealer, key_file, load_sealer
from sametoken.settings import DATABASE_VARIABLE, database_path
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
        help=f"The database: sqlite:///FILE. Also from {DATABASE_VARIABLE}.",
    )(command)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a command beside the server works with."""

    path: Path
    store: Store
    sealer: Sealer


@contextmanager
def opened(database: str) -> Iterator[Opened]:
    """Open the database, made and prepared when it is new. A running server is not disturbed."""
    path, world = database_path(database), RealWorld()
    with open_store(path, world) as store:
        sealer = load_sealer(key_file(path), create=True)
        prepare(store, sealer, world)
        yield Opened(path, store, sealer)
