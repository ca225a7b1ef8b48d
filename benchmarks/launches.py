"""Launches driven to `running`: four services and a machine's boot, every step durable.

Beside them the floor: the same number of bare commits by the database driver, one after another, as
a runner would make them that only recorded its steps.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from measure import Run, Stopwatch, interleave, rates, spread, table
from stores import Plane, opened, submit_all

from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import rows
from sametoken.store.sqlite import connect
from sametoken.workflow import work
from sametoken.workflow.loop import run_duty
from sametoken.world import RealWorld

# DURABLE_STEPS: reserve-host, make-volumes, bring-up-interfaces, boot-machine, and the answer that
# it has booted.
DURABLE_STEPS = 5
# A launch that takes longer than this is stuck, and the benchmark with it.
DRIVEN_SECONDS_MAX = 60.0
# Seconds between two checks whether all is done; short beside a round.
_POLL_SECONDS = 0.01


def measure(folder: Path, *, rounds: int, launches: int, runners: tuple[int, ...]) -> None:
    """Print the table. Each round queues `launches` and measures the time until all run."""
    with opened(folder / "launches.db") as plane:
        subjects: dict[str, Callable[[], Run]] = {
            f"{count} runner{'s' if count > 1 else ''}": _driven(plane, launches, count)
            for count in runners
        }
        subjects["floor: its steps by the driver"] = lambda: _floor(
            folder / "steps.db", launches=launches
        )
        runs = interleave(rounds, subjects)
        _check_all_run(plane)
    print(f"\n## Launches to running, boot_seconds=0: {rounds} rounds of {launches}\n")
    print(
        table(
            ("subject", "launches per second: median (low–high)", "CPU ms each"),
            [
                (
                    name,
                    f"{rates(found):,.0f}",
                    f"{spread([run.cpu_ms_each for run in found]).median:.1f}",
                )
                for name, found in runs.items()
            ],
        )
    )


def _driven(plane: Plane, launches: int, runners: int) -> Callable[[], Run]:
    def run() -> Run:
        works = [plane.launch(uuid.uuid4().hex) for _ in range(launches)]
        submit_all(plane.store, works, threads=16)
        return drive(plane, launches, runners)

    return run


def drive(plane: Plane, launches: int, runners: int) -> Run:
    """Start `runners` and wait until no instance has work left."""
    stop = threading.Event()
    duties = [plane.runner() for _ in range(runners)]
    news = [plane.store.listen(duty.channel) for duty in duties]
    threads = [
        threading.Thread(target=run_duty, args=(duty, plane.store, RealWorld(), heard, stop))
        for duty, heard in zip(duties, news, strict=True)
    ]
    watch = Stopwatch()
    for thread in threads:
        thread.start()
    try:
        while unfinished(plane):
            if watch.seconds > DRIVEN_SECONDS_MAX:
                raise TimeoutError(f"{unfinished(plane)} of {launches} launches are stuck")
            stop.wait(_POLL_SECONDS)
        run = watch.stop(launches)
    finally:
        stop.set()
        for heard in news:
            heard.set()
        for thread in threads:
            thread.join()
    return run


def unfinished(plane: Plane) -> int:
    """The number of instances whose work is not done."""
    query = sa.select(sa.func.count()).where(work.WORK.c.due_at.is_not(None))
    return plane.store.read(lambda tx: int(tx.execute(query).scalar_one()))


def _check_all_run(plane: Plane) -> None:
    """Check that every instance runs: a launch that failed fast would look like a fast launch."""
    query = sa.select(rows.RESOURCE.c.state).where(rows.RESOURCE.c.kind == INSTANCE.name)
    states = plane.store.read(lambda tx: {row.state for row in tx.execute(query.distinct())})
    assert states == {"running"}, f"not all instances run, some are {states}"


def _floor(database: Path, *, launches: int) -> Run:
    connection = connect(database)
    connection.execute("CREATE TABLE IF NOT EXISTS step (id TEXT PRIMARY KEY, doc TEXT)")
    watch = Stopwatch()
    for _ in range(launches):
        for step in range(DURABLE_STEPS):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO step VALUES (?, ?)", (uuid.uuid4().hex, str(step)))
            connection.execute("COMMIT")
    run = watch.stop(launches)
    connection.close()
    return run
