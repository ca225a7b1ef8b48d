"""Fills a store with a crowd: clones of running and of terminated launches, with their entries.

The file must have no other user, and is written without durability: SQLite alone.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cloning import Place, Template, clone, insert, place, templates
from stores import opened

_CLONES_AT_ONCE = 2000
# A fixed seed makes the same crowd in every run.
_SEED = 20_061_211


def seed(
    database: Path,
    *,
    places: Sequence[tuple[str, str]],
    living: int,
    ended: int,
    cloned: tuple[Template, Template] | None = None,
) -> None:
    """Add `living` running and `ended` terminated instances, in default VPCs of `places`.

    `cloned` is the result of `templates`, for a caller that seeds more than one store.
    """
    with opened(database) as plane:
        found = [place(plane, account, region) for account, region in places]
    fill(database, found, living=living, ended=ended, cloned=cloned or templates(database.parent))


def fill(
    database: Path,
    places: Sequence[Place],
    *,
    living: int,
    ended: int,
    cloned: tuple[Template, Template],
) -> None:
    """Add `living` running and `ended` terminated instances, spread over `places`."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for pragma in ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF",
                       "cache_size=-1000000"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        entry = 1 + (connection.execute("SELECT max(id) FROM idempotency_entry").fetchone()[0] or 0)
        numbers, chance = itertools.count(), random.Random(_SEED)
        for made_from, count in zip(cloned, (living, ended), strict=True):
            clones = (
                clone(made_from, where, number, entry + at * len(made_from.entries), chance)
                for at, (number, where) in enumerate(
                    itertools.islice(zip(numbers, itertools.cycle(places)), count)
                )
            )
            while batch := list(itertools.islice(clones, _CLONES_AT_ONCE)):
                insert(connection, made_from, batch)
            entry += count * len(made_from.entries)
        _count_held(connection)
        connection.execute("COMMIT")


def _count_held(connection: sqlite3.Connection) -> None:
    """Debit the capacity and quota of the living instances, as their launches would have."""
    held: Counter[str] = Counter()
    query = "SELECT doc FROM resource WHERE kind = 'instance' AND gone_at IS NULL"
    for (doc,) in connection.execute(query):
        holds = json.loads(doc)["private"]["held"]
        # A stopped instance holds nothing.
        if holds is not None:
            held[holds["capacity"]] += 1
            held[holds["vcpus"]] += holds["amount"]
    connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", list(held.items()))
