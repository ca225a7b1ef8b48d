"""A stage of a request, and its place in a list of stages. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from sametoken.server.exchange import Exchange

# Returns an exchange with more fields set, or raises the refusal. A step that has to wait for
# another thread returns an awaitable, and only for those requests that do wait.
Step: TypeAlias = Callable[[Exchange], Exchange | Awaitable[Exchange]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of every request, and the name by which another stage is put before it."""

    name: str
    step: Step


def inserted(stages: tuple[Stage, ...], stage: Stage, *, before: str) -> tuple[Stage, ...]:
    """Return the stages with one more, just before the one named `before`."""
    names = [one.name for one in stages]
    if before not in names:
        raise ValueError(f"no such stage: {before}; there are {', '.join(names)}")
    at = names.index(before)
    return (*stages[:at], stage, *stages[at:])
