"""Capacity that a launch takes from reservations: from the one it targets, or from open ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sametoken.ec2.kit.nouns import living
from sametoken.ec2.kit.parameters import Accepted
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.compute import capacity_reservations
from sametoken.resources.compute.capacity_reservations import RESERVATION, Fit
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

PREFERENCE, TARGET = "CapacityReservationPreference", "CapacityReservationTarget"
ACCEPTED: Accepted = {PREFERENCE: None, TARGET: {"CapacityReservationId": None}}
# EC2's preference for reservations and nothing else.
_ONLY = "capacity-reservations-only"


def check(specification: Mapping[str, Any]) -> None:
    """Refuse what shows without a look-up: "you can specify only one option" (API reference)."""
    if {PREFERENCE, TARGET} <= specification.keys():
        raise refusals.invalid_combination(f"Give {PREFERENCE} or {TARGET}, not both.")
    if TARGET in specification:
        RESERVATION.check_id(specification[TARGET]["CapacityReservationId"])


def shown(specification: Mapping[str, Any]) -> Document:
    """The specification in an instance's form, with EC2's default."""
    return dict(specification) or {PREFERENCE: "open"}


@dataclass(frozen=True, slots=True)
class Usable:
    """The reservations that a launch may use, locked. `only` in them may its instances run."""

    rows: tuple[Row, ...] = ()
    only: bool = False

    def room(self, zone: str) -> int:
        """The places in a zone."""
        return sum(row.doc["AvailableInstanceCount"] for row in self.rows if row.zone == zone)

    def assigned(self, zone: str, count: int) -> list[str]:
        """The reservations of up to `count` instances, one for each; the others have none."""
        places = [
            row.id
            for row in self.rows
            if row.zone == zone
            for _ in range(row.doc["AvailableInstanceCount"])
        ]
        return places[:count]


def usable(tx: Tx, request: Request, specification: Mapping[str, Any], fit: Fit) -> Usable:
    """Find the reservations that the specification allows. Raises EC2's refusals of a target."""
    if TARGET in specification:
        id = specification[TARGET]["CapacityReservationId"]
        row = living(tx, request, RESERVATION, id, lock=True)
        if not fit.suits(row):
            raise ServiceError(
                "InvalidParameterValue",
                f"Value ({id}) for parameter capacityReservationId is invalid. It is for "
                f"{row.doc['InstanceType']}, {row.doc['InstancePlatform']}, "
                f"{row.doc['Tenancy']}, not for {fit.instance_type}, {fit.platform}, "
                f"{fit.tenancy}.",
            )
        return Usable((row,), only=True)
    preference = specification.get(PREFERENCE, "open")
    if preference == "none":
        return Usable()
    found = capacity_reservations.open_ones(tx, request.place, fit)
    return Usable(tuple(found), only=preference == _ONLY)


def exceeded() -> ServiceError:
    """The refusal of a launch whose reservations have too few places; it binds no token."""
    return ServiceError(
        "ReservationCapacityExceeded",
        "The targeted Capacity Reservation does not have enough available instance capacity to "
        "fulfill your request.",
    )


def take(tx: Tx, assigned: list[str]) -> None:
    """Take the places that `Usable.assigned` chose."""
    if assigned:
        capacity_reservations.take(tx, Counter(assigned))
