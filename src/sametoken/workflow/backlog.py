"""Backlog: how long due work waits for this node's driver, by account. Kept in memory alone.

The driver learns it from each lease, without a statement of its own. While an account's oldest due
work waits for longer than `LAG_SECONDS_MAX`, new launches of that account are refused: work that is
accepted faster than it is driven would wait until its deadline, and be undone then.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sametoken.workflow.work import Work
from sametoken.world import World

# A launch that waits longer is late for its caller. A driver that keeps up leaves nothing for as
# long as a second, and a launch has 900 seconds to its deadline.
LAG_SECONDS_MAX = 10.0


class Backlog:
    """The work that a driver left for its next lease. Its thread and those of requests share it.

    `lag_seconds_max` is infinite for a benchmark of acceptance alone.
    """

    def __init__(self, world: World, lag_seconds_max: float = LAG_SECONDS_MAX) -> None:
        self._world = world
        self._lag_seconds_max = lag_seconds_max
        self._lock = threading.Lock()
        # The moment since which an account's work waits, by the monotonic clock.
        self._waits_since: dict[str, float] = {}
        # The moment at which the driver began what it does now; None while it has nothing to do.
        self._busy_since: float | None = None

    def note_lease(self, now: datetime, leased: Sequence[Work], limit: int) -> None:
        """Note what a lease of at most `limit` got at `now`.

        An account that got its whole share may have more work: none of it was due earlier than the
        last of the share, since each share begins with what was due first.
        """
        monotonic = self._world.monotonic()
        counts = Counter(work.account for work in leased)
        newest = {work.account: work for work in leased}
        with self._lock:
            self._busy_since = monotonic
            for account, count in counts.items():
                due_at = newest[account].due_at
                if count < limit // len(counts) or due_at is None:
                    self._waits_since.pop(account, None)
                else:
                    self._waits_since[account] = monotonic - (now - due_at).total_seconds()

    def note_idle(self) -> None:
        """Note that nothing is due."""
        with self._lock:
            self._busy_since = None
            self._waits_since.clear()

    def is_late(self, account: str) -> bool:
        """Has due work of the account waited for too long, or the driver not come back for it?"""
        monotonic = self._world.monotonic()
        with self._lock:
            since = self._waits_since.get(account, monotonic)
            if self._busy_since is not None:
                since = min(since, self._busy_since)
        return monotonic - since > self._lag_seconds_max
