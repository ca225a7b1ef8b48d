"""Twice what a server sustains, in an open loop: what it still gets done, and what it refuses.

Requests are sent at their moments, however slow the answers. The sustainable rate is that of
launches accepted and driven to running in a closed loop, by the same server just before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus

import names
from asking import Launchers
from databases import await_driven, undriven
from legs import Leg
from load import send, send_at_rate
from measure import Stopwatch, percentile
from servers import ours

from sametoken.server.bounds import DEFAULT_BOUNDS
from sametoken.settings import Database, database_of

OVERLOADED = 2.0
# Connections of the closed loop, and of the open one: all that a server takes, so that callers wait
# in no queue of their own.
_CLOSED, _OPEN = 64, DEFAULT_BOUNDS.connections_max
_SIGNED_A_SECOND = 6000
# A course lasts long beside the seconds in which a server begins and ends it, so few are enough.
_ROUNDS_MAX = 3


def measure(leg: Leg) -> None:
    leg.folder.mkdir()
    fixture = leg.copied(names.FEW)
    database = database_of(fixture.database)
    count = min(leg.scale.rounds, _ROUNDS_MAX)
    leg.expect(count)
    with ours(database, leg.folder / "server.log") as server:
        launchers = Launchers(server, fixture)
        rounds = []
        for _ in range(count):
            peak = _sustained(server.address, launchers, database, leg.scale.overload_seconds / 3)
            signed = launchers.sign(int(OVERLOADED * peak * leg.scale.overload_seconds))
            course = _overload(server.address, signed, OVERLOADED * peak, database)
            rounds.append((peak, course))
            leg.tell("overload")
    leg.fact(names.PEAK, [peak for peak, _ in rounds])
    leg.fact(names.GOODPUT, [course.ran_a_second for _, course in rounds])
    leg.fact(names.REFUSED, [course.refused for _, course in rounds])
    leg.fact(names.CATCHING_UP, [course.catching_up_seconds for _, course in rounds])
    medians = [one.refusal_ms for _, one in rounds if one.refusal_ms is not None]
    if medians:
        leg.fact(names.REFUSAL_MS, medians)


@dataclass(frozen=True, slots=True)
class Course:
    """An overload: launches that ran while it lasted, a second; the refused share of all requests.

    `refusal_ms` is the median time of a refusal, None where nothing was refused.
    """

    ran_a_second: float
    refused: float
    refusal_ms: float | None
    catching_up_seconds: float


def _sustained(
    address: tuple[str, int], launchers: Launchers, database: Database, seconds: float
) -> float:
    signed = launchers.sign(int(_SIGNED_A_SECOND * seconds))
    watch = Stopwatch()
    run = send(address, signed, connections=_CLOSED, seconds=seconds)
    await_driven(database)
    return run.done / watch.seconds


def _overload(
    address: tuple[str, int], signed: list[bytes], rate: float, database: Database
) -> Course:
    left_at_end = 0
    ended_at = 0.0

    def look() -> None:
        nonlocal left_at_end, ended_at
        left_at_end, ended_at = undriven(database), time.perf_counter()

    answers, by_then = send_at_rate(address, signed, rate=rate, connections=_OPEN, at_end=look)
    await_driven(database)
    catching_up = time.perf_counter() - ended_at
    accepted = sum(one.status == HTTPStatus.OK for one in answers[:by_then])
    refusals = [1000 * one.seconds for one in answers if one.status != HTTPStatus.OK]
    return Course(
        # A launch that is committed and not answered yet counts as left, and not as accepted.
        max(0.0, accepted - left_at_end) / (len(signed) / rate),
        len(refusals) / len(answers),
        percentile(refusals, 0.5) if refusals else None,
        catching_up,
    )
