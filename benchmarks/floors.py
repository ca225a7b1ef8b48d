"""The floors of RunInstances and of driving: the rows that they really leave, by the driver alone.

Rows are clones of those that the real code left, in a store of the same schema, with the store's
durability and its folding of the log; foreign keys are not checked. Counters, which launches share,
are left out. No row is read.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloning import Clone, Place, Template, clone, insert, place, stages
from measure import Run, Stopwatch
from stores import REGION, opened

from sametoken.store.sqlite import connect

# STEPS is the number of steps of a launch that are durable each: a host, volumes, interfaces, a
# boot, and the answer that it has booted.
STEPS = 5
TOGETHER = 64


class Floors:
    """A store that the driver alone writes to."""

    def __init__(self, folder: Path) -> None:
        self._accepted, self._driven = stages(folder)
        database = folder / "floors.db"
        with opened(database) as plane:
            self._place: Place = place(plane, plane.account, REGION)
        self._connection = connect(database)
        self._connection.execute("PRAGMA foreign_keys=OFF")
        self._connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, doc TEXT)")
        self._numbers, self._entries = itertools.count(), itertools.count(1_000_000, 100)
        self._chance = random.Random(0)

    def close(self) -> None:
        self._connection.close()

    @property
    def rows_accepted(self) -> int:
        """Rows that accepting one launch leaves."""
        return sum(len(rows) for rows in self._clones(self._accepted, 1)[0].values())

    def _clones(self, made_from: Template, count: int) -> list[Clone]:
        return [
            clone(made_from, self._place, next(self._numbers), next(self._entries), self._chance)
            for _ in range(count)
        ]

    def rows(self, launches: int, *, batch: int) -> Run:
        """Insert what accepting leaves, `batch` launches to a commit."""
        clones = self._clones(self._accepted, launches)
        watch = Stopwatch()
        for some in _batches(clones, batch):
            with self._commit():
                insert(self._connection, self._accepted, some)
        return watch.stop(launches)

    def bare(self, launches: int, *, batch: int) -> Run:
        """Insert the same bytes into a table with no index."""
        clones = self._clones(self._accepted, launches)
        docs = [[(json.dumps(row),) for rows in one.values() for row in rows] for one in clones]
        watch = Stopwatch()
        for some in _batches(docs, batch):
            with self._commit():
                self._connection.executemany(
                    "INSERT INTO bare (doc) VALUES (?)", [row for one in some for row in one]
                )
        return watch.stop(launches)

    def steps(self, launches: int, *, batch: int) -> Run:
        """Insert what driving leaves or changes: `STEPS` commits for each `batch` of launches.

        Each commit has its share of a launch's rows.
        """
        made_from = self._driven
        shares = [_share(self._clones(made_from, launches), step) for step in range(STEPS)]
        watch = Stopwatch()
        for start in range(0, launches, batch):
            for share in shares:
                with self._commit():
                    insert(self._connection, made_from, share[start : start + batch])
        return watch.stop(launches)

    @contextmanager
    def _commit(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")

    def subjects(self, launches: int, driven: int) -> tuple[Callable[[], Run], ...]:
        """Rows and bytes of accepting, 16 launches to a commit; steps one by one, and together."""
        return (
            lambda: self.rows(launches, batch=16),
            lambda: self.bare(launches, batch=16),
            lambda: self.steps(driven, batch=1),
            lambda: self.steps(driven, batch=TOGETHER),
        )


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _share(clones: Sequence[Clone], step: int) -> list[Clone]:
    """Every fifth row of each launch, in the order of its tables: the share of one step."""
    found = []
    for one in clones:
        rows = [(table, row) for table, found_rows in one.items() for row in found_rows]
        part: Clone = {}
        for table, row in rows[step::STEPS]:
            part.setdefault(table, []).append(row)
        found.append(part)
    return found
