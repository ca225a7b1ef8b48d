"""Snapshots: saved states of a SQLite database, and the way back to one."""

from __future__ import annotations

import re
import sqlite3
from functools import partial
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.migrations import history
from sametoken.migrations.tables import STATE
from sametoken.nearest import did_you_mean
from sametoken.operate.opened import Opened
from sametoken.resources.account.accounts import ACCESS_KEY
from sametoken.services.restoring import restore
from sametoken.store import saved
from sametoken.store.backup import back_up
from sametoken.store.port import Store
from sametoken.store.reading import Reads

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def save(here: Opened[Reads], name: str) -> None:
    """Save the present state. Raises `Misconfigured` if the name is one already, or cannot be."""
    database = _file(here)
    file = saved.file_of(database, _checked(name))
    if file.exists():
        raise Misconfigured(
            f"there is a snapshot {name!r} already; delete it first, or choose another name"
        )
    file.parent.mkdir(mode=0o700, exist_ok=True)
    back_up(database, file, lambda left, of: None)


def load(here: Opened[Store], name: str) -> None:
    """Go back to a saved state, in one transaction: launches under way in it go on.

    Raises `Misconfigured` if there is none, or this program cannot use it.
    """
    with saved.opened(_found(here, name)) as state:
        _check_usable(here, name, state)
        here.store.run(partial(restore, state=state, tables=STATE))


def _check_usable(here: Opened[Store], name: str, state: sqlite3.Connection) -> None:
    present = here.store.read(lambda tx: history.applied(tx.connection))
    if saved.values_of(state, history.APPLIED.c.revision) != {one.revision for one in present}:
        raise Misconfigured(
            f"the snapshot {name!r} is of another version of sametoken; delete it, and save anew"
        )
    sealer = here.sealer
    if not all(sealer.has(key) for key in saved.values_of(state, ACCESS_KEY.c.sealing_key)):
        raise Misconfigured(
            f"the snapshot {name!r} has access keys that are sealed with a key which is not here "
            "any more (`sametoken accounts rekey`); delete it, and save anew"
        )


def names(here: Opened[Reads]) -> list[str]:
    """List the names of all snapshots."""
    return saved.names(_file(here))


def delete(here: Opened[Reads], name: str) -> None:
    """Delete a snapshot. Raises `Misconfigured` if there is none of that name."""
    _found(here, name).unlink(missing_ok=True)


def _file(here: Opened[Reads]) -> Path:
    if here.database.file is None:
        raise Misconfigured(
            f"{here.database} is on PostgreSQL, and snapshots are of SQLite files alone: serve one "
            "with --database sqlite:///FILE, or use pg_dump while no node runs"
        )
    return here.database.file


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Misconfigured(
            f"{name!r} is no name of a snapshot; use up to 64 letters, digits, dots, dashes and "
            "underscores, a letter or digit first"
        )
    return name


def _found(here: Opened[Reads], name: str) -> Path:
    database = _file(here)
    file = saved.file_of(database, _checked(name))
    if not file.exists():
        known = saved.names(database)
        there = f"there are: {', '.join(known)}" if known else "there is none yet"
        raise Misconfigured(f"there is no snapshot {name!r}; {there}.{did_you_mean(name, known)}")
    return file
