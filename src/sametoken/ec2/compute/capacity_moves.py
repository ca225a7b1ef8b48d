"""Capacity moved between reservations, or split off into a new one; the total stays the same.

"If you move all capacity from your source reservation, the Capacity Reservation will be
automatically canceled" (EC2 user guide, "Move capacity between Capacity Reservations").
"""

from __future__ import annotations

from dataclasses import replace

from sametoken.ec2.compute.capacity_reservations import RESERVATIONS, show
from sametoken.ec2.kit.actions import Action, Tokened
from sametoken.ec2.kit.nouns import Parents, living, make
from sametoken.ec2.kit.packing import packed, unpacked
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.idempotency import Identities, Made
from sametoken.resources.compute import capacity_reservations
from sametoken.resources.compute.capacity_reservations import RESERVATION
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.moments import find_moment
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

_SOURCE, _DESTINATION = "SourceCapacityReservationId", "DestinationCapacityReservationId"
# Members that must be equal in two reservations between which capacity moves (the same page).
# EndDate must be equal too; it is kept in another form, and compared apart.
_ALIKE = ("InstanceType", "InstancePlatform", "AvailabilityZone", "Tenancy", "EndDateType")


def _validate(request: Request) -> None:
    params = request.params
    for name in (_SOURCE, _DESTINATION):
        if name in params:
            RESERVATION.check_id(params[name])
    if params["InstanceCount"] < 1:
        raise refusals.invalid_value("InstanceCount", params["InstanceCount"], "At least 1.")
    if params.get(_DESTINATION) == params[_SOURCE]:
        raise refusals.invalid_combination("Source and destination are the same reservation")


def _lock(tx: Tx, request: Request, name: str) -> Row:
    return living(tx, request, RESERVATION, request.params[name], lock=True)


def take(tx: Tx, request: Request, source: Row) -> int:
    """Take the capacity asked for out of a reservation, which is cancelled when none is left."""
    count: int = request.params["InstanceCount"]
    available = source.doc["AvailableInstanceCount"]
    if count > available:
        raise refusals.invalid_value(
            "InstanceCount", count, f"{source.id} has {available} without an instance."
        )
    left = source.doc["TotalInstanceCount"] - count
    counts = {"TotalInstanceCount": left, "AvailableInstanceCount": available - count}
    if left:
        rows.change(tx, RESERVATION, source, **counts)
    else:
        endings.end(tx, RESERVATION, source, cause=request.action, **counts)
        capacity_reservations.changed(tx, source.place)
    return count


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    """Copy the source's document but its tags, with the capacity that was split off."""
    source = _lock(tx, request, _SOURCE)
    count = take(tx, request, source)
    kept = {name: value for name, value in source.doc.items() if name != "Tags"}
    return {**kept, "TotalInstanceCount": count, "AvailableInstanceCount": count}


_SPLITS = replace(RESERVATIONS, accepts=dict.fromkeys((_SOURCE, "InstanceCount")), build=_build)
_SPLIT = creating(_SPLITS, "CreateCapacityReservationBySplitting", validate=_validate)


def _perform_split(tx: Tx, request: Request) -> Made:
    row = make(tx, request, _SPLITS)
    source, kept = _source(tx, request)
    count: int = request.params["InstanceCount"]
    return Made({"id": row.id, "count": count, **source}, resources=[row.id, *kept])


def _source(tx: Tx, request: Request) -> tuple[Identities, list[str]]:
    """Return the source's part of the identities, and the resources to retain for it.

    Every answer shows the source. If it has just ended, store a snapshot of it instead: the ledger
    was already told of its end, so an entry that retained it would never expire.
    """
    id: str = request.params[_SOURCE]
    row = rows.by_ids(tx, [id])[id]
    if row.gone_at is None:
        return {"source": id}, [id]
    return {"source": id, "ended": packed(show(row))}, []


def _view_split(tx: Tx, request: Request, identities: Identities) -> Document:
    made = _SPLIT.view(tx, request, identities)
    return {
        "SourceCapacityReservation": _shown_source(tx, identities),
        "DestinationCapacityReservation": made["CapacityReservation"],
        "InstanceCount": identities["count"],
    }


def _shown_source(tx: Tx, identities: Identities) -> Document:
    if "ended" not in identities:
        return _shown(tx, identities["source"])
    ended: Document = unpacked(identities["ended"])
    return ended


def _shown(tx: Tx, id: str) -> Document:
    row = rows.find(tx, id)
    assert row is not None, f"{id} was swept although an entry names it"
    return show(row)


def _perform_move(tx: Tx, request: Request) -> Made:
    # Lock in the order of their ids, so that two moves in opposite directions do not block each
    # other.
    names = sorted((_SOURCE, _DESTINATION), key=lambda name: str(request.params[name]))
    found = {name: _lock(tx, request, name) for name in names}
    source, destination = found[_SOURCE], found[_DESTINATION]
    for member in _ALIKE:
        if source.doc[member] != destination.doc[member]:
            raise refusals.invalid_combination(f"The two reservations differ in {member}")
    if find_moment(source.private, "ends") != find_moment(destination.private, "ends"):
        raise refusals.invalid_combination("The two reservations differ in EndDate")
    count = take(tx, request, source)
    counts = {
        name: destination.doc[name] + count
        for name in ("TotalInstanceCount", "AvailableInstanceCount")
    }
    rows.change(tx, RESERVATION, destination, **counts)
    named, kept = _source(tx, request)
    identities = {"destination": destination.id, "count": count, **named}
    return Made(identities, resources=[*kept, destination.id])


def _view_move(tx: Tx, request: Request, identities: Identities) -> Document:
    return {
        "SourceCapacityReservation": _shown_source(tx, identities),
        "DestinationCapacityReservation": _shown(tx, identities["destination"]),
        "InstanceCount": identities["count"],
    }


ACTIONS: tuple[Action, ...] = (
    replace(_SPLIT, perform=_perform_split, view=_view_split),
    Tokened(
        "MoveCapacityReservationInstances",
        _perform_move,
        _view_move,
        validate=_validate,
        repeats=conflicts("InvalidCapacityReservationId.NotFound", "DER"),
    ),
)
