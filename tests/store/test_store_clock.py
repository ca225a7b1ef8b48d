"""The store's clock: it follows its host's, but never goes back or stands still, even if that does.

The host's clock is the test's `SetWorld`, which can be set back. For a database with a clock of its
own, its `Database` replaces that clock by the same `SetWorld`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from sametoken.errors import Misconfigured, ServiceError
from sametoken.store import clock, leaps
from sametoken.store.port import Store, Tx
from store.stores import DATABASES, Database, together
from store.worlds import START, SetWorld


def moment(tx: Tx) -> datetime:
    return tx.now


def advance(store: Store, by: timedelta) -> None:
    store.run(lambda tx: clock.advance(tx, by))


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


def test_the_moment_is_known_without_a_transaction_once_one_has_seen_it(
    store: Store, world: SetWorld
) -> None:
    assert store.run(moment).timestamp() == store.seconds()
    world.pass_time(timedelta(minutes=3))
    assert store.seconds() == (START + timedelta(minutes=3)).timestamp()
    advance(store, timedelta(hours=1))
    assert store.read(moment).timestamp() == store.seconds()
    store.run(clock.freeze)
    stands = store.read(moment)
    world.pass_time(timedelta(minutes=3))
    assert store.seconds() == stands.timestamp()


def test_the_clock_does_not_go_back_when_its_host_is_set_back(
    store: Store, world: SetWorld
) -> None:
    world.pass_time(timedelta(hours=1))
    high = store.run(moment)
    world.set_clock(timedelta(hours=-2))
    assert store.run(moment) == store.read(moment) == high


def test_the_clock_never_goes_back_when_the_store_is_opened_again(
    database: Database, world: SetWorld
) -> None:
    world.pass_time(timedelta(hours=1))
    with database.open(world) as store:
        high = store.run(moment)
    world.set_clock(timedelta(days=-365))
    with database.open(world) as store:
        assert store.read(moment) == high
        assert store.run(moment) == high


def test_a_transaction_that_is_undone_does_not_set_the_clock_back(
    store: Store, world: SetWorld
) -> None:
    world.pass_time(timedelta(hours=1))
    with pytest.raises(ServiceError):
        store.run(refuse)
    world.set_clock(timedelta(hours=-1))
    assert store.run(moment) >= START


def test_moments_never_go_back_among_many_threads(store: Store, world: SetWorld) -> None:
    world_moves = iter([5, -7, 3, -20, 11] * 40)

    def run(number: int) -> list[datetime]:
        seen = []
        for _ in range(10):
            world.set_clock(timedelta(seconds=next(world_moves)))
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


# -- a clock that was ahead -----------------------------------------------------------------------

AHEAD = timedelta(days=1)
SECOND = timedelta(seconds=1)


def be_ahead(store: Store, world: SetWorld) -> datetime:
    """Have the host's clock be a day ahead for five seconds; return the store's moment then."""
    world.set_clock(AHEAD)
    world.pass_time(5 * SECOND)
    told = store.run(moment)
    world.set_clock(-AHEAD)
    return told


def test_time_goes_on_a_second_a_second_from_a_mark_that_the_host_is_behind(
    store: Store, world: SetWorld
) -> None:
    told = be_ahead(store, world)
    assert told == START + AHEAD + 5 * SECOND
    for passed in range(1, 4):
        world.pass_time(SECOND)
        assert store.read(moment) == store.run(moment) == told + passed * SECOND


def test_time_goes_on_from_the_mark_after_a_restart(database: Database, world: SetWorld) -> None:
    with database.open(world) as store:
        told = be_ahead(store, world)
    with database.open(world) as store:
        assert store.run(moment) == told
        world.pass_time(SECOND)
        assert store.read(moment) == store.run(moment) == told + SECOND


def test_nodes_whose_clocks_differ_go_on_from_one_mark(database: Database, world: SetWorld) -> None:
    behind = SetWorld()
    behind.set_clock(-AHEAD)
    with database.open(world) as one:
        one.run(moment)
        world.pass_time(SECOND)
        told = one.run(moment)
        with database.open(behind) as other:
            assert other.run(moment) >= told - timedelta(microseconds=clock.MARK_US)
            before = other.run(moment)
            behind.pass_time(5 * SECOND)
            assert other.run(moment) == before + 5 * SECOND
        assert one.run(moment) >= before + 5 * SECOND


def test_a_clock_that_is_ahead_of_its_host_is_advanced_from_where_it_is(
    store: Store, world: SetWorld
) -> None:
    told = be_ahead(store, world)
    advance(store, timedelta(hours=1))
    assert store.run(moment) == store.read(moment) == told + timedelta(hours=1)


def test_the_log_says_now_and_then_that_the_clock_is_ahead(
    store: Store, world: SetWorld, caplog: pytest.LogCaptureFixture
) -> None:
    be_ahead(store, world)
    assert "is ahead" not in caplog.text
    for _ in range(3):
        world.pass_time(2 * SECOND)
        store.run(moment)
    assert caplog.text.count("1 day, 0:00:00 ahead of its host's") == 1
    world.pass_time(timedelta(hours=1))
    store.run(moment)
    store.run(moment)
    assert caplog.text.count("1 day, 0:00:00 ahead of its host's") == 2


# -- leaps, and the things that they would make expire --------------------------------------------

KEPT = timedelta(hours=24)


def over(store: Store) -> datetime:
    return store.run(lambda tx: leaps.over(tx, KEPT))


def test_time_that_passes_makes_things_expire(store: Store, world: SetWorld) -> None:
    store.run(moment)
    for _ in range(3):
        world.pass_time(KEPT)
        assert over(store) == store.run(moment)


def test_time_that_was_leapt_over_expires_nothing_until_it_has_passed(
    store: Store, world: SetWorld
) -> None:
    ended = store.run(moment)
    told = be_ahead(store, world)
    world.pass_time(SECOND)
    assert over(store) == ended + 6 * SECOND
    world.pass_time(KEPT - 7 * SECOND)
    assert over(store) == ended + KEPT - SECOND
    assert store.run(moment) == told + KEPT - 6 * SECOND
    world.pass_time(SECOND)
    assert over(store) == ended + KEPT


def test_a_leap_concerns_nothing_that_is_kept_later(store: Store, world: SetWorld) -> None:
    be_ahead(store, world)
    over(store)
    ended = store.run(moment)
    world.pass_time(KEPT)
    assert over(store) == ended + KEPT == store.run(moment)
    assert store.read(lambda tx: tx.execute(sa.select(leaps.LEAP)).all()) == []


def test_leaps_add_up_as_long_as_they_concern_anything(store: Store, world: SetWorld) -> None:
    ended = store.run(moment)
    for _ in range(3):
        be_ahead(store, world)
        world.set_clock(2 * AHEAD)
        assert over(store) == store.run(moment) - (store.run(moment) - ended - world.passed)
    assert store.run(moment) > ended + 6 * AHEAD
    world.pass_time(KEPT - world.passed)
    assert over(store) == ended + KEPT


def test_time_in_which_no_node_ran_is_not_counted(database: Database, world: SetWorld) -> None:
    with database.open(world) as store:
        ended = store.run(moment)
    world.pass_time(timedelta(days=7))
    with database.open(world) as store:
        store.run(moment)
        assert over(store) == ended
        world.pass_time(KEPT)
        assert over(store) == store.run(moment)


def test_time_that_an_operator_says_has_passed_is_counted(store: Store, world: SetWorld) -> None:
    be_ahead(store, world)
    over(store)
    advance(store, KEPT)
    assert over(store) == store.run(moment)


def test_time_that_another_node_saw_pass_is_counted(database: Database, world: SetWorld) -> None:
    with database.open(world) as one:
        ended = one.run(moment)
        world.pass_time(KEPT)
        one.run(moment)
        one.run(moment)
        with database.open(world) as other:
            other.run(moment)
            assert over(other) >= ended + KEPT - timedelta(microseconds=clock.MARK_US)


def test_many_small_leaps_make_nothing_expire_early(store: Store, world: SetWorld) -> None:
    ended = store.run(moment)
    for _ in range(50):
        world.set_clock(timedelta(milliseconds=300))
        store.run(moment)
        assert over(store) == ended
    assert len(store.read(lambda tx: tx.execute(sa.select(leaps.LEAP)).all())) == 1


# -- freezing -------------------------------------------------------------------------------------


def test_a_frozen_clock_stands_whatever_its_hosts_does(database: Database, world: SetWorld) -> None:
    with database.open(world) as store:
        store.run(clock.freeze)
        stood = store.run(moment)
        for hours in (1, -3):
            world.pass_time(timedelta(hours=1))
            world.set_clock(timedelta(hours=hours))
            assert store.run(moment) == store.read(moment) == stood
    with database.open(world) as again:
        assert again.run(moment) == again.read(moment) == stood
        assert again.read(clock.stands)


def test_a_frozen_clock_is_advanced_to_the_microsecond(store: Store, world: SetWorld) -> None:
    store.run(clock.freeze)
    stood = store.run(moment)
    world.pass_time(timedelta(hours=1))
    advance(store, timedelta(days=1, microseconds=1))
    assert store.run(moment) == store.read(moment) == stood + timedelta(days=1, microseconds=1)


def test_time_that_stood_is_no_leap_and_expires_nothing(store: Store, world: SetWorld) -> None:
    store.run(clock.freeze)
    ended = store.run(moment)
    world.pass_time(3 * KEPT)
    assert over(store) == ended
    advance(store, KEPT)
    assert over(store) == ended + KEPT


def test_a_clock_that_goes_on_does_so_from_where_it_stood(tmp_path: Path, world: SetWorld) -> None:
    """On SQLite alone: no test replaces the clock of PostgreSQL's host for that."""
    with DATABASES["sqlite"](tmp_path).open(world) as store:
        store.run(moment)
        world.pass_time(timedelta(minutes=1))
        store.run(clock.freeze)
        stood = store.run(moment)
        for _ in range(2):
            world.pass_time(timedelta(hours=1))
            store.run(clock.resume)
            assert store.run(moment) == store.read(moment) == stood
            world.pass_time(timedelta(seconds=3))
            assert store.read(moment) == store.run(moment) == stood + timedelta(seconds=3)
            store.run(clock.resume)
            store.run(clock.freeze)
            store.run(clock.freeze)
            stood = store.run(moment)
        assert over(store) == stood
