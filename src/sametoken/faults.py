"""Named fault points: the places where a crash, a delay or a lost reply is interesting.

`reach(POINT)` does nothing unless an injector is installed. The crash tests of the real process
install one from the environment; the simulation installs its own. Every point is declared here,
and a test enumerates `POINTS`, so a point nobody crashes at is a failing test.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """A fault point's name says what has just happened."""

    ENGINE_CLAIMED = "engine.claimed"
    ENGINE_PERFORMED = "engine.performed"
    ENGINE_VIEWED = "engine.viewed"
    ENGINE_RECORDED = "engine.recorded"
    STORE_BEFORE_COMMIT = "store.before-commit"
    STORE_COMMITTED = "store.committed"
    REPLY_READY = "reply.ready"
    STEP_CLAIMED = "step.claimed"
    PLACEMENT_CALLED = "step.placement-called"
    VOLUMES_CALLED = "step.volumes-called"
    NETWORKS_CALLED = "step.networks-called"
    MACHINES_CALLED = "step.machines-called"
    STEP_ANSWERED = "step.answered"
    STEP_RECORDED = "step.recorded"


POINTS: tuple[Point, ...] = tuple(Point)

Injector = Callable[[Point], None]
_injector: Injector | None = None


def reach(point: Point) -> None:
    """Tell the injector, if there is one, that `point` was reached."""
    if _injector is not None:
        _injector(point)


def install(injector: Injector | None) -> None:
    """Make `injector` hear of every point from now on; None takes it out."""
    global _injector
    _injector = injector


# POINT or POINT:N — kill this process (SIGKILL: nothing is flushed) the N-th time it is reached.
CRASH_VARIABLE = "SAMETOKEN_CRASH_AT"


def install_from_environment() -> None:
    """Install a crash as `SAMETOKEN_CRASH_AT` asks; without the variable do nothing."""
    wanted = os.environ.get(CRASH_VARIABLE)
    if wanted is None:
        return
    name, _, count = wanted.partition(":")
    install(_crash_at(Point(name), int(count or "1")))


def _crash_at(wanted: Point, count: int) -> Injector:
    remaining = count

    def injector(point: Point) -> None:
        nonlocal remaining
        if point is wanted:
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return injector
