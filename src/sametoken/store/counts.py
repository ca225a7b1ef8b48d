"""Counts of commits: how many, how many jobs shared each, and how long their threads were at it."""

from __future__ import annotations

import threading

from sametoken.counts import Count, Family, Spread, Told, Type, told

COMMIT_JOBS = Family(
    "sametoken_commit_jobs", Type.HISTOGRAM,
    "Jobs that shared a commit: its count is of commits, its sum of jobs. Jobs are requests, and "
    "pieces of the node's own work.",
    (), (1, 2, 4, 8, 16, 32, 64, 128),
)  # fmt: skip
BUSY = Family(
    "sametoken_writer_busy_seconds_total", Type.COUNTER,
    "Seconds for which threads were in transactions that write: on SQLite its rate is the share of "
    "the one writer, on PostgreSQL the number of busy threads.",
)  # fmt: skip
OF_STORES = (COMMIT_JOBS, BUSY)


class CommitCounts:
    """Counts of one store. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs = Spread(COMMIT_JOBS)
        self._busy = Count(BUSY)

    def note(self, seconds: float, *commits: int) -> None:
        """Count commits of so many jobs each, and the time that they took, or failed to."""
        with self._lock:
            self._busy.add(by=seconds)
            for jobs in commits:
                self._jobs.note(jobs)

    def told(self) -> Told:
        return told((self._jobs, self._busy))
