"""Counts of one process that answers: its requests, and its connections.

For use in its event loop alone. Labels are the program's own words: no text of a caller's becomes
one, so that their number is bounded.
"""

from __future__ import annotations

from sametoken.counts import Count, Family, Spread, Told, Type, told
from sametoken.ec2.catalog import ACTIONS
from sametoken.server.exchange import Exchange, known
from sametoken.server.identity import GET_CALLER_IDENTITY

# Upper ends of buckets, in seconds: from a look in memory to the 20 s after which a request is a
# 503.
LATENCY_BOUNDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    20.0,
)
# Stands for every action that is not served, and for requests that name none.
OTHER = "other"
_SERVED = frozenset(ACTIONS) | {GET_CALLER_IDENTITY}

REQUESTS = Family(
    "sametoken_requests_total", Type.COUNTER,
    "Requests that were answered, or given up (`gone`), by action, outcome as in the log, and "
    "error code. An action that is not served is `other`.",
    ("action", "outcome", "code"),
)  # fmt: skip
REQUEST_SECONDS = Family(
    "sametoken_request_duration_seconds", Type.HISTOGRAM,
    "Seconds from a request's last byte to its reply, by action.",
    ("action",), LATENCY_BOUNDS,
)  # fmt: skip
CONNECTIONS = Family(
    "sametoken_connections_total", Type.COUNTER, "Connections that were opened by callers."
)
REFUSALS = Family(
    "sametoken_edge_refusals_total", Type.COUNTER,
    "Requests and connections that were refused before a request was read whole, by code: "
    "`Unavailable` for lack of room.",
    ("code",),
)  # fmt: skip
SHED = Family(
    "sametoken_connections_shed_total", Type.COUNTER,
    "Connections that were closed to make room: silent ones, and those that left replies unread.",
    ("reason",),
)  # fmt: skip
OF_FRONTS = (REQUESTS, REQUEST_SECONDS, CONNECTIONS, REFUSALS, SHED)


def named(action: str) -> str:
    """Return an action's name as a label: one of those that are served, or `OTHER`."""
    return action if action in _SERVED else OTHER


class RequestCounts:
    """Counts of requests."""

    def __init__(self) -> None:
        self._requests = Count(REQUESTS)
        self._seconds = Spread(REQUEST_SECONDS)

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """Count a request that has its reply."""
        action = named(exchange.action)
        code = known(exchange.reply).code
        self._requests.add(action, exchange.outcome, "" if code == "-" else code)
        self._seconds.note(seconds, action)

    def gone(self, exchange: Exchange) -> None:
        """Count a request that was given up."""
        self._requests.add(named(exchange.action), "gone", "")

    def told(self) -> Told:
        return told((self._requests, self._seconds))


class ConnectionCounts:
    """Counts of connections."""

    def __init__(self) -> None:
        self.opened = Count(CONNECTIONS)
        self.refused = Count(REFUSALS)
        self.shed = Count(SHED)

    def told(self) -> Told:
        return told((self.opened, self.refused, self.shed))
