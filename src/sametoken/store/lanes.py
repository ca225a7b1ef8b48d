"""Jobs in lanes: those of one lane go one batch after another, lanes go side by side.

A lane is whatever its jobs would queue for anyway (an account's Region): two transactions of it at
once would only hold two connections while one waits for the other's rows. No database here.
"""

from __future__ import annotations

import threading
from collections import deque

from sametoken.errors import Transient
from sametoken.store.jobs import QUEUE_JOBS_MAX, Job


class Lanes:
    """For any number of takers. The lane "" is no lane: each of its jobs goes by itself."""

    def __init__(self, jobs_max: int = QUEUE_JOBS_MAX) -> None:
        self._jobs_max = jobs_max
        self._waiting: dict[str, deque[Job]] = {}
        # Lanes with jobs that no taker is at, in the order in which they came to be so.
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

    def take(self, jobs_max: int) -> tuple[str, list[Job]] | None:
        """Wait for a lane to be ready; it and up to `jobs_max` of its jobs, each now running.

        The taker says `done(lane)` afterwards. None: the lanes are closed, and empty.
        """
        with self._changed:
            while not (self._ready or self._alone or self._closed):
                self._changed.wait()
            if self._alone and (not self._ready or len(self._alone) >= len(self._ready)):
                return "", self._running(self._alone, 1)
            if self._ready:
                lane = self._ready.popleft()
                return lane, self._running(self._waiting[lane], jobs_max)
            return None

    def _running(self, jobs: deque[Job], jobs_max: int) -> list[Job]:
        """The next of `jobs`, without those whose callers took them back."""
        batch: list[Job] = []
        while jobs and len(batch) < jobs_max:
            job = jobs.popleft()
            self._count -= 1
            if job.future.set_running_or_notify_cancel():
                batch.append(job)
        return batch

    def done(self, lane: str) -> None:
        """The batch of `lane` is settled: its next jobs may be taken."""
        if not lane:
            return
        with self._changed:
            if self._waiting[lane]:
                self._ready.append(lane)
                self._changed.notify()
            else:
                del self._waiting[lane]

    def close(self) -> None:
        """Take no more jobs; those queued are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
