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
# Requests of a batch while this process's own work goes on. Each launch that is accepted is driven
# later, by eight jobs for up to hundreds of launches at once. So many requests between two of them
# leave the driver its half of the writer; more of them are accepted sooner than they are driven.
SHARED_REQUESTS_MAX = 16


@dataclass(slots=True, eq=False)
class Job:
    """A function to run in a transaction, and the future its caller waits on.

    `shares`: the transaction may be shared with other jobs that do.
    """

    fn: Callable[[Tx], Any]
    future: Future[Any] = field(default_factory=Future)
    shares: bool = False


class JobQueue:
    """A queue for a single consumer: of requests, and of this process's own work.

    Each is first-in, first-out, and a batch has room for both, so that neither starves the other:
    requests that come faster than they are driven do not keep the driver waiting.
    """

    def __init__(self, jobs_max: int = QUEUE_JOBS_MAX) -> None:
        self._requests: deque[Job] = deque()
        self._own: deque[Job] = deque()
        self._jobs_max = jobs_max
        # True when the last batch had own work: more of it follows, as soon as that is settled.
        self._is_shared = False
        self._changed = threading.Condition()
        self._closed = False

    def put(self, job: Job, *, is_own: bool = False) -> None:
        """Queue `job`. Raises `Transient` (not run) when the queue is full or closed.

        `is_own` marks the work of a thread that waits for it before it asks for more.
        """
        with self._changed:
            if self._closed:
                raise Transient("the store is closing", ran=False)
            if len(self._requests) + len(self._own) >= self._jobs_max:
                raise Transient(f"{self._jobs_max} transactions are waiting already", ran=False)
            (self._own if is_own else self._requests).append(job)
            self._changed.notify()

    def wait(self) -> bool:
        """Wait until there are jobs to take. Returns False once the queue is closed and empty."""
        with self._changed:
            while not (self._requests or self._own or self._closed):
                self._changed.wait()
            return bool(self._requests or self._own)

    def take(self, jobs_max: int = BATCH_JOBS_MAX) -> list[Job]:
        """Take up to `jobs_max` jobs and mark them as running. Skips cancelled jobs.

        At most half are of the process's own work while requests wait, and few are requests while
        own work goes on.
        """
        batch: list[Job] = []
        with self._changed:
            own_max = max(1, jobs_max // 2) if self._requests else jobs_max
            self._move(self._own, batch, own_max)
            was_shared, self._is_shared = self._is_shared, bool(batch)
            if was_shared or self._is_shared:
                requests_max = min(jobs_max, len(batch) + SHARED_REQUESTS_MAX)
            else:
                requests_max = jobs_max
            self._move(self._requests, batch, requests_max)
            self._move(self._own, batch, jobs_max)
        return batch

    @staticmethod
    def _move(jobs: deque[Job], batch: list[Job], jobs_max: int) -> None:
        """Move jobs to the batch until it has `jobs_max`."""
        while jobs and len(batch) < jobs_max:
            job = jobs.popleft()
            if job.future.set_running_or_notify_cancel():
                batch.append(job)

    def close(self) -> None:
        """Refuse new jobs; queued jobs are still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
