"""Faults on purpose: named points in the code, at which a test may crash or stop a process."""

from __future__ import annotations

from sametoken.faults.points import (
    CRASH_VARIABLE,
    POINTS,
    STOP_VARIABLE,
    Injector,
    Point,
    install,
    install_from_environment,
    reach,
)

__all__ = [
    "CRASH_VARIABLE",
    "POINTS",
    "STOP_VARIABLE",
    "Injector",
    "Point",
    "install",
    "install_from_environment",
    "reach",
]
