"""RunInstances through the store with group commit, beside the cost of its disk writes alone.

Four subjects under the same threads, the same batches and the same durability:

- *new*: a RunInstances with a token never seen. *replay*: the same again.
- *no token*: the same create without idempotency; the difference is the cost of the promise.
- *one bare row*: one INSERT of a row as large as an instance's; the best that the store can do.

And the floor below them all, without the store: the rows that one RunInstances writes, inserted by
the database driver alone, as many launches to a commit as there are threads.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from measure import Run, Stopwatch, interleave, rates, spread, table
from stores import Plane, Work, opened, submit_all

from sametoken.store.port import Tx
from sametoken.store.sqlite import connect

# A launch's rows: instance, interface, its edges, address, work, entry, resource link and two
# counters. Their sizes are those of a t3.micro launch, in bytes of text.
FLOOR_ROWS_BYTES = (1500, 900, 60, 60, 60, 60, 200, 450, 900, 60, 40, 40)
_INSERT = sa.text("INSERT INTO benchmark_row (id, doc) VALUES (:id, :doc)")


def measure(folder: Path, *, rounds: int, threads: int, operations: int) -> None:
    """Print the table. `operations` is the number in one round of a subject."""
    with opened(folder / "in-process.db") as plane:
        plane.store.run(_create_table)
        tokens: list[str] = []
        subjects: dict[str, Callable[[], Run]] = {
            "new": lambda: _new(plane, tokens, threads, operations),
            "replay": lambda: _submit(plane, [plane.launch(token) for token in tokens], threads),
            "no token": lambda: _submit(
                plane, [plane.launch(None) for _ in range(operations)], threads
            ),
            "one bare row": lambda: _submit(
                plane, [_bare_row() for _ in range(operations)], threads
            ),
            "floor: its rows by the driver": lambda: _floor(
                folder / "floor.db", batch=threads, operations=operations
            ),
        }
        runs = interleave(rounds, subjects)
    new = rates(runs["new"]).median
    print(f"\n## In process: {threads} submitting threads, {rounds} rounds of {operations}\n")
    print(
        table(
            ("subject", "per second: median (low–high)", "CPU ms each", "times new"),
            [
                (
                    name,
                    f"{rates(found):,.0f}",
                    f"{spread([run.cpu_ms_each for run in found]).median:.2f}",
                    f"{rates(found).median / new:.2f}",
                )
                for name, found in runs.items()
            ],
        )
    )
    pairs = list(zip(runs["new"], runs["no token"], strict=True))
    wall = spread([promised.seconds / without.seconds - 1 for promised, without in pairs])
    cpu = spread([promised.cpu_seconds / without.cpu_seconds - 1 for promised, without in pairs])
    print(f"\nThe token adds {wall:.0%} to the time of the create without it, {cpu:.0%} of CPU.")


def _submit(plane: Plane, works: list[Work], threads: int) -> Run:
    return submit_all(plane.store, works, threads=threads)


def _new(plane: Plane, tokens: list[str], threads: int, operations: int) -> Run:
    """Launch under new tokens, which the next replay repeats."""
    tokens[:] = [uuid.uuid4().hex for _ in range(operations)]
    return _submit(plane, [plane.launch(token) for token in tokens], threads)


def _create_table(tx: Tx) -> None:
    tx.execute(sa.text("CREATE TABLE benchmark_row (id TEXT PRIMARY KEY, doc TEXT)"))


def _bare_row() -> Work:
    row = {"id": uuid.uuid4().hex, "doc": json.dumps("x" * FLOOR_ROWS_BYTES[0])}

    def run(tx: Tx) -> None:
        tx.execute(_INSERT, row)

    return run


def _floor(database: Path, *, batch: int, operations: int) -> Run:
    connection = connect(database)
    connection.execute("CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY, doc TEXT)")
    rows = [
        [(uuid.uuid4().hex, "x" * size) for size in FLOOR_ROWS_BYTES] for _ in range(operations)
    ]
    watch = Stopwatch()
    for start in range(0, operations, batch):
        connection.execute("BEGIN IMMEDIATE")
        for launch in rows[start : start + batch]:
            connection.executemany("INSERT INTO bare VALUES (?, ?)", launch)
        connection.execute("COMMIT")
    run = watch.stop(operations)
    connection.close()
    return run


def fsync_ms(folder: Path, *, times: int = 50) -> float:
    """Milliseconds that this disk takes to write a page durably."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            watch = Stopwatch()
            os.fsync(file.fileno())
            taken.append(1000 * watch.seconds)
    return spread(taken).median


def durability(database: Path) -> str:
    """The settings of a connection of the store, as SQLite itself reports them."""
    with opened(database):
        connection = connect(database)
        found = [
            f"{name}={connection.execute(f'PRAGMA {name}').fetchone()[0]}"
            for name in ("journal_mode", "synchronous", "fullfsync", "wal_autocheckpoint")
        ]
        connection.close()
    return f"SQLite {sqlite3.sqlite_version}: {', '.join(found)} (synchronous=2 is FULL)"
