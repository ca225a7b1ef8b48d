"""Capacity reservations: capacity of a type in a zone, debited while the reservation is active.

Instances take places in them, see `reserved_capacity`.
"""

from __future__ import annotations

from sametoken.ec2.compute.launch_capacity import insufficient_capacity
from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, arn, named, shown_members
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, describing
from sametoken.ec2.kit.zones import check_zone, zone_asked
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.catalogues import geography, instance_types
from sametoken.resources.compute import capacity_reservations
from sametoken.resources.compute.capacity_reservations import RESERVATION
from sametoken.resources.kit import counters, endings
from sametoken.resources.kit.moments import find_moment, kept_moment
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

# Filters of DescribeCapacityReservations whose names are not their paths.
PATHS = {
    "outpost-arn": "",
    "placement-group-arn": "",
    "availability-zone-id": "AvailabilityZoneId",
    "commitment-info.commitment-duration": "",
}


def zone_of(tx: Tx, request: Request) -> str:
    """The zone in which the request asks for capacity."""
    return zone_asked(request.region, request.params)


def _validate(request: Request) -> None:
    params = request.params
    if "AvailabilityZone" not in params and "AvailabilityZoneId" not in params:
        raise refusals.missing_parameter("AvailabilityZone")
    check_zone(request.region, params)
    if params["InstanceType"] not in instance_types.INSTANCE_TYPES:
        raise refusals.invalid_value("InstanceType", params["InstanceType"])
    if params["InstanceCount"] < 1:
        raise refusals.invalid_value("InstanceCount", params["InstanceCount"], "At least 1.")
    if (params.get("EndDateType") == "limited") != ("EndDate" in params):
        raise refusals.invalid_combination("EndDate goes with EndDateType=limited")


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    zone, kind, count = zone_of(tx, request), params["InstanceType"], params["InstanceCount"]
    name = counters.capacity_name(zone, kind)
    if zone in request.full_zones or counters.free(tx, request.place, [name])[name] < count:
        raise insufficient_capacity(kind, zone, [])
    counters.debit(tx, request.place, {name: count})
    document: Document = {
        "AvailabilityZone": zone,
        "AvailabilityZoneId": geography.zone_id_of(zone),
        "InstanceType": kind,
        "InstancePlatform": params["InstancePlatform"],
        "TotalInstanceCount": count,
        "AvailableInstanceCount": count,
        "Tenancy": params.get("Tenancy", "default"),
        "EbsOptimized": params.get("EbsOptimized", False),
        "EphemeralStorage": params.get("EphemeralStorage", False),
        "EndDateType": params.get("EndDateType", "unlimited"),
        "InstanceMatchCriteria": params.get("InstanceMatchCriteria", "open"),
        "ReservationType": "default",
    }
    if "EndDate" in params:
        document["private"] = kept_moment("ends", params["EndDate"])
    return document


def show(row: Row) -> Document:
    """EC2's CapacityReservation."""
    ends_at = find_moment(row.private, "ends")
    return {
        **shown_members(row),
        **({} if ends_at is None else {"EndDate": ends_at}),
        "CapacityReservationId": row.id,
        "CapacityReservationArn": arn(row),
        "OwnerId": row.account,
        "State": row.state,
        "CreateDate": row.created_at,
        "StartDate": row.created_at,
    }


def _tell(tx: Tx, row: Row) -> None:
    capacity_reservations.changed(tx, row.place)


RESERVATIONS = Noun(
    RESERVATION,
    paths=PATHS,
    accepts=dict.fromkeys(
        (
            "AvailabilityZone", "AvailabilityZoneId", "EbsOptimized", "EndDate", "EndDateType",
            "EphemeralStorage", "InstanceCount", "InstanceMatchCriteria", "InstancePlatform",
            "InstanceType", "Tenancy",
        )
    ),
    build=_build,
    show=show,
    initial="active",
    created=_tell,
)  # fmt: skip


def cancel(tx: Tx, request: Request) -> Document:
    """Give the capacity back, but for that of instances in it, which run on and hold their own."""
    row = named(tx, request, RESERVATION, "CapacityReservationId", lock=True)
    endings.end(tx, RESERVATION, row, cause="CancelCapacityReservation")
    capacity_reservations.changed(tx, row.place)
    name = counters.capacity_name(row.zone, row.doc["InstanceType"])
    if row.doc["AvailableInstanceCount"]:
        counters.credit(tx, name, row.doc["AvailableInstanceCount"])
    return {"Return": True}


ACTIONS: tuple[Action, ...] = (
    creating(RESERVATIONS, "CreateCapacityReservation", zone=zone_of, validate=_validate),
    describing(RESERVATIONS),
    Change(
        "CancelCapacityReservation",
        cancel,
        repeats=conflicts("InvalidCapacityReservationId.NotFound", "MEM"),
    ),
)
