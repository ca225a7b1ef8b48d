"""The sweep: forget expired entries, then the tombstones that only they had kept."""

from __future__ import annotations

from sametoken.idempotency import Engine
from sametoken.resources.kit import rows
from sametoken.services import fence, simulated_machines
from sametoken.store.port import Tx
from sametoken.workflow import work

# One transaction's worth: some ten milliseconds of the writer, which requests wait for. Repeated
# until nothing is left.
SWEEP_ROWS_MAX = 50


def sweep(tx: Tx, engine: Engine) -> int:
    """Remove one batch, all of it in this transaction; how many rows. 0: nothing is due."""
    entries = engine.ledger.sweep(tx, SWEEP_ROWS_MAX)
    if entries == SWEEP_ROWS_MAX:
        # More may follow. Until then most tombstones are still named, and looking for one that is
        # not would walk past them all, in every transaction of a sweep that has fallen behind.
        return entries
    gone = rows.sweep(tx, SWEEP_ROWS_MAX)
    work.forget(tx, gone)
    fence.forget(tx, gone)
    simulated_machines.forget(tx, gone)
    return entries + len(gone)
