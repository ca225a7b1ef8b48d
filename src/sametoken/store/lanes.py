"""Jobs in lanes: those of one lane go one after another, lanes go side by side.

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

    def take(self) -> tuple[str, Job] | None:
        """Wait for a lane to be ready; it and its next job, which is now running.

        The taker says `done(lane)` afterwards. None: the lanes are closed, and empty.
        """
        with self._changed:
            while True:
                lane = self._next_lane()
                if lane is None:
                    return None
                job = (self._waiting[lane] if lane else self._alone).popleft()
                self._count -= 1
                if job.future.set_running_or_notify_cancel():
                    return lane, job
                self._free(lane)

    def _next_lane(self) -> str | None:
        while not (self._ready or self._alone):
            if self._closed:
                return None
            self._changed.wait()
        # Those without a lane wait no longer than a lane does.
        if self._alone and len(self._alone) >= len(self._ready):
            return ""
        return self._ready.popleft()

    def done(self, lane: str) -> None:
        """The job of `lane` is settled: its next may be taken."""
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
        """Take no more jobs; those queued are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
