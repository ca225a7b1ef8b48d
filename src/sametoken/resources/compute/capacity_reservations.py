"""Capacity reservations: their kind, and the places in them that instances take and give back.

A reservation holds the capacity of all its places for as long as it is active. An instance in one
holds no capacity of its own: it takes a place, counted by AvailableInstanceCount, and when it
stops or ends it gives it back. If the reservation was cancelled meanwhile, the place has become
capacity that the instance holds, and gives back as any other does.

Locks are taken in one order: instances, then reservations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sametoken.resources.kit import listings, regions, rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.regions import Place
from sametoken.resources.kit.rows import Move, Row
from sametoken.store.port import Tx

RESERVATION = Kind(
    "capacity-reservation",
    "cr",
    "InvalidCapacityReservationId",
    "capacity reservation",
    transitions=states(active="cancelled", cancelled=""),
    ends=frozenset({"cancelled"}),
    # EC2 limits their vCPUs instead.
    quota=Quota(code="InstanceLimitExceeded"),
)


@dataclass(frozen=True, slots=True)
class Fit:
    """The properties in which an instance and its reservation agree, beside the zone."""

    instance_type: str
    platform: str
    tenancy: str

    def suits(self, row: Row) -> bool:
        return self == Fit(row.doc["InstanceType"], row.doc["InstancePlatform"], row.doc["Tenancy"])


def changed(tx: Tx, place: Place) -> None:
    """Let every node read again which reservations there are. Call it when one comes or goes."""
    regions.renew_stamp(tx, *place)


def open_ones(tx: Tx, place: Place, fit: Fit) -> list[Row]:
    """The active reservations that take any instance that fits, locked, oldest first.

    Nodes remember whether the account has any, so that the launches of most cost nothing more.
    """
    known = tx.cached(place, RESERVATION.name, lambda: _open(tx, place))
    ids = [id for id, one in known if one == fit]
    if not ids:
        return []
    found = rows.by_ids(tx, ids, lock=True).values()
    return sorted(
        (row for row in found if row.gone_at is None), key=lambda row: (row.created_at, row.id)
    )


def _open(tx: Tx, place: Place) -> tuple[tuple[str, Fit], ...]:
    standing = listings.every(tx, RESERVATION, *place)
    return tuple(
        (row.id, Fit(row.doc["InstanceType"], row.doc["InstancePlatform"], row.doc["Tenancy"]))
        for row in standing
        if row.doc["InstanceMatchCriteria"] == "open"
    )


def take(tx: Tx, taken: Mapping[str, int]) -> None:
    """Take places of locked reservations, by id; each must have as many."""
    found = rows.by_ids(tx, taken, lock=True)
    rows.change_many(tx, RESERVATION, [_counted(row, -taken[id]) for id, row in found.items()])


def give_back(tx: Tx, returned: Mapping[str, int]) -> Sequence[str]:
    """Give places back, by reservation; return those that were cancelled and have none any more."""
    found = rows.by_ids(tx, returned, lock=True)
    active = {id: row for id, row in found.items() if row.gone_at is None}
    rows.change_many(tx, RESERVATION, [_counted(row, returned[id]) for id, row in active.items()])
    # A reservation that has been swept since was cancelled before.
    return [id for id in returned if id not in active]


def _counted(row: Row, more: int) -> Move:
    available = row.doc["AvailableInstanceCount"] + more
    assert 0 <= available <= row.doc["TotalInstanceCount"], f"{row.id}: {available} places"
    return Move(row, {"AvailableInstanceCount": available})
