"""Capped exponential backoff with full jitter, and a budget of retries. Pure: no clock, no sleep.

Source: Brooker, "Timeouts, retries, and backoff with jitter" (Amazon Builders' Library): backoff
alone does not stop overload, a local token bucket does; jitter spreads the retries that remain.
"""

from __future__ import annotations

from dataclasses import dataclass

# Waits long enough to relieve a struggling service, short enough that a launch still ends within
# its deadline (15 minutes) after many attempts.
BACKOFF_BASE_SECONDS = 0.2
BACKOFF_CAP_SECONDS = 20.0
# 2**16 times the base is far above the cap; the exponent is bounded so that it cannot overflow.
_EXPONENT_MAX = 16


def backoff_seconds(
    attempt: int,
    uniform: float,
    *,
    base_seconds: float = BACKOFF_BASE_SECONDS,
    cap_seconds: float = BACKOFF_CAP_SECONDS,
) -> float:
    """Seconds to wait before retry number `attempt`; 1 is the first.

    Full jitter: sleep = random(0, min(cap, base * 2^(attempt-1))), with `uniform` as random(0, 1).
    """
    assert attempt >= 1, "the first retry is number 1"
    assert 0.0 <= uniform < 1.0, "uniform is a draw from [0, 1)"
    return uniform * min(cap_seconds, base_seconds * 2.0 ** min(attempt - 1, _EXPONENT_MAX))


@dataclass(slots=True)
class RetryBudget:
    """A token bucket of retries, so that a service that keeps failing is left alone, not hammered.

    Starts full. `spend()` takes the cost of one retry, or another `cost`, and is False when too
    little is left; each success gives one token back. The figures are botocore's (500 tokens, 5 a
    retry), so that a client and the plane behind it give up at like rates.
    """

    capacity: int = 500
    cost: int = 5
    tokens: int = 500

    def spend(self, cost: int | None = None) -> bool:
        taken = self.cost if cost is None else cost
        if self.tokens < taken:
            return False
        self.tokens -= taken
        return True

    def succeeded(self, count: int = 1) -> None:
        self.tokens = min(self.capacity, self.tokens + count)
