"""The store's clock, by which everything that is kept, leased or due is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sametoken.operate.opened import Opened
from sametoken.resources.kit import ripening
from sametoken.store import clock, leaps
from sametoken.store.port import Store, Tx
from sametoken.store.reading import Reads
from sametoken.workflow import work


@dataclass(frozen=True, slots=True)
class Told:
    """The clock's moment, how far it is ahead of its host's, and the leaps that hold tokens back.

    `leapt` is by how much longer a token is kept that was there before all of these leaps;
    `stands` is True while the clock is frozen.
    """

    now: datetime
    ahead: timedelta
    leapt: timedelta
    stands: bool


def look(here: Opened[Reads]) -> Told:
    """Tell what the clock is."""

    def read(tx: Tx) -> Told:
        return Told(tx.now, clock.ahead_of_host(tx), leaps.held_back(tx), clock.stands(tx))

    return here.store.read(read)


def freeze(store: Store) -> None:
    """Have the clock stand still, until `resume`: what waits for a time waits."""
    store.run(clock.freeze)


def resume(store: Store) -> None:
    """Let a frozen clock go on, a second a second from where it stands."""

    def run(tx: Tx) -> None:
        clock.resume(tx)
        tx.wake(work.CHANNEL)
        tx.wake(ripening.CHANNEL)

    store.run(run)


def advance(store: Store, by: timedelta) -> None:
    """Move the clock on, as if that time had passed, and wake the runners for what is due now.

    It returns before any of that is done; `settling.pass_time` waits for it. Raises `Misconfigured`
    beyond `clock.ADVANCE_MAX`.
    """

    def run(tx: Tx) -> None:
        clock.advance(tx, by)
        tx.wake(work.CHANNEL)

    store.run(run)
