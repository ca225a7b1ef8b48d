"""An outage of one cell, and the load of its retrying clients when it returns.

Time goes in ticks. A cell refuses requests beyond its capacity, and each refusal costs a part of a
launch; so retries can take all of its capacity. Clients retry with `sametoken.retry`.
"""

from __future__ import annotations

import math
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from measure import table

from sametoken.retry import RetryBudget, backoff_seconds

_TICKS_A_SECOND, _MINUTE = 10, 60
# Cost of reading a request, checking its signature and answering 503, where accepting and driving a
# launch costs 1: some 0.3 ms of CPU against 5 (README.md).
REFUSAL_COST = 0.05
# Seconds watched after the return; and seconds in which a cell may launch nothing, because it only
# refuses, before it counts as collapsed.
_WATCHED_SECONDS, _COLLAPSED_SECONDS = 1800, 20
_STRAGGLERS = 0.01
_SEED = 20_061_211


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients' way to retry.

    `budget`: each client has a `RetryBudget`, and tells its caller when it is spent. Such callers
    ask again, under the same token, within `callers_seconds`. `passed`: the router passes on this
    many times the cell's capacity; it refuses the rest itself.
    """

    backoff: Callable[[int, float], float]
    budget: bool = False
    callers_seconds: float = 0.0
    passed: float = math.inf


@dataclass(slots=True)
class Launch:
    client: int
    asked_tick: int
    attempt: int = 0


@dataclass(slots=True)
class Course:
    """Requests and launches by second from the cell's return; the outage's are negative."""

    asked: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    done: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    # Launches asked before the return: `backlog` of them, of which `left` are not done yet.
    backlog: int = 0
    left: int = 0
    # Seconds until all of these were done but the last hundredth, which is left to chance.
    gone_seconds: float | None = None
    launches: int = 0

    def has_collapsed(self, second: int) -> bool:
        """True when it has launched nothing for so long that it never will."""
        return not any(self.done[second - back] for back in range(_COLLAPSED_SECONDS))

    def peak(self) -> int:
        """Most requests of a second in the minute after the return."""
        return max(count for second, count in self.asked.items() if 0 <= second < _MINUTE)


def each_second(_attempt: int, _uniform: float) -> float:
    """Retry every second, as a first attempt at retrying usually does."""
    return 1.0


CLIENTS = {
    "every second, for ever": Clients(each_second),
    "full jitter, for ever": Clients(backoff_seconds),
    "the same; the router passes on twice the capacity": Clients(backoff_seconds, passed=2.0),
    "full jitter and a budget of retries; callers within 1 min": Clients(
        backoff_seconds, True, 60.0
    ),
    "full jitter and a budget of retries; callers within 10 min": Clients(
        backoff_seconds, True, 600.0
    ),
}


def measure(rates: Sequence[float], capacity: float, down_seconds: Sequence[float]) -> None:
    """Print an outage of one cell, whose accounts ask these rates, for each kind of client."""
    print(
        f"\n### A cell returns: {len(rates)} accounts, {sum(rates):.0f} launches a second, "
        f"capacity {capacity:.0f}; a refusal costs {REFUSAL_COST:.0%} of a launch\n"
    )
    body = []
    for seconds in down_seconds:
        for name, clients in CLIENTS.items():
            course = outage(rates, capacity, clients, seconds=seconds)
            first = sum(course.done[second] for second in range(_MINUTE)) / _MINUTE
            gone = (
                f"never ({course.left:,} left)"
                if course.gone_seconds is None
                else f"{course.gone_seconds:,.0f} s"
            )
            body.append(
                (f"{seconds:,.0f} s", name, f"{course.peak() / capacity:.1f}",
                 f"{first / capacity:.0%}", gone,
                 f"{sum(course.asked.values()) / course.launches:.1f}")
            )  # fmt: skip
    head = ("down", "clients retry", "peak / capacity", "launched in the 1st minute",
            "backlog gone", "requests a launch")  # fmt: skip
    print(table(head, body))


def outage(rates: Sequence[float], capacity: float, clients: Clients, *, seconds: float) -> Course:
    """Simulate a cell that is down for `seconds`, and `_WATCHED_SECONDS` after."""
    chance, course = random.Random(_SEED), Course()
    budgets = [RetryBudget() for _ in rates]
    due: dict[int, list[Launch]] = defaultdict(list)
    start = -round(seconds * _TICKS_A_SECOND)
    for tick in range(start, _WATCHED_SECONDS * _TICKS_A_SECOND):
        batch = due.pop(tick, [])
        new = _arrivals(chance, rates, tick)
        course.launches += len(new)
        course.backlog += len(new) if tick < 0 else 0
        course.left += len(new) if tick < 0 else 0
        batch += new
        chance.shuffle(batch)
        second = tick // _TICKS_A_SECOND
        course.asked[second] += len(batch)
        budget = 0.0 if tick < 0 else capacity / _TICKS_A_SECOND
        passed = min(len(batch), _passed(clients, budget, chance))
        accepted = _accepted(passed, budget, chance)
        course.done[second] += accepted
        for launch in batch[:accepted]:
            budgets[launch.client].succeeded()
            if launch.asked_tick < 0:
                course.left -= 1
        for launch in batch[accepted:]:
            wait = _wait(launch, budgets[launch.client], clients, chance)
            due[tick + max(1, round(wait * _TICKS_A_SECOND))].append(launch)
        if (
            course.gone_seconds is None
            and tick >= 0
            and course.left <= _STRAGGLERS * course.backlog
        ):
            course.gone_seconds = tick / _TICKS_A_SECOND
        if second >= _MINUTE and (course.gone_seconds or course.has_collapsed(second)):
            break
    return course


def _arrivals(chance: random.Random, rates: Sequence[float], tick: int) -> list[Launch]:
    """Draw the new launches of one tick: of each account its rate, on average."""
    count = _rounded(sum(rates) / _TICKS_A_SECOND, chance)
    return [Launch(client, tick) for client in chance.choices(range(len(rates)), rates, k=count)]


def _passed(clients: Clients, budget: float, chance: random.Random) -> int:
    """The most requests that reach the cell in a tick."""
    return sys.maxsize if math.isinf(clients.passed) else _rounded(clients.passed * budget, chance)


def _accepted(asked: int, budget: float, chance: random.Random) -> int:
    """Launches that a tick's `budget` drives, when every request has cost a refusal first."""
    left = max(0.0, budget - REFUSAL_COST * asked)
    return min(asked, _rounded(left / (1 - REFUSAL_COST), chance)) if left else 0


def _rounded(value: float, chance: random.Random) -> int:
    """Round up or down at random, so that the mean of many is `value`."""
    return int(value + chance.random())


def _wait(launch: Launch, budget: RetryBudget, clients: Clients, chance: random.Random) -> float:
    """Seconds until this launch is asked again."""
    if clients.budget and not budget.spend():
        launch.attempt = 0
        return chance.uniform(0.0, clients.callers_seconds)
    launch.attempt += 1
    return clients.backoff(launch.attempt, chance.random())
