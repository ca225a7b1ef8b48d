"""The sweep: remove expired entries, then the tombstones that only those entries had kept."""

from __future__ import annotations

from sametoken.idempotency import RETENTION, Engine
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import TokenKey
from sametoken.resources.kit import tombstones
from sametoken.services import fence, simulated_machines
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store import leaps
from sametoken.store.port import Tx
from sametoken.workflow import work

# Rows that one transaction removes: it holds the writer for some ten milliseconds, and requests
# wait for it. The sweep is repeated until nothing is left.
SWEEP_ROWS_MAX = 50


def sweep(tx: Tx, engine: Engine) -> int:
    """Remove one batch in this transaction. Returns how many rows; 0 means nothing is due."""
    until = leaps.over(tx, RETENTION)
    forgotten = engine.ledger.forget_expired(tx, SWEEP_ROWS_MAX, until)
    attempts.forget(
        tx,
        (
            TokenKey(token, scope.account, scope.region, scope.action)
            for scope, token in forgotten
            if scope.account != INTERNAL_ACCOUNT
        ),
    )
    entries = len(forgotten)
    if entries == SWEEP_ROWS_MAX:
        # Leave tombstones until all expired entries are gone. Before that most tombstones are still
        # named by entries, and the search for one that is not would walk past them all, in every
        # transaction of a sweep that has fallen behind.
        return entries
    gone = tombstones.sweep(tx, SWEEP_ROWS_MAX, until)
    work.forget(tx, gone)
    fence.forget(tx, gone)
    simulated_machines.forget(tx, gone)
    return entries + len(gone) + attempts.sweep(tx, SWEEP_ROWS_MAX, until)
