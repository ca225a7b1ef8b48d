"""Ripening steps: they are taken when they are due, a bounded number in each transaction."""

from __future__ import annotations

from datetime import timedelta

from sametoken.resources.kit import listings, ripening, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Store, Tx
from store.things import ACCOUNT, REGION
from store.worlds import SetWorld

SECONDS = 2.0
# The number of steps by which the test exceeds what one transaction takes.
BEYOND = 3


def plan_many(tx: Tx) -> None:
    made = [
        Row(f"vol-{n:017x}", VOLUME.name, ACCOUNT, REGION, "creating", {"Size": 1}, tx.now)
        for n in range(ripening.RIPE_MAX + BEYOND)
    ]
    rows.insert(tx, made)
    for row in made:
        ripening.plan(tx, row, "available", SECONDS, cause="a test")


def test_so_many_steps_are_taken_in_one_transaction_and_none_before_its_time(
    store: Store, world: SetWorld
) -> None:
    store.run(plan_many)
    assert store.run(ripening.ripen_due) == 0
    world.pass_time(timedelta(seconds=SECONDS))
    taken = [store.run(ripening.ripen_due) for _ in range(3)]
    assert taken == [ripening.RIPE_MAX, BEYOND, 0]
    states = store.read(
        lambda tx: {row.state for row in listings.every(tx, VOLUME, ACCOUNT, REGION)}
    )
    assert states == {"available"}
