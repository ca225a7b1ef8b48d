"""The sweep: it removes entries first, then tombstones that no entry names, in batches."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sametoken.idempotency import RETENTION
from sametoken.resources.kit import rows
from sametoken.services import housekeeping
from sametoken.store.port import Store
from store.creating import ENGINE, Caller, call
from store.things import move, put
from store.worlds import SetWorld

# A small batch, and a rest that does not fill another batch.
BATCH, REST = 4, 3


def test_no_tombstone_is_looked_for_while_entries_are_due(
    store: Store, world: SetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search would pass over all tombstones that unswept entries keep. In the end, all go."""
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


def test_a_clock_that_was_ahead_expires_no_token(store: Store, world: SetWorld) -> None:
    caller = Caller(store)
    id = caller.create(call("token", P=1))
    move(store, put(store, id=id), "deleted")

    def swept() -> int:
        return store.run(lambda tx: housekeeping.sweep(tx, ENGINE))

    world.set_clock(RETENTION)
    assert swept() == 0
    world.set_clock(-RETENTION)
    world.pass_time(RETENTION - timedelta(seconds=1))
    assert swept() == 0
    assert caller.create(call("token", P=1)) == id
    world.pass_time(timedelta(seconds=1))
    assert swept() == 2
