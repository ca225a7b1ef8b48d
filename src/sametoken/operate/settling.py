"""Letting time pass in a store: from one moment at which something is due to the next.

To move the clock at once would do what the time in between would not: a launch's step that is to be
tried again would be found a day later, past the launch's deadline, and what follows it would be due
only after the end. So the clock goes to each due moment in turn, until the node's threads have done
what is due there. In the end the sweep removes what has expired by then.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from functools import partial

from sametoken.errors import SametokenError, Transient
from sametoken.idempotency import Engine
from sametoken.resources.kit import ripening
from sametoken.services.housekeeping import sweep
from sametoken.store import clock
from sametoken.store.port import Store, Tx
from sametoken.workflow import turns, work
from sametoken.world import World

# Real time that an advance may take. Its caller waits for it.
SETTLE_SECONDS_MAX = 60.0
# The wait before looking again whether all is done.
_LOOK_SECONDS = 0.005
# Names that are told of what was not done.
TOLD_MAX = 20


class Unsettled(SametokenError):
    """The clock stands short of where it was to go, at `now`: what is `left` was not done in time.

    An advance by the rest goes on from there.
    """

    def __init__(self, now: datetime, target: datetime, left: tuple[str, ...]) -> None:
        short = f", {target - now} short of the end" if target > now else ""
        super().__init__(
            f"what is due by {now:%Y-%m-%d %H:%M:%S} UTC{short} was not done within "
            f"{SETTLE_SECONDS_MAX:g} seconds: {', '.join(left)}. Look at the server's log, then "
            "advance by the rest."
        )
        self.now = now
        self.left = left


def pass_time(
    store: Store,
    engine: Engine,
    world: World,
    by: timedelta,
    ended: threading.Event,
) -> datetime:
    """Move the clock on by `by`, and return once everything that falls due until then has run.

    Returns the moment that the clock has come to. Raises `Unsettled` if that takes too long,
    `Transient` once the node has `ended`, and `Misconfigured` beyond `clock.ADVANCE_MAX`.
    """
    until = world.monotonic() + SETTLE_SECONDS_MAX
    target = store.run(partial(_target, by=by))

    def settle() -> None:
        _settle(store, world, until, target, ended)

    settle()
    while not store.run(partial(_hop, target=target)):
        settle()
    settle()
    while store.run(lambda tx: sweep(tx, engine)):
        pass
    return store.read(_now)


def _target(tx: Tx, *, by: timedelta) -> datetime:
    clock.check_advance(tx, by)
    return tx.now + by


def _hop(tx: Tx, *, target: datetime) -> bool:
    """Move the clock to the next moment at which something is due; True if that is the target."""
    due = [one for one in (turns.due_later(tx), ripening.due_later(tx)) if one is not None]
    moment = min([target, *due])
    if moment > tx.now:
        clock.advance(tx, moment - tx.now)
    tx.wake(work.CHANNEL)
    tx.wake(ripening.CHANNEL)
    return moment == target


def _settle(
    store: Store, world: World, until: float, target: datetime, ended: threading.Event
) -> None:
    """Wait until nothing is due that is not done. Raises `Unsettled` if that takes too long."""
    while left := store.read(_waiting):
        if world.monotonic() > until:
            raise Unsettled(store.read(_now), target, left)
        if world.wait(ended, _LOOK_SECONDS):
            raise Transient("the node ends, and what is due waits for the next one")


def _waiting(tx: Tx) -> tuple[str, ...]:
    return (*turns.waiting(tx, TOLD_MAX), *ripening.waiting(tx))[:TOLD_MAX]


def _now(tx: Tx) -> datetime:
    return tx.now
