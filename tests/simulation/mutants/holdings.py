"""Bugs of resources: capacity and addresses held, counts, releases, and the sweep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.ec2.compute import capacity_moves, reserved_capacity
from sametoken.ec2.kit import fragments
from sametoken.ec2.kit.fragments import Fragment
from sametoken.ec2.kit.request import Request
from sametoken.resources.compute import capacity_reservations, instances
from sametoken.resources.kit import counters, endings, quotas, regions, rows, tombstones
from sametoken.resources.kit.looks import Outline
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import elastic_addresses, interfaces
from sametoken.store.port import Tx


def held_is_credited_twice() -> Iterator[None]:
    let_go = instances.let_go

    def mutated(tx: Tx, held: Iterable[Row]) -> None:
        found = list(held)
        for row in found:
            if row.private["held"] is not None:
                counters.credit(tx, row.private["held"]["vcpus"], 1)
        let_go(tx, found)

    with patch.object(instances, "let_go", mutated):
        yield


def held_is_never_credited() -> Iterator[None]:
    with patch.object(counters, "credit", lambda tx, name, amount: None):
        yield


def capacity_oversold() -> Iterator[None]:
    with (
        patch.object(counters, "free", lambda tx, place, names: dict.fromkeys(names, 1000)),
        patch.object(counters, "maxima", lambda tx, place, names: dict.fromkeys(names, 1000)),
    ):
        yield


def sweep_takes_what_is_named() -> Iterator[None]:
    """Sweep tombstones by their own age, although an entry still answers from them."""

    def mutated(tx: Tx, limit: int, *whose: Any) -> list[str]:
        old = rows.RESOURCE.c.gone_at <= tx.now - timedelta(hours=24)
        ids = [row.id for row in tx.execute(sa.select(rows.RESOURCE.c.id).where(old))]
        tx.execute(sa.delete(rows.RESOURCE).where(rows.RESOURCE.c.id.in_(ids)))
        return ids

    with patch.object(tombstones, "sweep", mutated):
        yield


def address_moves_without_leaving() -> Iterator[None]:
    """P8: associate an Elastic address with two private ones."""
    with patch.object(elastic_addresses, "disassociate", lambda tx, row, *, cause: row):
        yield


def capacity_split_off_is_not_taken() -> Iterator[None]:
    """P2: let reservations hold more than was ever taken of the capacity."""

    def mutated(tx: Tx, request: Request, source: Row) -> int:
        count: int = request.params["InstanceCount"]
        return count

    with patch.object(capacity_moves, "take", mutated):
        yield


def place_is_not_taken() -> Iterator[None]:
    """P2: launch into a reservation without counting it there."""
    with patch.object(reserved_capacity, "take", lambda tx, assigned: None):
        yield


def place_is_not_given_back() -> Iterator[None]:
    """P2: leave the place of an instance that ends as it is."""
    with patch.object(capacity_reservations, "give_back", lambda tx, returned: ()):
        yield


def quotas_not_checked() -> Iterator[None]:
    """P2: let an account have more of a kind than its quota."""
    with patch.object(quotas, "refuse_above", lambda most, what, account, region, count: None):
        yield


def callers_end_what_others_stand_on() -> Iterator[None]:
    """P8: a subnet then ends under its interfaces, a group under the rules that name it."""
    with patch.object(endings, "end", endings.end_regardless):
        yield


def gateway_leaves_its_interface() -> Iterator[None]:
    """P8: keep the interface of a deleted NAT gateway, with its address."""
    with patch.object(interfaces, "delete", lambda tx, row, **how: row):
        yield


def fragment_outlives_what_it_shows() -> Iterator[None]:
    """Show an instance as it was before its volumes or interfaces changed."""
    of = fragments.of

    def mutated(tx: Tx, outlines: Sequence[Outline], *how: Any) -> list[Fragment]:
        alone = [Outline(*one[:-1], below=None) for one in outlines]
        return of(tx, alone, *how)

    with patch.object(fragments, "of", mutated):
        yield


def stamp_stays() -> Iterator[None]:
    """Keep what nodes looked up, although it has changed."""
    with patch.object(regions, "renew_stamp", lambda tx, account, region: None):
        yield
