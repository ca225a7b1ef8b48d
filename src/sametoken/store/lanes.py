"""Lanes of jobs: jobs in the same lane run one after another, different lanes run in parallel.

Jobs of a lane that wait, and that say so, are taken together, to share a transaction.

A lane stands for a lock that all of its jobs take (an account's Region). If two of them ran at
once, one would only hold a connection while it waits for the other's rows. No database here.
"""

from __future__ import annotations

import threading
from collections import deque

from sametoken.errors import Transient
from sametoken.store.jobs import QUEUE_JOBS_MAX, Job

# Jobs taken together: some twenty milliseconds in which they hold their lane's lock.
SHARED_MAX = 32


class Lanes:
    """A queue for any number of consumers. Jobs in the lane "" do not wait for each other."""

    def __init__(self, jobs_max: int = QUEUE_JOBS_MAX) -> None:
        self._jobs_max = jobs_max
        self._waiting: dict[str, deque[Job]] = {}
        # Lanes that have jobs waiting and none running, in the order in which they became ready.
        self._ready: deque[str] = deque()
        self._alone: deque[Job] = deque()
        self._count = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, job: Job, lane: str) -> None:
        """Queue `job`. Raises `Transient` (not run) when the lanes are full or closed."""
        with self._changed:
            if self._closed:
                raise Transient("the store is closing", ran=False)
            if self._count >= self._jobs_max:
                raise Transient(f"{self._jobs_max} transactions are waiting already", ran=False)
            self._count += 1
            if not lane:
                self._alone.append(job)
            elif lane in self._waiting:
                self._waiting[lane].append(job)
                return
            else:
                self._waiting[lane] = deque([job])
                self._ready.append(lane)
            self._changed.notify()

    def take(self) -> tuple[str, list[Job]] | None:
        """Wait for a ready lane; return it with its next job, now marked as running.

        If the job shares, those that follow it and share are returned as well. The consumer calls
        `done(lane)` afterwards. Returns None once the lanes are closed and empty.
        """
        with self._changed:
            while True:
                lane = self._next_lane()
                if lane is None:
                    return None
                taken = self._take_from(self._waiting[lane] if lane else self._alone)
                if taken:
                    return lane, taken
                self._free(lane)

    def _take_from(self, jobs: deque[Job]) -> list[Job]:
        """Take the first job, and those that may go with it; leave out what was cancelled."""
        taken: list[Job] = []
        while jobs and len(taken) < SHARED_MAX:
            if taken and not (taken[0].shares and jobs[0].shares):
                break
            job = jobs.popleft()
            self._count -= 1
            if job.future.set_running_or_notify_cancel():
                taken.append(job)
        return taken

    def _next_lane(self) -> str | None:
        while not (self._ready or self._alone):
            if self._closed:
                return None
            self._changed.wait()
        # Take from the longer queue, so that jobs without a lane wait no longer than lanes do.
        if self._alone and len(self._alone) >= len(self._ready):
            return ""
        return self._ready.popleft()

    def done(self, lane: str) -> None:
        """Note that the jobs of `lane` are settled, so that its next one may be taken."""
        with self._changed:
            self._free(lane)

    def _free(self, lane: str) -> None:
        if not lane:
            return
        if self._waiting[lane]:
            self._ready.append(lane)
            self._changed.notify()
        else:
            del self._waiting[lane]

    def close(self) -> None:
        """Refuse new jobs; queued jobs are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
