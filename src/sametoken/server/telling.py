"""Telling of requests that have ended: a line of the log, a count, and where asked for a span.

Every request is told of once, also those that a fault makes of another.
"""

from __future__ import annotations

from sametoken.server import request_log
from sametoken.server.counts import RequestCounts
from sametoken.server.exchange import Exchange
from sametoken.server.tracing import Tracing


class Telling:
    """Tells of the requests of one process; of their spans with `tracing` alone."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.counts = RequestCounts()
        self._tracing = tracing

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """Tell of a request that has its reply, answered within `seconds`."""
        request_log.write_line(exchange, seconds)
        self.counts.ended(exchange, seconds)
        if self._tracing is not None:
            self._tracing.ended(exchange, seconds)

    def gone(self, exchange: Exchange) -> None:
        """Tell of a request that was given up before its reply, because nobody waits for it."""
        request_log.write_gone(exchange)
        self.counts.gone(exchange)
