"""The sweep: entries first, then the tombstones that only they had kept, a batch at a time."""

from __future__ import annotations

import pytest

from sametoken.idempotency import RETENTION
from sametoken.resources.kit import rows
from sametoken.services import housekeeping
from sametoken.store.port import Store
from store.creating import ENGINE, Caller, call
from store.things import move, put
from store.worlds import SetWorld

# A small batch, and less than one beyond it.
BATCH, REST = 4, 3


def test_no_tombstone_is_looked_for_while_entries_are_due(
    store: Store, world: SetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking would walk past every one that an unswept entry keeps; at last nothing is left."""
    monkeypatch.setattr(housekeeping, "SWEEP_ROWS_MAX", BATCH)
    caller = Caller(store)
    made = [caller.create(call(f"token-{n}", P=1)) for n in range(BATCH + REST)]
    for id in made:
        move(store, put(store, id=id), "deleted")
    world.pass_time(RETENTION)
    swept = [store.run(lambda tx: housekeeping.sweep(tx, ENGINE)) for _ in range(4)]
    assert swept == [BATCH, REST + BATCH, REST, 0]
    assert store.read(lambda tx: rows.by_ids(tx, made)) == {}
    assert not any(caller.rows_kept().values())
