"""Refusals of callers who have not proven who they are: they leave an edge at a bounded rate.

A large body costs its edge a third of a millisecond before it is refused, and a caller without a
key could send the next one at once, over as many connections as there are. So such a refusal is
sent when its turn has come; whoever waits for it sends nothing meanwhile. Callers with a key are
never behind them: a refusal that waits is in nobody's work.
"""

from __future__ import annotations

from sametoken.world import World

# An edge reads about a hundred times as many bytes in a second.
BYTES_PER_SECOND = 4 * 1024 * 1024
# A request without a body counts as one of so many bytes.
REQUEST_BYTES = 1024
# The longest wait: a client that made a mistake is still there to hear of it.
SECONDS_MAX = 2.0


class Spacing:
    """Moments at which refusals are sent. For use in the edge's event loop alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        # The moment from which nothing waits.
        self._free_at = 0.0

    def delay(self, count: int) -> float:
        """Return the seconds for which the refusal of a request of `count` bytes is to wait."""
        now = self._world.monotonic()
        at = min(max(self._free_at, now), now + SECONDS_MAX)
        self._free_at = at + (REQUEST_BYTES + count) / BYTES_PER_SECOND
        return at - now
