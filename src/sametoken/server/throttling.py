"""Throttling: a token bucket per account, Region and action bounds a caller's requests.

Off unless an operator sets rates. A request is counted after its signature is verified, so that no
caller can spend the tokens of another, and before it is parsed. Buckets live where a node's writer
is, whatever edges it has; of several nodes behind one address, each allows the full rate.

Source: "Request throttling for the Amazon EC2 API" (token buckets, refilled every second; refused
requests answer RequestLimitExceeded, 503, which SDKs repeat).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sametoken.counts import Count, Family, Type
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.protocol import refusals
from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.world import World

# Names the rate of all actions without a rate of their own: they share one bucket.
OTHERS = "*"
# Bounds the memory for buckets; beyond it, full buckets are forgotten.
BUCKETS_MAX = 10_000
THROTTLED = Family(
    "sametoken_throttled_total", Type.COUNTER,
    "Requests beyond a rate of `--throttle`, by the action that it names; `*` is all others.",
    ("rate",),
)  # fmt: skip
_RATE = re.compile(r"(\*|[A-Za-z0-9]{1,128})=(\d{1,6}(?:\.\d{1,6})?):(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket's size, `burst`, and the tokens added to it `per_second`."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Throttle:
    """Buckets of one node. For use from one thread at a time."""

    def __init__(self, rates: Mapping[str, Rate], world: World) -> None:
        self._rates = rates
        self._world = world
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self.refused = Count(THROTTLED)

    def spend(self, account: str, region: str, action: str) -> None:
        """Take a token for one request. Raises `RequestLimitExceeded` if none is left."""
        rate = rate_of(self._rates, action)
        if rate is None:
            return
        name = action if action in self._rates else OTHERS
        now = self._world.monotonic()
        bucket = self._bucket((account, region, name), rate, now)
        if bucket.tokens < 1:
            self.refused.add(name)
            raise refusals.request_limit_exceeded()
        bucket.tokens -= 1

    def _bucket(self, key: tuple[str, str, str], rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._forget(now)
            bucket = self._buckets[key] = _Bucket(rate.burst, now)
            return bucket
        bucket.tokens = _filled(bucket, rate, now)
        bucket.filled_at = now
        return bucket

    def _forget(self, now: float) -> None:
        """Drop full buckets, since a missing bucket counts as full; if none is full, the oldest."""
        full = [
            key
            for key, bucket in self._buckets.items()
            if _filled(bucket, self._rates[key[2]], now) >= self._rates[key[2]].burst
        ]
        for key in full or [next(iter(self._buckets))]:
            del self._buckets[key]


def rate_of(rates: Mapping[str, Rate], action: str) -> Rate | None:
    """Return the rate that bounds an action; None if none does."""
    return rates.get(action) or rates.get(OTHERS)


def _filled(bucket: _Bucket, rate: Rate, now: float) -> float:
    return min(float(rate.burst), bucket.tokens + (now - bucket.filled_at) * rate.per_second)


def read_rates(texts: Iterable[str]) -> dict[str, Rate]:
    """Parse rates written as ACTION=PER_SECOND:BURST. Raises `Misconfigured`."""
    rates: dict[str, Rate] = {}
    for text in texts:
        match = _RATE.fullmatch(text)
        if match is None or int(match[3]) < 1 or float(match[2]) <= 0:
            raise Misconfigured(
                f"{text!r} is no rate. Write ACTION=PER_SECOND:BURST, such as RunInstances=2:5, "
                "or *=20:100 for all actions without a rate of their own."
            )
        if match[1] in rates:
            raise Misconfigured(f"{match[1]} has two rates; give it one")
        if match[1] != OTHERS and match[1] not in ACTIONS:
            raise Misconfigured(
                f"{match[1]!r} is no action served here.{did_you_mean(match[1], ACTIONS)}"
            )
        rates[match[1]] = Rate(float(match[2]), int(match[3]))
    return rates
