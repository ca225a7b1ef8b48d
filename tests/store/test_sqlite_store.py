"""The SQLite store in trouble: callers that give up, a full queue, a file that is not writable."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken import faults
from sametoken.errors import Transient
from sametoken.faults import Point
from sametoken.store import sqlite
from sametoken.store.jobs import (
    BATCH_JOBS_MAX,
    QUEUE_JOBS_MAX,
    SHARED_REQUESTS_MAX,
    Job,
    JobQueue,
)
from sametoken.store.port import Tx
from sametoken.store.sqlite import CHECKPOINT_PAGES, SqliteStore
from store.stores import HANG_SECONDS, SqliteDatabase, notes, together, write
from store.worlds import SetWorld


@pytest.fixture
def file(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path)


@pytest.fixture
def opened(file: SqliteDatabase) -> Iterator[SqliteStore]:
    with file.open(SetWorld()) as store:
        yield store


class Plug:
    """A transaction that occupies the writer until it is pulled, so that later jobs queue up."""

    def __init__(self, store: SqliteStore) -> None:
        self._holds, self._may_go = threading.Event(), threading.Event()
        self._future = store.submit(self._run)
        assert self._holds.wait(HANG_SECONDS)

    def _run(self, tx: Tx) -> None:
        self._holds.set()
        assert self._may_go.wait(HANG_SECONDS)

    def pull(self) -> None:
        self._may_go.set()
        self._future.result(HANG_SECONDS)


def drained(store: SqliteStore) -> list[str]:
    """Wait for all jobs queued so far; return the notes."""
    store.run(lambda tx: None)
    return store.read(notes)


# -- giving up ----------------------------------------------------------------------------------


def test_a_caller_who_gives_up_in_time_takes_the_job_back_whole(opened: SqliteStore) -> None:
    plug = Plug(opened)
    future = opened.submit(write("never"))
    assert future.cancel()
    plug.pull()
    assert drained(opened) == []
    with pytest.raises(CancelledError):
        future.result(0)


def test_a_caller_who_gives_up_too_late_is_told_so_and_the_job_goes_on(
    opened: SqliteStore,
) -> None:
    cancelled: list[bool] = []
    known = threading.Event()

    def run(tx: Tx) -> None:
        assert known.wait(HANG_SECONDS)
        cancelled.append(futures[0].cancel())
        write("a")(tx)

    futures: list[Future[None]] = [opened.submit(run)]
    known.set()
    futures[0].result(HANG_SECONDS)
    assert cancelled == [False]
    assert drained(opened) == ["a"]


def test_among_jobs_taken_back_the_others_still_run_in_order(opened: SqliteStore) -> None:
    plug = Plug(opened)
    order: list[int] = []

    def remember(number: int) -> Callable[[Tx], None]:
        return lambda tx: order.append(number)

    futures = [opened.submit(remember(number)) for number in range(20)]
    for future in futures[::2]:
        assert future.cancel()
    plug.pull()
    drained(opened)
    assert order == list(range(1, 20, 2))


def test_giving_up_and_running_never_both_happen(opened: SqliteStore) -> None:
    """Promise P6, raced: a cancelled job leaves no note, every other job leaves one."""

    def race(number: int) -> list[str]:
        kept = []
        for turn in range(30):
            future = opened.submit(write(f"{number}-{turn}"))
            if not future.cancel():
                kept.append(future.result(HANG_SECONDS))
        return kept

    kept = [name for one in together(8, race) if isinstance(one, list) for name in one]
    assert drained(opened) == sorted(kept)


# -- a full queue -------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_says_that_it_did_not_run(opened: SqliteStore) -> None:
    plug = Plug(opened)
    waiting = [opened.submit(lambda tx: None) for _ in range(QUEUE_JOBS_MAX)]
    with pytest.raises(Transient, match="waiting already") as refused:
        opened.submit(write("never"))
    assert not refused.value.ran
    plug.pull()
    for future in waiting:
        future.result(HANG_SECONDS)
    assert drained(opened) == []
    assert opened.run(write("a")) == "a"


def test_a_batch_is_bounded() -> None:
    jobs = JobQueue()
    for _ in range(BATCH_JOBS_MAX + 1):
        jobs.put(Job(lambda tx: None))
    assert [len(jobs.take()), len(jobs.take()), len(jobs.take())] == [BATCH_JOBS_MAX, 1, 0]


@pytest.mark.parametrize("requests", [1, BATCH_JOBS_MAX, 3 * BATCH_JOBS_MAX])
def test_the_drivers_work_is_in_the_next_batch_however_many_requests_wait(requests: int) -> None:
    jobs = JobQueue()
    for _ in range(requests):
        jobs.put(Job(lambda tx: None))
    own = Job(lambda tx: None)
    jobs.put(own, is_own=True)
    batch = jobs.take()
    assert own in batch
    assert len(batch) == 1 + min(requests, SHARED_REQUESTS_MAX)


def test_few_requests_run_between_two_jobs_of_the_driver() -> None:
    jobs = JobQueue()
    for _ in range(3 * BATCH_JOBS_MAX):
        jobs.put(Job(lambda tx: None))
    jobs.put(Job(lambda tx: None), is_own=True)
    # The driver asks for more while the second batch runs, or has nothing left to do.
    assert [len(jobs.take()) for _ in range(3)] == [
        1 + SHARED_REQUESTS_MAX, SHARED_REQUESTS_MAX, BATCH_JOBS_MAX,
    ]  # fmt: skip


def test_requests_have_half_of_a_batch_however_much_own_work_waits() -> None:
    jobs = JobQueue()
    request = Job(lambda tx: None)
    for _ in range(3 * BATCH_JOBS_MAX):
        jobs.put(Job(lambda tx: None), is_own=True)
    jobs.put(request)
    batch = jobs.take()
    assert len(batch) == BATCH_JOBS_MAX
    assert batch[BATCH_JOBS_MAX // 2] is request
    assert request not in jobs.take()


def test_a_closed_queue_hands_out_what_it_has_and_takes_no_more() -> None:
    jobs = JobQueue()
    job = Job(lambda tx: None)
    jobs.put(job)
    jobs.close()
    with pytest.raises(Transient, match="closing") as refused:
        jobs.put(Job(lambda tx: None))
    assert not refused.value.ran
    assert jobs.wait()
    assert jobs.take() == [job]
    assert not jobs.wait()


def test_waiting_jobs_share_commits(opened: SqliteStore) -> None:
    commits: list[Point] = []
    plug = Plug(opened)
    waiting = [opened.submit(write(f"{n:03}")) for n in range(BATCH_JOBS_MAX)]
    faults.install(lambda point: commits.append(point) if point is Point.STORE_COMMITTED else None)
    try:
        plug.pull()
        for future in waiting:
            future.result(HANG_SECONDS)
    finally:
        faults.install(None)
    assert len(commits) <= 2
    assert len(drained(opened)) == BATCH_JOBS_MAX


# -- a file that cannot be written --------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have connections wait 20 ms for another user of the file, instead of seconds."""
    monkeypatch.setattr(sqlite, "connect", partial(sqlite.connect, busy_seconds=0.02))


@pytest.mark.usefixtures("impatient")
def test_a_locked_file_is_a_503_that_did_not_run_and_service_resumes_by_itself(
    file: SqliteDatabase,
) -> None:
    ran: list[str] = []
    with file.open(SetWorld()) as store:
        store.run(write("before"))
        with closing(sqlite3.connect(file.path, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                with pytest.raises(Transient) as refused:
                    store.run(lambda tx: ran.append("x"))
                assert not refused.value.ran
            assert store.read(notes) == ["before"]
            shell.execute("COMMIT")
        store.run(write("after"))
        assert (ran, store.read(notes)) == ([], ["after", "before"])


@pytest.mark.usefixtures("impatient")
def test_a_lock_taken_during_a_read_does_not_disturb_it(file: SqliteDatabase) -> None:
    with (
        file.open(SetWorld()) as store,
        closing(sqlite3.connect(file.path, isolation_level=None)) as shell,
    ):
        shell.execute("BEGIN IMMEDIATE")
        assert store.read(notes) == []
        shell.execute("ROLLBACK")


def read_only(path: Path, **_: int) -> sqlite3.Connection:
    """Connect as if the file system had been remounted read-only."""
    return sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )


def missing(path: Path, **_: int) -> sqlite3.Connection:
    """Connect as if the disk had been removed."""
    return sqlite3.connect(path / "nowhere", isolation_level=None)


@pytest.mark.parametrize("trouble", [read_only, missing])
def test_a_file_that_cannot_be_written_is_a_503_that_did_not_run_and_service_resumes(
    file: SqliteDatabase,
    trouble: Callable[..., sqlite3.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    healthy = sqlite.connect
    ran: list[str] = []
    with file.open(SetWorld()) as store:
        monkeypatch.setattr(sqlite, "connect", trouble)
        for _ in range(3):
            with pytest.raises(Transient) as refused:
                store.run(lambda tx: ran.append("x"))
            assert not refused.value.ran
        assert store.read(notes) == []
        monkeypatch.setattr(sqlite, "connect", healthy)
        store.run(write("after"))
        assert (ran, store.read(notes)) == ([], ["after"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_a_bug_ends_the_writer_everybody_hears_so_at_once(file: SqliteDatabase) -> None:
    def break_down(point: Point) -> None:
        if point is Point.STORE_COMMITTED:
            raise LookupError("a bug")

    with file.open(SetWorld()) as store:
        plug = Plug(store)
        waiting = [store.submit(write(f"n{n}")) for n in range(3)]
        faults.install(break_down)
        try:
            with pytest.raises(Transient) as running:
                plug.pull()
            errors = [future.exception(HANG_SECONDS) for future in waiting]
        finally:
            faults.install(None)
        assert running.value.ran
        assert all(isinstance(error, Transient) and not error.ran for error in errors)
        with pytest.raises(Transient) as refused:
            store.run(write("never"))
        assert not refused.value.ran
        assert store.read(notes) == []


# -- durable ------------------------------------------------------------------------------------


def test_the_writing_connection_is_durable_and_strict(opened: SqliteStore) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "foreign_keys": 1}

    def ask(tx: Tx) -> dict[str, Any]:
        return {name: tx.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in wanted}

    assert opened.run(ask) == wanted


def test_a_closed_store_has_folded_its_log_into_the_file(file: SqliteDatabase) -> None:
    with file.open(SetWorld()) as store:
        store.run(write("a"))
    log = file.path.with_name(file.path.name + "-wal")
    assert not log.exists()
    with closing(sqlite3.connect(file.path)) as onlooker:
        assert onlooker.execute("SELECT name FROM test_note").fetchall() == [("a",)]


def test_a_log_that_is_long_is_folded_while_the_store_serves(opened: SqliteStore) -> None:
    folded_at = CHECKPOINT_PAGES * 4096
    writes = 2 * folded_at // 1_000_000
    for number in range(writes):
        opened.run(write(f"n{number:02}", body="x" * 1_000_000))
    log = opened._snapshots._path.with_name(opened._snapshots._path.name + "-wal")
    assert log.stat().st_size < 1.5 * folded_at
    assert len(opened.read(notes)) == writes


def test_a_failed_connection_is_not_left_open(tmp_path: Path) -> None:
    """Python 3.13 warns of connections that were not closed, and warnings are errors here."""
    not_a_database = tmp_path / "letter.txt"
    not_a_database.write_text("Dear reader, " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite.connect(not_a_database)


def test_a_new_database_is_for_its_owner_only(file: SqliteDatabase, tmp_path: Path) -> None:
    path = tmp_path / "private.db"
    sqlite.check_usable(path)
    with closing(sqlite.connect(path)) as connection:
        connection.execute("CREATE TABLE one (id)")
        modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.glob("private.db*")}
    assert modes == {"private.db": 0o600, "private.db-wal": 0o600, "private.db-shm": 0o600}
