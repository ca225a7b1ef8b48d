"""The store's clock: it follows its host's clock, but never goes back, even if the host's does.

The host's clock is the test's `SetWorld`, which can be set back. For a database with a clock of its
own, its `Database` replaces that clock by the same `SetWorld`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sametoken.errors import Misconfigured, ServiceError
from sametoken.store import clock
from sametoken.store.port import Store, Tx
from store.stores import Database, together
from store.worlds import START, SetWorld


def moment(tx: Tx) -> datetime:
    return tx.now


def advance(store: Store, by: timedelta) -> None:
    store.run(lambda tx: clock.advance(tx.connection, by))


def refuse(tx: Tx) -> str:
    raise ServiceError("No", "no")


def test_a_transaction_happens_at_one_moment_in_utc(store: Store, world: SetWorld) -> None:
    def run(tx: Tx) -> bool:
        before = tx.now
        world.pass_time(timedelta(seconds=5))
        return tx.now == before == START

    assert store.run(run)
    assert store.run(moment) == START + timedelta(seconds=5)


def test_the_clock_follows_the_databases_host(store: Store, world: SetWorld) -> None:
    world.pass_time(timedelta(minutes=3))
    assert store.run(moment) == store.read(moment) == START + timedelta(minutes=3)


def test_the_clock_stands_still_when_its_host_is_set_back(store: Store, world: SetWorld) -> None:
    world.pass_time(timedelta(hours=1))
    high = store.run(moment)
    world.pass_time(timedelta(hours=-2))
    assert store.run(moment) == store.read(moment) == high
    world.pass_time(timedelta(hours=2))
    assert store.run(moment) >= high


def test_the_clock_never_goes_back_when_the_store_is_opened_again(
    database: Database, world: SetWorld
) -> None:
    world.pass_time(timedelta(hours=1))
    with database.open(world) as store:
        high = store.run(moment)
    world.pass_time(timedelta(days=-365))
    with database.open(world) as store:
        assert store.read(moment) == high
        assert store.run(moment) == high


def test_a_transaction_that_is_undone_does_not_set_the_clock_back(
    store: Store, world: SetWorld
) -> None:
    world.pass_time(timedelta(hours=1))
    with pytest.raises(ServiceError):
        store.run(refuse)
    world.pass_time(timedelta(hours=-1))
    assert store.run(moment) >= START


def test_moments_never_go_back_among_many_threads(store: Store, world: SetWorld) -> None:
    world_moves = iter([5, -7, 3, -20, 11] * 40)

    def run(number: int) -> list[datetime]:
        seen = []
        for _ in range(10):
            world.pass_time(timedelta(seconds=next(world_moves)))
            seen.append(store.run(moment))
        return seen

    for seen in together(8, run):
        assert isinstance(seen, list)
        assert seen == sorted(seen)


def test_an_advanced_clock_stays_advanced(database: Database, world: SetWorld) -> None:
    with database.open(world) as store:
        advance(store, timedelta(days=2))
        advance(store, timedelta(hours=1))
        ahead = START + timedelta(days=2, hours=1)
        assert store.run(moment) == store.read(moment) == ahead
    with database.open(world) as store:
        assert store.run(moment) == ahead


def test_the_clock_cannot_be_advanced_backwards(store: Store) -> None:
    with pytest.raises(AssertionError, match="never moves back"):
        advance(store, timedelta(microseconds=-1))


@pytest.mark.parametrize("by", [clock.ADVANCE_MAX * 2, timedelta.max])
def test_the_clock_cannot_be_advanced_beyond_what_can_be_told(store: Store, by: timedelta) -> None:
    """A moment after the year 9999 could be written but never read: the store would be lost."""
    advance(store, clock.ADVANCE_MAX)
    for too_far in (by, timedelta(microseconds=1)):
        with pytest.raises(Misconfigured, match="cannot be advanced"):
            advance(store, too_far)
    assert store.run(moment) == START + clock.ADVANCE_MAX
