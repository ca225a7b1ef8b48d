"""Counters of capacity and quotas are never oversold, and amounts taken can be given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.resources.kit import counters
from sametoken.store.port import Store, Tx
from store.stores import together

MICRO = counters.capacity_name("us-east-1a", "t3.micro")
PLACE = ("000000000001", "us-east-1")
VCPUS = counters.vcpus_name(*PLACE)


def limit(store: Store, name: str, maximum: int) -> None:
    store.run(lambda tx: counters.set_maximum(tx, name, maximum))


def taking(name: str, amount: int) -> Callable[[Tx], int]:
    def run(tx: Tx) -> int:
        counters.debit(tx, PLACE, {name: amount})
        return amount

    return run


def left(store: Store, name: str = MICRO) -> int:
    return store.read(lambda tx: counters.free(tx, PLACE, [name])[name])


def test_16_threads_never_take_more_than_there_is(store: Store) -> None:
    limit(store, MICRO, 100)

    def greedy(number: int) -> int:
        taken = 0
        for amount in (1, 3, 2, number % 4 + 1) * 3:
            try:
                taken += store.run(taking(MICRO, amount))
            except Transient:
                continue
        return taken

    taken = together(16, greedy)
    assert sum(one for one in taken if isinstance(one, int)) == 100 - left(store)
    assert left(store) == 0


def test_the_last_of_it_goes_to_one(store: Store) -> None:
    limit(store, MICRO, 1)
    taken = together(16, lambda n: store.run(taking(MICRO, 1)))
    assert [one for one in taken if one == 1] == [1]
    assert sum(isinstance(one, Transient) for one in taken) == 15


def test_what_does_not_fit_takes_nothing(store: Store) -> None:
    limit(store, MICRO, 5)
    store.run(taking(MICRO, 3))
    with pytest.raises(Transient, match="the last of it"):
        store.run(taking(MICRO, 3))
    assert left(store) == 2
    store.run(taking(MICRO, 2))
    assert left(store) == 0


def test_the_first_debit_of_a_counter_is_limited_too(store: Store) -> None:
    limit(store, MICRO, 5)
    with pytest.raises(Transient):
        store.run(taking(MICRO, 6))
    assert left(store) == 5


def test_asking_holds_nothing(store: Store) -> None:
    limit(store, MICRO, 5)
    assert [left(store) for _ in range(3)] == [5, 5, 5]


def test_what_is_given_back_can_be_taken_again(store: Store) -> None:
    limit(store, MICRO, 2)
    store.run(taking(MICRO, 2))
    store.run(lambda tx: counters.credit(tx, MICRO, 1))
    assert left(store) == 1
    store.run(taking(MICRO, 1))


def test_a_debit_that_is_undone_took_nothing(store: Store) -> None:
    limit(store, MICRO, 2)

    def run(tx: Tx) -> None:
        taking(MICRO, 2)(tx)
        raise Transient("lost")

    with pytest.raises(Transient, match="lost"):
        store.run(run)
    assert left(store) == 2


def test_nothing_is_given_back_that_was_not_taken(store: Store) -> None:
    with pytest.raises(AssertionError, match="without a debit"):
        store.run(lambda tx: counters.credit(tx, MICRO, 1))
    store.run(taking(MICRO, 1))
    with pytest.raises(sa.exc.IntegrityError):
        store.run(lambda tx: counters.credit(tx, MICRO, 2))


def test_a_debit_of_several_takes_all_of_them_or_none(store: Store) -> None:
    limit(store, VCPUS, 3)
    both = {MICRO: 1, VCPUS: 2}
    free = left(store)
    store.run(lambda tx: counters.debit(tx, PLACE, both))
    assert (left(store), left(store, VCPUS)) == (free - 1, 1)
    with pytest.raises(Transient, match="vcpus"):
        store.run(lambda tx: counters.debit(tx, PLACE, both))
    assert (left(store), left(store, VCPUS)) == (free - 1, 1)


def test_a_debit_takes_something(store: Store) -> None:
    with pytest.raises(AssertionError):
        store.run(taking(MICRO, 0))


@pytest.mark.parametrize(
    ("name", "families"),
    [
        (MICRO, ["capacity/*/*", "capacity/*/t3.micro", "capacity/us-east-1a/*", MICRO]),
        (VCPUS, ["vcpus/*/*", "vcpus/*/us-east-1", "vcpus/000000000001/*", VCPUS]),
    ],
)
def test_the_most_particular_limit_holds(store: Store, name: str, families: list[str]) -> None:
    default = counters.CAPACITY_DEFAULT if name == MICRO else counters.VCPUS_DEFAULT
    assert left(store, name) == default
    for maximum, family in enumerate(families, start=1):
        limit(store, family, maximum)
        assert left(store, name) == maximum


def test_a_limit_may_be_set_again_and_may_be_nothing(store: Store) -> None:
    limit(store, MICRO, 5)
    limit(store, MICRO, 0)
    assert left(store) == 0
    with pytest.raises(Transient):
        store.run(taking(MICRO, 1))
    assert store.read(counters.maxima_set) == [(MICRO, 0)]


def test_a_limit_below_what_is_taken_leaves_nothing_and_evicts_nobody(store: Store) -> None:
    store.run(taking(MICRO, 10))
    limit(store, MICRO, 5)
    assert left(store) == 0
    store.run(lambda tx: counters.credit(tx, MICRO, 6))
    assert left(store) == 1
