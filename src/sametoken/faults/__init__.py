"""Faults on purpose: named points in the code, at which a test may crash or stop a process."""

from __future__ import annotations

from sametoken.faults.points import (
    POINTS,
    Injector,
    Point,
    install,
    reach,
)

__all__ = [
    "POINTS",
    "Injector",
    "Point",
    "install",
    "reach",
]
