"""The store's clock, by which everything that is kept, leased or due is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sametoken.operate.opened import Opened
from sametoken.store import clock, leaps
from sametoken.store.port import Store, Tx
from sametoken.store.reading import Reads
from sametoken.workflow import work


@dataclass(frozen=True, slots=True)
class Told:
    """The clock's moment, how far it is ahead of its host's, and the leaps that hold tokens back.

    `leapt` is by how much longer a token is kept that was there before all of these leaps.
    """

    now: datetime
    ahead: timedelta
    leapt: timedelta


def look(here: Opened[Reads]) -> Told:
    """Tell what the clock is."""
    return here.store.read(lambda tx: Told(tx.now, clock.ahead_of_host(tx), leaps.held_back(tx)))


def advance(store: Store, by: timedelta) -> None:
    """Move the clock on, as if that time had passed, and wake the runners for what is due now.

    Raises `Misconfigured` beyond `clock.ADVANCE_MAX`.
    """

    def run(tx: Tx) -> None:
        clock.advance(tx, by)
        tx.wake(work.CHANNEL)

    store.run(run)
