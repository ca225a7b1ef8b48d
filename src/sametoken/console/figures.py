"""Figures of a span of time, from what a node has counted at its two ends. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from sametoken.counts import Told
from sametoken.server.counts import REQUEST_SECONDS, REQUESTS

# A share of the requests was answered as fast as the figure says, or faster.
_MEDIAN, _SLOW = 0.5, 0.95


class Figures:
    """Figures from one telling to the next."""

    def __init__(self) -> None:
        self._before: Told | None = None
        self._at = 0.0

    def since_last(self, told: Told, at: float) -> dict[str, float | None]:
        """Return rates a second, and milliseconds, since the last telling; of the first none.

        `at` is the moment, in seconds; `heard` counts all requests since the start.
        """
        requests = told.get(REQUESTS.name, {})
        found: dict[str, float | None] = {"heard": sum(one[0] for one in requests.values())}
        before, since = self._before, at - self._at
        self._before, self._at = told, at
        if before is None or since <= 0:
            return found
        earlier = before.get(REQUESTS.name, {})
        new = {labels: one[0] - earlier.get(labels, (0.0,))[0] for labels, one in requests.items()}
        for name, wanted in _WANTED.items():
            count = sum(
                number for (_, outcome, code), number in new.items() if wanted(outcome, code)
            )
            found[name] = round(count / since, 2)
        buckets = list(self._durations(before, told))
        found["median"] = self._within(buckets, _MEDIAN)
        found["slow"] = self._within(buckets, _SLOW)
        return found

    def _durations(self, before: Told, told: Told) -> Iterator[float]:
        """Yield how many requests of the span were in each bucket."""
        earlier, now = (self._buckets(one) for one in (before, told))
        earlier += [0] * (len(now) - len(earlier))
        yield from (late - early for late, early in zip(now, earlier, strict=True))

    def _buckets(self, told: Told) -> list[float]:
        """Return the numbers of each bucket, of all actions together; without the sum of times."""
        durations = told.get(REQUEST_SECONDS.name, {}).values()
        return [sum(numbers) for numbers in zip(*durations, strict=True)][:-1]

    def _within(self, buckets: Sequence[float], share: float) -> float | None:
        """Return the milliseconds within which that share was answered; None without requests.

        Inside a bucket requests count as spread evenly; beyond the last bound they are not told.
        """
        wanted = sum(buckets) * share
        if not wanted:
            return None
        low = 0.0
        so_far = [0.0, *accumulate(buckets)]
        for place, bound in enumerate(REQUEST_SECONDS.bounds):
            if so_far[place + 1] >= wanted:
                inside = (wanted - so_far[place]) / buckets[place]
                return round((low + (bound - low) * inside) * 1000, 3)
            low = bound
        return round(low * 1000, 3)


_WANTED: Mapping[str, Callable[[str, str], bool]] = {
    "requests": lambda outcome, code: True,
    "refused": lambda outcome, code: code != "",
    "replays": lambda outcome, code: outcome == "replay",
    "mismatches": lambda outcome, code: outcome == "mismatch",
}
