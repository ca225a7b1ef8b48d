"""Launches of a plane driven to `running`: four services and a machine's boot, every step durable.

The same loop as in a node's background. No other figure is taken here than the time until all run.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa
from measure import Run, Stopwatch
from stores import Plane

from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import rows
from sametoken.workflow import work
from sametoken.workflow.loop import run_duty
from sametoken.world import RealWorld

# A launch that takes longer than this is stuck, and the benchmark with it.
DRIVEN_SECONDS_MAX = 120.0
# Seconds between two checks whether all is done; short beside a round.
_POLL_SECONDS = 0.01


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


def ended(plane: Plane) -> int:
    """The number of instances that have ended: a failed launch would look like a fast one."""
    query = sa.select(sa.func.count()).where(
        rows.RESOURCE.c.kind == INSTANCE.name, rows.RESOURCE.c.gone_at.is_not(None)
    )
    return plane.store.read(lambda tx: int(tx.execute(query).scalar_one()))
