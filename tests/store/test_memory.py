"""Memory of a node equals what is stored: rows of its own transaction, and cached rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest

from memory import check_written, checked_cache
from sametoken.errors import ServiceError
from sametoken.resources.kit import counters, endings, regions, rows
from sametoken.resources.kit.rows import Row
from sametoken.store import cache
from sametoken.store.port import Store, Tx
from store.things import ACCOUNT, FIXTURE, REGION, THING, id_of

PLACE = (ACCOUNT, REGION)
CAPACITY = "capacity/us-east-1a/t3.micro"


def thing(tx: Tx, number: int, *parents: str) -> Row:
    doc = {"Size": 1, "Pair": (1, 2), "private": {"é": None}}
    return Row(id_of(number), THING.name, *PLACE, "new", doc, tx.now, parents=parents)


def fixture(tx: Tx, number: int) -> Row:
    id = f"fix-{number:017x}"
    return Row(id, FIXTURE.name, *PLACE, "available", {"Size": 1}, tx.now)


# -- a transaction's own rows -------------------------------------------------------------------


def test_a_transaction_knows_its_own_rows_as_it_would_read_them_back(store: Store) -> None:
    def run(tx: Tx) -> None:
        parent, child, late = thing(tx, 1), thing(tx, 2, id_of(1)), thing(tx, 3)
        rows.link(tx, parent.id, late.id)
        rows.insert(tx, [parent, child, late])
        found = rows.by_ids(tx, [child.id, parent.id], lock=True)
        assert list(found) == [parent.id, child.id]
        assert found[parent.id].doc["Pair"] == [1, 2]
        assert rows.children(tx, [parent.id], THING)[parent.id] == [
            rows.find(tx, child.id), rows.find(tx, late.id),
        ]  # fmt: skip
        changed = rows.change(tx, THING, found[child.id], state="used", Size=(3,))
        assert rows.find(tx, child.id) == changed
        rows.unlink(tx, parent.id, late.id)
        endings.end_regardless(tx, THING, changed, cause="a test")
        assert rows.children(tx, [parent.id]) == {parent.id: []}
        check_written(tx)

    store.run(run)


def test_rows_of_an_undone_savepoint_are_not_known(store: Store) -> None:
    def run(tx: Tx) -> None:
        rows.insert(tx, [thing(tx, 1)])
        with suppress(ServiceError), tx.savepoint():
            rows.insert(tx, [thing(tx, 2, id_of(1))])
            kept = rows.find(tx, id_of(1))
            assert kept is not None
            rows.change(tx, THING, kept, Size=7)
            raise ServiceError("Refused", "a test")
        assert rows.find(tx, id_of(2)) is None
        assert rows.children(tx, [id_of(1)]) == {id_of(1): []}
        still = rows.find(tx, id_of(1))
        assert still is not None
        assert (still.doc["Size"], still.version) == (1, 0)

    store.run(run)


# -- rows that nodes keep -----------------------------------------------------------------------


@pytest.fixture
def place(store: Store) -> Iterator[Store]:
    store.run(lambda tx: regions.mark_seeded(tx, *PLACE))
    with checked_cache():
        yield store


def looking(number: int) -> Callable[[Tx], Row | None]:
    def run(tx: Tx) -> Row | None:
        regions.lock_region(tx, *PLACE)
        try:
            return rows.get(tx, FIXTURE, *PLACE, [fixture(tx, number).id])[0]
        except ServiceError:
            return None

    return run


def test_a_cached_row_is_read_once_and_again_after_each_change(place: Store) -> None:
    assert place.run(looking(1)) is None
    place.run(lambda tx: rows.insert(tx, [fixture(tx, 1)]))
    first = place.run(looking(1))
    assert first is not None
    assert place.run(looking(1)) is first
    place.run(lambda tx: rows.change(tx, FIXTURE, first, Size=2))
    second = place.run(looking(1))
    assert second is not None
    assert second.doc == {"Size": 2}
    place.run(lambda tx: endings.end(tx, FIXTURE, second, cause="a test"))
    assert place.run(looking(1)) is None


def test_a_change_that_is_undone_leaves_nothing_in_the_cache(place: Store) -> None:
    place.run(lambda tx: rows.insert(tx, [fixture(tx, 1)]))
    first = place.run(looking(1))
    assert first is not None

    def refused(tx: Tx) -> None:
        regions.lock_region(tx, *PLACE)
        with tx.savepoint():
            rows.change(tx, FIXTURE, first, Size=9)
            looking(1)(tx)
            raise ServiceError("Refused", "a test")

    def caught(tx: Tx) -> int:
        with suppress(ServiceError):
            refused(tx)
        found = looking(1)(tx)
        assert found is not None
        return int(found.doc["Size"])

    with pytest.raises(ServiceError):
        place.run(refused)
    assert place.run(caught) == 1
    assert place.run(looking(1)) == first


def test_a_maximum_that_an_operator_sets_counts_at_once(place: Store) -> None:
    def most(tx: Tx) -> int:
        regions.lock_region(tx, *PLACE)
        return counters.maxima(tx, PLACE, [CAPACITY])[CAPACITY]

    assert place.run(most) == counters.CAPACITY_DEFAULT
    place.run(lambda tx: counters.set_maximum(tx, "capacity/*/t3.micro", 3))
    assert place.run(most) == 3


def test_no_more_is_cached_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TOPICS_MAX", 3)
    monkeypatch.setattr(cache, "VALUES_MAX", 2)
    kept = cache.Cache()
    for topic in range(10):
        for key in range(5):
            assert kept.get(topic, "stamp", key, partial(str, key)) == str(key)
        sizes = [len(values) for _, values in kept.topics.values()]
        assert len(sizes) <= 3
        assert max(sizes) <= 2


def test_without_the_stamp_nothing_is_kept(place: Store) -> None:
    place.run(lambda tx: rows.insert(tx, [fixture(tx, 1)]))
    id = "fix-00000000000000001"
    one = place.read(lambda tx: rows.get(tx, FIXTURE, *PLACE, [id])[0])
    assert place.read(lambda tx: rows.get(tx, FIXTURE, *PLACE, [id])[0]) is not one
