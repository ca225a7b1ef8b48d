"""Throttling: token buckets per account, Region and action bound what callers may ask.

Off unless an operator sets rates. A request takes a token after its signature is verified, so that
no caller can spend the tokens of another, and before it is parsed. Resources take tokens of their
own inside the transaction, once its token is known to be new: see `Charge`. Buckets live where a
node's writer is, whatever edges it has, and fill by the store's clock.

Each of several nodes keeps every bucket whole, and spends of it only its share: it takes it that
the others spend as much as it does. About once a second it tells the database what it spent, and
hears what all have (`settle`). So callers of one node, who can take a share of a burst at once, get
the whole rate; and callers of all nodes together get no more than one bucket gives, but for what a
node has not heard of yet. That is at most what the other nodes' buckets hold, and two seconds of
refill; whatever was too much is paid back before anything more passes.

Source: "Request throttling for the Amazon EC2 API" (token buckets; refused requests answer
RequestLimitExceeded, 503, which SDKs repeat).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sametoken.counts import Count, Family, Type
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.errors import Transient
from sametoken.server.rates import Rate, Rates, resources_of
from sametoken.store import buckets, nodes
from sametoken.store.buckets import Key
from sametoken.store.port import Store, Tx

# Bounds the memory for buckets; beyond it, full buckets are forgotten.
BUCKETS_MAX = 10_000
# A node tells the others what it has spent so often.
SETTLE_SECONDS = 1.0
# Settlements from one removal of rows that nobody needs to the next.
_FORGET_AFTER = 60
# A part of a token that rounding may cost: moments are kept to a microsecond.
_ROUNDING = 1e-3
THROTTLED = Family(
    "sametoken_throttled_total", Type.COUNTER,
    "Requests beyond a rate of `--throttle`, by the action that it names; `*` is all others.",
    ("rate",),
)  # fmt: skip


@dataclass(slots=True)
class _Bucket:
    """When it is full again if nobody spends, and the tokens of which other nodes know nothing.

    `settles` so many times more: after the last of its own tokens is told, those of nodes that
    settle later in the same second are still to be heard of.
    """

    full_at: float
    untold: int = 0
    settles: int = 0

    def left(self, rate: Rate, now: float) -> float:
        return rate.burst - max(0.0, self.full_at - now) * rate.per_second

    def take(self, count: int, rate: Rate, now: float) -> None:
        self.full_at = max(self.full_at, now) + count / rate.per_second
        self.untold += count
        self.settles = 2


class Throttle:
    """Buckets of one node, by `clock`, in seconds. For any thread."""

    def __init__(self, rates: Rates, clock: Callable[[], float]) -> None:
        self._rates = rates
        self._clock = clock
        self._lock = threading.Lock()
        self.refused = Count(THROTTLED)
        self._buckets: dict[Key, _Bucket] = {}
        # Nodes that answer now, and the most that there have been.
        self._nodes = self._nodes_max = 1
        self._settlements = 0

    def spend(self, account: str, region: str, name: str, count: int = 1) -> None:
        """Take tokens of the bucket called `name`: all, or raise `RequestLimitExceeded`."""
        rate = self._rates[name]
        with self._lock:
            now = self._clock()
            bucket = self._bucket((account, region, name), rate, now)
            of_others = (self._nodes - 1) * max(bucket.untold, 0)
            if bucket.left(rate, now) - of_others < count - _ROUNDING:
                self.refused.add(name)
                raise refusals.request_limit_exceeded()
            bucket.take(count, rate, now)

    def give_back(self, account: str, region: str, name: str, count: int) -> None:
        """Undo a `spend`: what it was for has not happened."""
        with self._lock:
            rate, now = self._rates[name], self._clock()
            self._bucket((account, region, name), rate, now).take(-count, rate, now)

    def _bucket(self, key: Key, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._forget(now)
            bucket = self._buckets[key] = _Bucket(now)
        # No bucket owes more than this, unless the clock was set back.
        longest = self._nodes_max * rate.burst / rate.per_second
        bucket.full_at = min(bucket.full_at, now + longest)
        return bucket

    def _forget(self, now: float) -> None:
        """Drop full buckets, since a missing bucket counts as full; if none is full, the oldest."""
        full = [key for key, bucket in self._buckets.items() if bucket.full_at <= now]
        for key in full or [next(iter(self._buckets))]:
            del self._buckets[key]

    def charge(self, request: Request) -> Charge | None:
        """Return what takes tokens for a request's resources; None if no bucket bounds them."""
        name = resources_of(request.action)
        return Charge(self, request, name) if name in self._rates else None

    # With other nodes

    def settle(self, store: Store) -> None:
        """Tell the other nodes what was spent here, and hear what they have spent of the same.

        If it is not known whether that was told, it is told again: too little passes then, rather
        than too much.
        """
        with self._lock:
            told = {key: one.untold for key, one in self._buckets.items() if one.settles}
        seconds = {key: count / self._rates[key[2]].per_second for key, count in told.items()}
        self._settlements += 1
        forgets = self._settlements % _FORGET_AFTER == 0

        def run(tx: Tx) -> tuple[dict[Key, float], int]:
            if forgets:
                buckets.forget_full(tx)
            return buckets.spend(tx, seconds), nodes.answering(tx)

        full_at, count = store.run(run)
        with self._lock:
            self._nodes = max(count, 1)
            self._nodes_max = max(count, self._nodes_max)
            for key, moment in full_at.items():
                bucket = self._buckets.get(key)
                if bucket is not None:
                    bucket.untold -= told[key]
                    bucket.settles -= not bucket.untold
                    bucket.full_at = moment + bucket.untold / self._rates[key[2]].per_second


class Charge:
    """Tokens for the resources of one request, as its transaction takes them.

    A transaction may run more than once: each run begins with `begin`. Tokens stay taken if the
    outcome is not known, since the resources may be there.
    """

    def __init__(self, throttle: Throttle, request: Request, name: str) -> None:
        self._throttle = throttle
        self._place = (request.account, request.region, name)
        self._taken = 0

    def begin(self) -> None:
        """Give back what a run before has taken, which was undone."""
        taken, self._taken = self._taken, 0
        if taken:
            self._throttle.give_back(*self._place, taken)

    def take(self, count: int) -> None:
        """Take a token for each of `count` resources. Raises `RequestLimitExceeded`."""
        self._throttle.spend(*self._place, count)
        self._taken += count

    def end(self, job: Future[Any]) -> None:
        """Give back what was taken, if the job's transaction is known to have left nothing."""
        error = None if job.cancelled() else job.exception()
        if error is not None and not (isinstance(error, Transient) and error.ran):
            self.begin()
