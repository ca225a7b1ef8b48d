"""Counts of requests whose transaction was committed, wherever they were read and answered.

A reply may be lost, and an edge may die with its counts. These are made where the store is, once
its COMMIT has returned, so that they agree with the rows.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from sametoken.counts import Count, Family, Told, Type, told
from sametoken.idempotency import Attempt
from sametoken.server.execution import Executed

COMMITTED = Family(
    "sametoken_committed_total", Type.COUNTER,
    "Changes whose transaction was committed, by action and attempt: `new`, `replay`, `mismatch` "
    "or `failed` (no capacity) under a client token, `done` where the action takes none.",
    ("action", "attempt"),
)  # fmt: skip
CLAIMS = Family(
    "sametoken_claims_total", Type.COUNTER,
    "Client tokens that were claimed, each of which has an entry until the sweep removes it.",
    ("action",),
)  # fmt: skip
LAUNCHES = Family(
    "sametoken_launches_accepted_total", Type.COUNTER,
    "Instances whose launch was accepted, so that they will run or be undone.",
)  # fmt: skip
OF_JOBS = (COMMITTED, CLAIMS, LAUNCHES)


class JobCounts:
    """Counts of the jobs of one writer. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._committed = Count(COMMITTED)
        self._claims = Count(CLAIMS)
        self._launches = Count(LAUNCHES)

    def settled(self, action: str, job: Future[Executed]) -> None:
        """Count a job that has ended, unless it was taken back or undone."""
        try:
            executed = job.result()
        except Exception:  # noqa: BLE001 - an error is its caller's, and leaves nothing to count
            return
        with self._lock:
            self._committed.add(action, executed.attempt)
            if executed.claimed:
                self._claims.add(action)
            if action == "RunInstances" and executed.attempt == Attempt.NEW:
                assert executed.result is not None, "a launch that was made has its result"
                self._launches.add(by=len(executed.result["Instances"]))

    def told(self) -> Told:
        return told((self._committed, self._claims, self._launches))
