"""CPU and memory of a server with all the processes that it has started, and its orderly end.

Times are the system's own counts, in ticks of 10 ms on most: a round must be long beside that.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress

import psutil

# Seconds that a server gets to end by itself.
ENDING_SECONDS_MAX = 90.0


def family(process_id: int) -> list[psutil.Process]:
    """Return the process and all that descend from it."""
    first = psutil.Process(process_id)
    return [first, *first.children(recursive=True)]


def cpu_seconds_of(process_id: int) -> float:
    """User and system time that the process and its descendants have used so far."""
    return sum(times.user + times.system for times in _asked(process_id, "cpu_times"))


def resident_mb(process_id: int) -> float:
    """Memory of the process and its descendants; what they share is counted once."""
    held = list(_asked(process_id, "memory_full_info"))
    return sum(getattr(one, "pss", one.rss) for one in held) / 1e6


def own_mb(process_id: int) -> float:
    """The most memory that a descendant of the process shares with nobody; 0 without any."""
    children = psutil.Process(process_id).children(recursive=True)
    return max((one.memory_full_info().uss for one in children), default=0.0) / 1e6


def _asked(process_id: int, what: str) -> Iterator[object]:
    for one in family(process_id):
        # A child may have ended since it was listed.
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            yield getattr(one, what)()


def end(process: subprocess.Popen[str]) -> None:
    """Ask the process to end, and wait; kill it when it does not."""
    process.terminate()
    try:
        process.wait(timeout=ENDING_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        for one in family(process.pid):
            one.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
