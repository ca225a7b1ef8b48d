"""Named fault points: the places where a crash, a delay or a lost reply is interesting.

`reach(POINT)` does nothing unless an injector is installed. The crash tests of the real process
install one from the environment; the simulation installs its own. Every point is declared here, and
a test walks `POINTS`: it fails for a point at which no test crashes.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from enum import StrEnum

from sametoken.errors import Misconfigured


class Point(StrEnum):
    """Fault points, each named for the step that has just happened."""

    ENGINE_CLAIMED = "engine.claimed"
    ENGINE_PERFORMED = "engine.performed"
    ENGINE_VIEWED = "engine.viewed"
    ENGINE_RECORDED = "engine.recorded"
    STORE_BEFORE_COMMIT = "store.before-commit"
    STORE_COMMITTED = "store.committed"
    REPLY_READY = "reply.ready"
    WORK_LEASED = "work.leased"
    STEP_FENCED = "step.fenced"
    STEP_CLAIMED = "step.claimed"
    PLACEMENT_CALLED = "step.placement-called"
    VOLUMES_CALLED = "step.volumes-called"
    NETWORKS_CALLED = "step.networks-called"
    MACHINES_CALLED = "step.machines-called"
    MACHINES_TAKEN = "step.machines-taken"
    STEP_ANSWERED = "step.answered"
    STEP_RECORDING = "step.recording"
    STEP_RECORDED = "step.recorded"


POINTS: tuple[Point, ...] = tuple(Point)

Injector = Callable[[Point], None]
_injector: Injector | None = None


def reach(point: Point) -> None:
    """Tell the injector, if there is one, that `point` was reached."""
    if _injector is not None:
        _injector(point)


def install(injector: Injector | None) -> None:
    """Make `injector` hear of every point from now on; None removes the injector."""
    global _injector
    _injector = injector


# Kill this process (SIGKILL: nothing is flushed). POINT is the first time that the point is
# reached, POINT:N the N-th.
CRASH_VARIABLE = "SAMETOKEN_CRASH_AT"
# Stop this process instead (SIGSTOP: every thread stands still) until it receives SIGCONT.
STOP_VARIABLE = "SAMETOKEN_STOP_AT"


def install_from_environment() -> None:
    """Install the injector that the two variables ask for; without them do nothing."""
    acts: dict[str, Callable[[], None]] = {CRASH_VARIABLE: _kill, STOP_VARIABLE: _stop}
    asked = [_act_at(os.environ[name], act) for name, act in acts.items() if name in os.environ]
    if asked:

        def injector(point: Point) -> None:
            for each in asked:
                each(point)

        install(injector)


def _act_at(asked: str, act: Callable[[], None]) -> Injector:
    name, _, count = asked.partition(":")
    try:
        wanted, remaining = Point(name), int(count or "1")
        if remaining < 1:
            raise ValueError("it would never be reached")
    except ValueError:
        points = ", ".join(point.value for point in Point)
        raise Misconfigured(
            f"{asked!r} is no fault point. Use POINT, or POINT:N for the N-th time, with one of: "
            f"{points}"
        ) from None

    def injector(point: Point) -> None:
        nonlocal remaining
        if point is wanted:
            remaining -= 1
            if remaining == 0:
                act()

    return injector


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    # Signal this thread: a signal to the process may reach another thread first, and this one would
    # go on a little.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
