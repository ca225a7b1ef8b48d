"""Parts that die, and files that are not what they were: noticed, and the process ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from sametoken import background, node
from sametoken.errors import Misconfigured, Transient
from sametoken.faults import Point
from sametoken.node import Node
from sametoken.operate.opening import open_store
from sametoken.operate.serving import registered_node
from sametoken.server.probes import READY
from sametoken.settings import Settings, database_of
from sametoken.store import roll
from sametoken.store.port import Broken, Store
from sametoken.store.sqlite import SqliteStore, check_usable
from sametoken.world import RealWorld
from store.stores import HANG_SECONDS, Database, at, notes, write
from store.worlds import SetWorld


class Bug(BaseException):
    """An error that no handler expects."""


def fail() -> None:
    raise Bug


# The error that ends the thread is meant to be seen nowhere but in the log.
quietly = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


# -- the store ------------------------------------------------------------------------------------


@quietly
def test_a_dead_writer_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "plane.db"
    with open_store(database_of(path), SetWorld()) as store:
        store.check()
        with at(Point.STORE_BEFORE_COMMIT, fail), suppress(Transient):
            store.run(lambda tx: None)
        assert isinstance(store, SqliteStore)
        with pytest.raises(Broken, match="sqlite-writer"):
            _until_broken(store.check)


def _until_broken(check: Callable[[], None]) -> None:
    """Check until it raises; a thread that dies takes a moment to be dead."""
    ended = threading.Event()
    timer = threading.Timer(HANG_SECONDS, ended.set)
    timer.start()
    try:
        while not ended.is_set():
            check()
    finally:
        timer.cancel()


def test_every_store_has_all_its_parts(store: Store) -> None:
    store.check()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "plane.db"
    with open_store(database_of(path), SetWorld()):
        pass
    return path


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replaced(path: Path) -> None:
    other = path.with_name("other.db")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("lose", [Path.unlink, moved, replaced])
def test_nothing_is_told_to_be_kept_in_a_file_that_is_gone(
    path: Path, lose: Callable[[Path], None]
) -> None:
    with open_store(database_of(path), SetWorld()) as store:
        lose(path)
        with pytest.raises(Transient) as refused:
            store.run(lambda tx: None)
        assert not refused.value.ran
        with pytest.raises(Broken, match="removed, renamed or replaced"):
            store.check()


def test_a_file_that_is_found_to_be_damaged_breaks_the_store(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 4096 * 20)
    store = SqliteStore(path, SetWorld())
    try:
        store.check()
        with pytest.raises(Transient):
            store.read(lambda tx: tx.connection.exec_driver_sql("SELECT * FROM resource").all())
        with pytest.raises(Broken, match="is damaged"):
            store.check()
    finally:
        store.close()


def test_a_file_with_two_names_is_served_under_neither(path: Path) -> None:
    other = path.with_name("other.db")
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(Misconfigured, match="2 names"):
            check_usable(name)
    other.unlink()
    check_usable(path)


# -- threads that cannot start --------------------------------------------------------------------


def test_threads_are_started_all_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    monkeypatch.setattr(threads[2], "start", _cannot_start)
    with pytest.raises(Broken, match="no more threads"):
        roll.begin(threads, stop.set)
    assert roll.missing(threads) == [one.name for one in threads]


def _cannot_start() -> None:
    raise RuntimeError("can't start new thread")


# -- a node ---------------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(node, "LOOK_SECONDS", 0.01)
    settings = Settings(database_of(tmp_path / "plane.db"), port=0, sweep_seconds=0.01)
    with registered_node(settings, RealWorld()) as made:
        yield made


def ended_by(node: Node) -> BaseException:
    """Serve until the node stops on its own; return why it did."""

    async def run() -> None:
        async with asyncio.timeout(HANG_SECONDS):
            await node.serve(asyncio.Event())

    with pytest.raises(Broken) as ended:
        asyncio.run(run())
    return ended.value


@pytest.mark.parametrize("name", ["sweeper", "runner-0", "ripener"])
def test_a_node_ends_with_a_reason_when_one_of_its_threads_dies(
    running: Node, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = threading.Thread.run

    def dying(self: threading.Thread) -> None:
        if self.name != name:
            run(self)

    monkeypatch.setattr(threading.Thread, "run", dying)
    assert name in str(ended_by(running))


def test_a_sweep_that_meets_a_bug_is_told_of_and_tried_again(
    running: Node, caplog: pytest.LogCaptureFixture
) -> None:
    again = threading.Event()
    tries = []

    def failing(*_: object) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise KeyError("a bug")
        again.set()
        return 0

    async def run() -> None:
        stop = asyncio.Event()
        serving = asyncio.create_task(running.serve(stop))
        assert await asyncio.to_thread(again.wait, HANG_SECONDS)
        stop.set()
        await serving

    with patch.object(background, "sweep", failing):
        asyncio.run(run())
    assert "sweep: our bug" in caplog.text


def test_a_node_ends_with_a_reason_when_its_file_is_gone(running: Node) -> None:
    file = running.settings.database.file
    assert file is not None
    file.unlink()
    assert "removed, renamed or replaced" in str(ended_by(running))


def test_a_node_is_not_ready_once_its_store_is_broken(running: Node) -> None:
    file = running.settings.database.file
    assert file is not None

    async def probe() -> int:
        status, _ = await running.app.probes.probe(READY)
        return status

    assert asyncio.run(probe()) == 200
    file.unlink()
    assert asyncio.run(probe()) == 503
    running.app.close()


def test_a_node_whose_threads_cannot_start_ends_with_a_reason(
    running: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def starting(self: threading.Thread) -> None:
        if self.name == "sweeper":
            _cannot_start()
        start(self)

    monkeypatch.setattr(threading.Thread, "start", starting)
    assert "no more threads" in str(ended_by(running))


# -- a process that is told to end ----------------------------------------------------------------

_STUCK = """
import asyncio, signal, sys, threading
from sametoken.cli import serve

async def serving(stop):
    threading.Event().wait()  # holds the event loop up, for ever

with serve.ending_in_time(0.05) as ending:
    serve.run_until_signalled(serving, lambda: print("serves", flush=True), ending)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_cannot_end_is_ended(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serves\n"
        process.send_signal(number)
        _, told = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert "after it was told to end" in told


def test_a_database_that_is_whole_serves_on(database: Database) -> None:
    with database.open(SetWorld()) as store:
        store.run(write("a"))
        store.check()
        assert store.read(notes) == ["a"]
