"""Named fault points: the places where a crash, a delay or a lost reply is interesting.

`reach(POINT)` does nothing unless an injector is installed. A process has one: a node that is alone
in its process installs that of its rules (`faults.kills`), tests and the simulation their own.
Strikes on launches go by no injector: they are a node's (`workflow.mishaps`). Every point is
declared here, and a test walks `POINTS`: it fails for a point at which no test crashes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


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
