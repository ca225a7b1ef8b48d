"""Batches: act for many at once, and where that fails for each alone, so that each fails alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from sametoken.errors import Transient
from sametoken.world import World

log = logging.getLogger(__name__)

M = TypeVar("M")
R = TypeVar("R")

# After so many seconds no further member is begun: the rest of a lease (90 s) is left to the member
# that was begun last, and to the record of its fate.
BEGIN_SECONDS_MAX = 30.0


def act_together(
    members: Sequence[M], act: Callable[[Sequence[M]], Sequence[R]], world: World
) -> list[R | Exception]:
    """Return each member's result of `act`, or its error.

    `act` gets all members, in one transaction, and its results have their order. If it raises, the
    transaction was undone, and it gets each member alone; an error is then that member's. Members
    that cannot be begun in time get the error of them all.
    """
    try:
        return list(act(members))
    except Exception as error:  # noqa: BLE001 - an error is its member's fate, whatever it is
        if len(members) == 1 or (isinstance(error, Transient) and not error.ran):
            return [error] * len(members)
        log.info("%s: %d members are tried one by one", error, len(members))
        return _act_apart(members, act, error, world)


def _act_apart(
    members: Sequence[M], act: Callable[[Sequence[M]], Sequence[R]], why: Exception, world: World
) -> list[R | Exception]:
    began, results = world.monotonic(), list[R | Exception]()
    for member in members:
        if world.monotonic() - began < BEGIN_SECONDS_MAX:
            results += act_together([member], act, world)
        else:
            results.append(Transient(f"not begun in time, after {why}", ran=False))
    return results
