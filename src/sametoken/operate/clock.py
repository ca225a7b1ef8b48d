"""The store's clock, by which everything that is kept, leased or due is measured."""

from __future__ import annotations

from datetime import timedelta

from sametoken.store import clock
from sametoken.store.port import Store, Tx
from sametoken.workflow import work


def advance(store: Store, by: timedelta) -> None:
    """Move the clock on, as if that time had passed, and wake the runners for what is due now.

    Raises `Misconfigured` beyond `clock.ADVANCE_MAX`.
    """

    def run(tx: Tx) -> None:
        clock.advance(tx.connection, by)
        tx.wake(work.CHANNEL)

    store.run(run)
