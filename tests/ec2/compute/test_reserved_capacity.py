"""Launches into capacity reservations: places are taken, counted, and given back once."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import by_filter, code, described, launch, refusal, running, wait
from plane import LAUNCH, Plane
from sametoken.resources.kit import counters

ZONE = "us-east-1a"
PREFERENCE, TARGET = "CapacityReservationPreference", "CapacityReservationTarget"
ONLY = {PREFERENCE: "capacity-reservations-only"}


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def reserve(ec2: Any, count: int, **more: Any) -> str:
    asked = {
        "AvailabilityZone": ZONE, "InstanceType": "t3.micro", "InstancePlatform": "Linux/UNIX",
        "InstanceCount": count, **more,
    }  # fmt: skip
    made = ec2.create_capacity_reservation(**asked)["CapacityReservation"]
    return str(made["CapacityReservationId"])


def targeting(id: str) -> dict[str, Any]:
    return {"CapacityReservationSpecification": {TARGET: {"CapacityReservationId": id}}}


def preferring(preference: str) -> dict[str, Any]:
    return {"CapacityReservationSpecification": {PREFERENCE: preference}}


def places(ec2: Any, id: str) -> tuple[int, int]:
    """Return how many places a reservation has, and how many of them are left."""
    [one] = ec2.describe_capacity_reservations(CapacityReservationIds=[id])["CapacityReservations"]
    return one["TotalInstanceCount"], one["AvailableInstanceCount"]


def used(plane: Plane, zone: str = ZONE) -> int:
    name = counters.capacity_name(zone, "t3.micro")
    held = {name: counters.CAPACITY_DEFAULT}
    free = plane.run(lambda tx: counters.free(tx, ("", ""), [name]))
    return held[name] - free[name]


def end(ec2: Any, *ids: str) -> None:
    ec2.terminate_instances(InstanceIds=list(ids))
    wait(ec2, "instance_terminated", *ids)


def test_a_launch_takes_a_place_of_its_target_until_it_ends(plane: Plane, ec2: Any) -> None:
    before = used(plane)
    id = reserve(ec2, 2, InstanceMatchCriteria="targeted")
    instance = running(ec2, **targeting(id))
    shown = described(ec2, instance)
    assert shown["CapacityReservationId"] == id
    assert shown["CapacityReservationSpecification"] == {TARGET: {"CapacityReservationId": id}}
    assert shown["Placement"]["AvailabilityZone"] == ZONE
    [found] = ec2.describe_instances(Filters=by_filter("capacity-reservation-id", id))[
        "Reservations"
    ]
    assert found["Instances"][0]["InstanceId"] == instance
    assert places(ec2, id) == (2, 1)
    assert used(plane) == before + 2, "the capacity of a place is held once"
    end(ec2, instance)
    assert places(ec2, id) == (2, 2)
    assert used(plane) == before + 2


def test_a_replay_takes_no_second_place(ec2: Any) -> None:
    id = reserve(ec2, 2, InstanceMatchCriteria="targeted")
    first, again = (launch(ec2, ClientToken="once", **targeting(id)) for _ in range(2))
    assert first["InstanceId"] == again["InstanceId"]
    assert places(ec2, id) == (2, 1)
    other = {**LAUNCH, "ClientToken": "once", **preferring("none")}
    assert code(ec2.run_instances, **other) == "IdempotentParameterMismatch"


def test_more_than_the_target_has_is_refused_and_binds_no_token(ec2: Any) -> None:
    id = reserve(ec2, 1, InstanceMatchCriteria="targeted")
    asked = {**LAUNCH, "MinCount": 2, "MaxCount": 2, "ClientToken": "many", **targeting(id)}
    assert code(ec2.run_instances, **asked) == "ReservationCapacityExceeded"
    assert places(ec2, id) == (1, 1)
    ec2.run_instances(**{**asked, "MinCount": 1, "MaxCount": 1})
    assert places(ec2, id) == (1, 0)


def test_as_many_are_launched_as_the_target_has_places(ec2: Any) -> None:
    id = reserve(ec2, 2, InstanceMatchCriteria="targeted")
    asked = {**LAUNCH, "MinCount": 1, "MaxCount": 5, **targeting(id)}
    assert len(ec2.run_instances(**asked)["Instances"]) == 2


def test_an_open_reservation_takes_what_fits_and_lets_pass_what_wants_none(ec2: Any) -> None:
    id = reserve(ec2, 2)
    here = {"Placement": {"AvailabilityZone": ZONE}}
    assert "CapacityReservationId" not in launch(ec2, **here, **preferring("none"))
    assert "CapacityReservationId" not in launch(ec2, InstanceType="t3.small", **here)
    elsewhere = {"Placement": {"AvailabilityZone": "us-east-1b"}}
    assert "CapacityReservationId" not in launch(ec2, **elsewhere)
    asked = {**LAUNCH, "MinCount": 3, "MaxCount": 3, **here}
    within = [one.get("CapacityReservationId") for one in ec2.run_instances(**asked)["Instances"]]
    assert within == [id, id, None]
    assert places(ec2, id) == (2, 0)
    only = {**LAUNCH, **here, "CapacityReservationSpecification": ONLY}
    assert code(ec2.run_instances, **only) == "ReservationCapacityExceeded"


def test_a_full_zone_still_has_the_places_that_are_reserved(ec2: Any, plane: Plane) -> None:
    id = reserve(ec2, 1)
    name = counters.capacity_name(ZONE, "t3.micro")
    full = used(plane)
    plane.run(lambda tx: counters.set_maximum(tx, name, full))
    try:
        here = {"Placement": {"AvailabilityZone": ZONE}}
        assert launch(ec2, **here)["CapacityReservationId"] == id
        refused = refusal(ec2.run_instances, **{**LAUNCH, **here})
        assert (refused.code, refused.status) == ("InsufficientInstanceCapacity", 500)
    finally:
        plane.run(lambda tx: counters.unset_maximum(tx, name))


def test_an_instance_of_a_cancelled_reservation_keeps_its_capacity_until_it_ends(
    plane: Plane, ec2: Any
) -> None:
    before = used(plane)
    id = reserve(ec2, 3)
    instance = running(ec2, **targeting(id))
    ec2.cancel_capacity_reservation(CapacityReservationId=id)
    assert used(plane) == before + 1
    end(ec2, instance)
    assert used(plane) == before


def test_only_free_places_are_moved_away(ec2: Any) -> None:
    source, destination = reserve(ec2, 2), reserve(ec2, 1, InstanceMatchCriteria="targeted")
    launch(ec2, **targeting(source))
    moving = {
        "SourceCapacityReservationId": source, "DestinationCapacityReservationId": destination,
    }  # fmt: skip
    move = ec2.move_capacity_reservation_instances
    assert code(move, **moving, InstanceCount=2) == "InvalidParameterValue"
    move(**moving, InstanceCount=1)
    assert (places(ec2, source), places(ec2, destination)) == ((1, 0), (2, 2))


def test_a_stopped_instance_gives_its_place_back_and_starts_where_it_may(ec2: Any) -> None:
    first, second = (reserve(ec2, 1, InstanceMatchCriteria="targeted") for _ in range(2))
    instance = running(ec2, **targeting(first))
    modify = ec2.modify_instance_capacity_reservation_attributes
    assert code(modify, InstanceId=instance, **targeting(second)) == "IncorrectInstanceState"
    ec2.stop_instances(InstanceIds=[instance])
    wait(ec2, "instance_stopped", instance)
    assert places(ec2, first) == (1, 1)
    assert "CapacityReservationId" not in described(ec2, instance)
    modify(InstanceId=instance, **targeting(second))
    ec2.start_instances(InstanceIds=[instance])
    wait(ec2, "instance_running", instance)
    assert described(ec2, instance)["CapacityReservationId"] == second
    assert (places(ec2, first), places(ec2, second)) == ((1, 1), (1, 0))
    ec2.stop_instances(InstanceIds=[instance])
    wait(ec2, "instance_stopped", instance)
    launch(ec2, **targeting(second))
    assert code(ec2.start_instances, InstanceIds=[instance]) == "ReservationCapacityExceeded"


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ({TARGET: {"CapacityReservationId": "cr-0123456789abcdef0"}},
         "InvalidCapacityReservationId.NotFound"),
        ({TARGET: {"CapacityReservationId": "cr-x"}}, "InvalidCapacityReservationId.Malformed"),
        ({TARGET: {"CapacityReservationResourceGroupArn": "arn:aws:x"}}, "UnsupportedOperation"),
        ({PREFERENCE: "open", TARGET: {"CapacityReservationId": "cr-0123456789abcdef0"}},
         "InvalidParameterCombination"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused(
    ec2: Any, specification: dict[str, Any], expected: str
) -> None:
    asked = {**LAUNCH, "CapacityReservationSpecification": specification}
    assert code(ec2.run_instances, **asked) == expected


@pytest.mark.parametrize(
    "more", [{"InstanceType": "t3.small"}, {"Placement": {"Tenancy": "dedicated"}}]
)
def test_a_target_of_other_instances_is_refused(ec2: Any, more: dict[str, Any]) -> None:
    asked = {**LAUNCH, **targeting(reserve(ec2, 1)), **more}
    assert code(ec2.run_instances, **asked) == "InvalidParameterValue"


def test_a_dry_run_takes_no_place(ec2: Any) -> None:
    id = reserve(ec2, 2)
    for more in ({}, targeting(id)):
        told = refusal(ec2.run_instances, **LAUNCH, **more, DryRun=True)
        assert told.code == "DryRunOperation"
    assert places(ec2, id) == (2, 2)
