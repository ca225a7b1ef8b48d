"""Batches of transactions on a SQLite file, driven by hand, and the ways a member can fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sametoken.store.clock import Pace
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.group_commit import run_batch
from sametoken.store.jobs import Job
from sametoken.store.port import Tx
from sametoken.store.sqlite import SqliteSession, connect, dbapi
from store.stores import NOTE, SqliteDatabase, write
from store.worlds import SetWorld

Fn = Callable[[Tx], Any]

# The number of pages by which the file may grow on the "disk" of these tests: plenty for notes, too
# few for the row that `fills_the_disk` writes.
PAGES_LEFT = 40
BIG = "x" * (PAGES_LEFT * 4096 * 2)


def small_disk(path: Path) -> sqlite3.Connection:
    """Connect as the store does, but to a disk that is nearly full for each new connection."""
    connection = connect(path)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages + PAGES_LEFT}")
    return connection


def taken(fns: Sequence[Fn]) -> list[Job]:
    """Make jobs as the queue hands them out: running, so they can no longer be cancelled."""
    jobs = [Job(fn) for fn in fns]
    assert all(job.future.set_running_or_notify_cancel() for job in jobs)
    return jobs


class Bench:
    """A file, its writing session, and a second connection that sees only committed data."""

    def __init__(self, folder: Path) -> None:
        self.path = SqliteDatabase(folder).path
        self.announced: list[set[str]] = []
        world = SetWorld()
        engine = engine_for(SQLITE, lambda: small_disk(self.path))
        self.session = SqliteSession(engine, world, Pace(world))

    def run(self, fns: Sequence[Fn], session: Any = None) -> list[Future[Any]]:
        """Run a batch; return its futures, all settled."""
        jobs = taken(fns)
        run_batch(session or self.session, jobs, self.announced.append)
        assert all(job.future.done() for job in jobs)
        return [job.future for job in jobs]

    def names(self) -> list[str]:
        """List the notes that another connection can read."""
        with closing(sqlite3.connect(self.path)) as onlooker:
            found = onlooker.execute("SELECT name FROM test_note ORDER BY name")
            return [name for (name,) in found]


# -- members that fail --------------------------------------------------------------------------


def breaks_a_key(tx: Tx) -> None:
    write("guilty")(tx)
    write("guilty")(tx)


def breaks_an_assertion(tx: Tx) -> None:
    write("guilty")(tx)
    raise AssertionError("our bug")


def fills_the_disk(tx: Tx) -> None:
    """Write a row that is too large: SQLite rolls the whole transaction back."""
    write("guilty")(tx)
    write("guilty-big", body=BIG)(tx)


def fills_the_disk_in_many_rows(tx: Tx) -> None:
    """Write many rows in one statement: SQLite undoes only the statement."""
    write("guilty")(tx)
    tx.execute(
        sa.text(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
            "INSERT INTO test_note (name, body) SELECT 'guilty' || i, hex(zeroblob(2000)) FROM n"
        )
    )


def fills_the_disk_and_goes_on(tx: Tx) -> None:
    """Swallow the error and go on: the writes that follow must not commit by themselves."""
    try:
        fills_the_disk(tx)
    except sa.exc.OperationalError:
        write("guilty-later")(tx)


def fills_the_disk_and_swallows_everything(tx: Tx) -> None:
    for attempt in (fills_the_disk, write("guilty-later"), write("guilty-last")):
        try:
            attempt(tx)
        except (sa.exc.DBAPIError, sqlite3.Error):
            continue


def meets_an_io_error(tx: Tx) -> None:
    """Do what SQLite does at an I/O error: roll everything back, then raise."""
    write("guilty")(tx)
    dbapi(tx.connection).execute("ROLLBACK")
    raise sqlite3.OperationalError("disk I/O error")


def loses_its_savepoint(tx: Tx) -> None:
    """End the transaction, and open a savepoint of the same name in its place."""
    write("guilty-before")(tx)
    raw = dbapi(tx.connection)
    raw.execute("ROLLBACK")
    raw.execute("SAVEPOINT member")
    raw.execute("INSERT INTO test_note (name, body) VALUES ('guilty', '')")
    raise sqlite3.OperationalError("disk I/O error")


_COUNTED = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
    "SELECT 'guilty' || i, coalesce(interrupt_now(), '') FROM n"
)


def _interruptible(tx: Tx) -> None:
    raw = dbapi(tx.connection)
    raw.create_function("interrupt_now", 0, raw.interrupt)


def is_interrupted_in_a_write(tx: Tx) -> None:
    """Interrupt a write: SQLite rolls the whole transaction back."""
    _interruptible(tx)
    tx.execute(sa.text(f"INSERT INTO test_note (name, body) {_COUNTED}"))


def is_interrupted_in_a_read(tx: Tx) -> None:
    """Interrupt a read: the transaction stays open."""
    write("guilty")(tx)
    _interruptible(tx)
    tx.execute(sa.text(_COUNTED)).all()


def is_interrupted_inside_a_savepoint(tx: Tx) -> None:
    with tx.savepoint():
        is_interrupted_in_a_write(tx)


def uses_a_table_that_is_not_there(tx: Tx) -> None:
    write("guilty")(tx)
    tx.execute(sa.text("SELECT * FROM no_such_table"))


def counts_notes(tx: Tx) -> str:
    """Read without writing, as a replay does."""
    return f"{tx.execute(sa.select(sa.func.count()).select_from(NOTE)).scalar_one()} notes"
