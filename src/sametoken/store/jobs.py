"""Jobs that wait for the writer: a bounded queue from which callers may withdraw a job.

A job is queued, then running, then done. `Future.cancel` moves it from queued to cancelled in one
atomic step, so a caller who is told "not run" can rely on it (promise P6). No database here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sametoken.errors import Transient
from sametoken.store.port import Tx

# Two cores run about as many jobs in a second; in a longer queue every caller would time out.
QUEUE_JOBS_MAX = 4096
# Once the fsync is shared by so many jobs, a larger batch gains nothing and delays its first job.
BATCH_JOBS_MAX = 128


@dataclass(slots=True, eq=False)
class Job:
    """A function to run in a transaction, and the future its caller waits on."""

    fn: Callable[[Tx], Any]
    future: Future[Any] = field(default_factory=Future)


class JobQueue:
    """A first-in, first-out queue for a single consumer."""

    def __init__(self, jobs_max: int = QUEUE_JOBS_MAX) -> None:
        self._jobs: deque[Job] = deque()
        self._jobs_max = jobs_max
        self._changed = threading.Condition()
        self._closed = False

    def put(self, job: Job) -> None:
        """Queue `job`. Raises `Transient` (not run) when the queue is full or closed."""
        with self._changed:
            if self._closed:
                raise Transient("the store is closing", ran=False)
            if len(self._jobs) >= self._jobs_max:
                raise Transient(f"{self._jobs_max} transactions are waiting already", ran=False)
            self._jobs.append(job)
            self._changed.notify()

    def wait(self) -> bool:
        """Wait until there are jobs to take. Returns False once the queue is closed and empty."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            return bool(self._jobs)

    def take(self, jobs_max: int = BATCH_JOBS_MAX) -> list[Job]:
        """Take up to `jobs_max` jobs and mark them as running. Skips cancelled jobs."""
        batch: list[Job] = []
        with self._changed:
            while self._jobs and len(batch) < jobs_max:
                job = self._jobs.popleft()
                if job.future.set_running_or_notify_cancel():
                    batch.append(job)
        return batch

    def close(self) -> None:
        """Refuse new jobs; queued jobs are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
