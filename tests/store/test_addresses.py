"""Addresses of a subnet: each has a single holder, all can be handed out, reserved ones cannot."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import partial

import pytest

from sametoken.errors import ServiceError
from sametoken.resources.network import addresses
from sametoken.store.port import Store, Tx
from store.stores import together

SUBNET, CIDR = "subnet-1", "10.0.0.0/26"
USABLE = [f"10.0.0.{last}" for last in range(4, 63)]


def holding(holder: str, subnet: str = SUBNET) -> Callable[[Tx], str]:
    return lambda tx: addresses.hold(tx, subnet, CIDR, holder)


def holding_exactly(address: str, holder: str) -> Callable[[Tx], str]:
    return lambda tx: addresses.hold_exactly(tx, SUBNET, CIDR, address, holder)


def taken(store: Store, subnet: str = SUBNET) -> int:
    return store.read(lambda tx: addresses.taken(tx, [subnet])[subnet])


def test_a_subnet_hands_out_every_usable_address_once_and_then_refuses(store: Store) -> None:
    assert addresses.size(CIDR) == len(USABLE)
    held = [store.run(holding(f"eni-{number}")) for number in range(len(USABLE))]
    assert sorted(held, key=ipaddress.IPv4Address) == USABLE
    with pytest.raises(ServiceError) as refused:
        store.run(holding("eni-more"))
    assert refused.value.code == "InsufficientFreeAddressesInSubnet"
    assert SUBNET in refused.value.message
    assert taken(store) == len(USABLE)


def test_many_at_once_hold_distinct_addresses_until_the_subnet_is_full(store: Store) -> None:
    def take(number: int) -> list[str]:
        return [store.run(holding(f"eni-{number}-{one}")) for one in range(9)]

    held: list[str] = []
    for found in together(6, take):
        assert isinstance(found, list)
        held += found
    assert len(set(held)) == 54
    assert set(held) <= set(USABLE)
    refused = together(8, lambda n: store.run(holding(f"eni-last-{n}")))
    assert sum(isinstance(one, str) for one in refused) == 5
    assert sum(isinstance(one, ServiceError) for one in refused) == 3


def test_what_is_freed_can_be_held_again(store: Store) -> None:
    for address in USABLE:
        store.run(holding_exactly(address, f"eni-{address}"))
    store.run(lambda tx: addresses.free(tx, "eni-10.0.0.33"))
    assert store.run(holding("eni-new")) == "10.0.0.33"


def test_freeing_twice_or_what_holds_nothing_does_nothing(store: Store) -> None:
    store.run(holding("eni-1"))
    for holder in ("eni-1", "eni-1", "eni-unknown"):
        store.run(partial(addresses.free, holder=holder))
    assert taken(store) == 0


def test_subnets_do_not_share_addresses(store: Store) -> None:
    store.run(holding_exactly("10.0.0.4", "eni-1"))
    elsewhere = store.run(
        lambda tx: addresses.hold_exactly(tx, "subnet-2", CIDR, "10.0.0.4", "eni-2")
    )
    assert elsewhere == "10.0.0.4"
    assert (taken(store), taken(store, "subnet-2"), taken(store, "subnet-3")) == (1, 1, 0)


def test_a_held_address_is_in_use(store: Store) -> None:
    assert store.run(holding_exactly("10.0.0.4", "eni-1")) == "10.0.0.4"
    with pytest.raises(ServiceError) as refused:
        store.run(holding_exactly("10.0.0.4", "eni-2"))
    assert refused.value.code == "InvalidIPAddress.InUse"


@pytest.mark.parametrize(
    "address",
    ["10.0.0.0", "10.0.0.3", "10.0.0.63", "10.0.0.64", "10.0.1.4", "x", "", "::1", "10.0.0.256"],
)
def test_what_is_reserved_elsewhere_or_no_address_is_refused(store: Store, address: str) -> None:
    with pytest.raises(ServiceError) as refused:
        store.run(holding_exactly(address, "eni-1"))
    assert refused.value.code == "InvalidParameterValue"
    assert taken(store) == 0


def test_the_smallest_subnet_has_eleven(store: Store) -> None:
    assert addresses.size("10.0.0.0/28") == 11
