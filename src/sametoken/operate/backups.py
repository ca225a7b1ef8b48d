"""Copying a SQLite database while it is served."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.migrations.upgrade import check_ours
from sametoken.operate.drivers import reader_of
from sametoken.server.sealing import KEY_VARIABLE
from sametoken.settings import Database
from sametoken.store.backup import Progress, back_up
from sametoken.world import World


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy, its bytes, and what holds the key of its secrets: a file or a variable."""

    file: Path
    size: int
    key: str


def copy_to(database: Database, target: Path, world: World, progress: Progress) -> Copy:
    """Copy `database`, of whatever revision, to `target`, a new file.

    Raises `Misconfigured`, nothing copied, when that cannot be.
    """
    if database.file is None:
        raise Misconfigured(
            f"{database} is on PostgreSQL, which has pg_dump for that: "
            "pg_dump --format custom --file FILE URL"
        )
    reader_of(database, world, partial(check_ours, name=str(database))).read(lambda tx: None)
    back_up(database.file, target, progress)
    key = KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else str(database.key_file)
    return Copy(target, target.stat().st_size, key)
