"""Swarm: the odds of each fault in a schedule, drawn so that schedules differ in kind.

A schedule with every fault at once explores less than many schedules with a few faults each (swarm
testing), so about half of the odds are zero in each schedule. Odds only; no behaviour here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Swarm:
    """Odds in [0, 1], each of one kind of fault."""

    # Network: odds for each message.
    drop_request: float = 0.3
    drop_reply: float = 0.4
    duplicate: float = 0.4
    arrives_late: float = 0.2
    # Processes: odds at each fault point, at each place where a thread may be preempted, and at
    # each tick of the operator.
    crash: float = 0.02
    stall: float = 0.06
    crash_node: float = 0.3
    freeze_node: float = 0.3
    part_dies: float = 0.15
    # Database: odds at each COMMIT, and at each transaction.
    commit_fails: float = 0.05
    commit_unknown: float = 0.05
    transaction_lost: float = 0.06
    # Reads: odds that one is cut at its deadline.
    read_cut: float = 0.1
    # Writer: it lets several transactions gather before it takes a batch.
    gather: float = 0.6
    # Runner: it lets several launches gather before it leases.
    gather_work: float = 0.6
    # Services: odds for each service of a node that it is called, as one elsewhere would be; in the
    # program they take steps in the runner's transactions. Then odds at each call.
    service_called: float = 1.0
    service_fails: float = 0.1
    # An owner is stopped just before it calls a service, or before the service calls its driver.
    owner_paused: float = 0.12
    service_hangs: float = 0.08
    service_refuses: float = 0.03
    # Effects of a step: odds for each instance that is among several.
    effect_fails: float = 0.06
    effect_refuses: float = 0.02
    boot_fails: float = 0.2
    # Operator: odds at each tick.
    sweep: float = 0.5
    limits: float = 0.4
    clock_back: float = 0.1
    clock_ahead: float = 0.15
    # Clocks: odds for each node, from the start.
    clock_skewed: float = 1.0
    # Callers: odds between two requests.
    long_break: float = 0.25
    # Rules of faults: whether the schedule has any; drawn apart.
    rules: float = 1.0


CALM = Swarm(**{one.name: 0.0 for one in fields(Swarm)})
_HIGHEST = Swarm()


def draw(rng: random.Random) -> Swarm:
    """Draw each of the odds: zero, or a number up to its value in `_HIGHEST`."""
    drawn = {
        one.name: (0.0 if rng.random() < 0.5 else rng.random()) * getattr(_HIGHEST, one.name)
        for one in fields(Swarm)
        if one.name != "rules"
    }
    return replace(_HIGHEST, **drawn)
