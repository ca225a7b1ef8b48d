"""Capacity split off and moved between reservations: repeats do not change its sum."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from ec2.asking import code
from plane import Plane
from sametoken.resources.kit import counters
from sdk import REGION

ZONE = "us-east-1a"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    keys = plane.account(request.node.name[-60:])
    return plane.client(keys=keys, max_pool_connections=32)


def reserve(ec2: Any, count: int, **more: Any) -> str:
    asked = {
        "AvailabilityZone": ZONE, "InstanceType": "t3.micro", "InstancePlatform": "Linux/UNIX",
        "InstanceCount": count, **more,
    }  # fmt: skip
    made = ec2.create_capacity_reservation(**asked)["CapacityReservation"]
    return str(made["CapacityReservationId"])


def totals(ec2: Any) -> dict[str, int]:
    """Return the capacity of each active reservation, and assert that all of it is free."""
    shown = ec2.describe_capacity_reservations()["CapacityReservations"]
    assert all(one["TotalInstanceCount"] == one["AvailableInstanceCount"] for one in shown)
    return {one["CapacityReservationId"]: one["TotalInstanceCount"] for one in shown}


def split(ec2: Any, source: str, count: int, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ec2.create_capacity_reservation_by_splitting(
        SourceCapacityReservationId=source, InstanceCount=count, **more
    )
    return answer


def moving(source: str, destination: str, count: int) -> dict[str, Any]:
    return {
        "SourceCapacityReservationId": source,
        "DestinationCapacityReservationId": destination,
        "InstanceCount": count,
    }


def test_what_is_split_off_is_as_its_source_but_for_the_tags(ec2: Any) -> None:
    tags = [{"ResourceType": "capacity-reservation", "Tags": [{"Key": "a", "Value": "b"}]}]
    ends = datetime(2099, 1, 1, tzinfo=UTC)
    source = reserve(
        ec2, 5, TagSpecifications=tags, InstanceMatchCriteria="targeted",
        EndDateType="limited", EndDate=ends,
    )  # fmt: skip
    answer = split(ec2, source, 2)
    made, left = answer["DestinationCapacityReservation"], answer["SourceCapacityReservation"]
    assert (answer["InstanceCount"], made["TotalInstanceCount"], left["TotalInstanceCount"]) == (
        2, 2, 3,
    )  # fmt: skip
    assert totals(ec2) == {source: 3, made["CapacityReservationId"]: 2}
    alike = ("AvailabilityZone", "InstanceType", "InstanceMatchCriteria", "EndDateType", "Tenancy")
    assert [made[name] for name in alike] == [left[name] for name in alike]
    assert (made["Tags"], left["Tags"][0]["Key"]) == ([], "a")
    assert made["EndDate"] == left["EndDate"] == ends


def test_thirty_two_equal_splits_take_once(ec2: Any) -> None:
    source = reserve(ec2, 40)
    with ThreadPoolExecutor(32) as pool:
        ids = {
            one["DestinationCapacityReservation"]["CapacityReservationId"]
            for one in pool.map(lambda _: split(ec2, source, 3, ClientToken="one"), range(32))
        }
    assert len(ids) == 1
    assert sorted(totals(ec2).values()) == [3, 37]


def test_thirty_two_equal_moves_move_once_and_show_what_is_now(ec2: Any) -> None:
    source, destination = reserve(ec2, 40), reserve(ec2, 1)
    asked = {**moving(source, destination, 4), "ClientToken": "one"}
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: ec2.move_capacity_reservation_instances(**asked), range(32)))
    assert totals(ec2) == {source: 36, destination: 5}
    ec2.cancel_capacity_reservation(CapacityReservationId=destination)
    again = ec2.move_capacity_reservation_instances(**asked)
    shown = again["DestinationCapacityReservation"]
    assert (shown["State"], again["InstanceCount"]) == ("cancelled", 4)
    assert totals(ec2)[source] == 36


def test_the_last_of_it_moved_ends_the_source_and_gives_nothing_back(
    plane: Plane, ec2: Any
) -> None:
    name = counters.capacity_name(ZONE, "t3.micro")

    def free() -> int:
        return plane.run(lambda tx: counters.free(tx, (plane.keys.account, REGION), [name])[name])

    before = free()
    source, destination = reserve(ec2, 3), reserve(ec2, 2)
    answer = ec2.move_capacity_reservation_instances(**moving(source, destination, 3))
    assert answer["SourceCapacityReservation"]["State"] == "cancelled"
    assert (totals(ec2), free()) == ({destination: 5}, before - 5)
    split(ec2, destination, 5)
    assert sorted(totals(ec2).values()) == [5] and free() == before - 5
    for id in totals(ec2):
        ec2.cancel_capacity_reservation(CapacityReservationId=id)
    assert free() == before


def test_a_split_is_answered_after_its_source_is_gone(ec2: Any) -> None:
    source = reserve(ec2, 2)
    first = split(ec2, source, 1, ClientToken="t")
    ec2.cancel_capacity_reservation(CapacityReservationId=source)
    again = split(ec2, source, 1, ClientToken="t")
    assert again["SourceCapacityReservation"]["State"] == "cancelled"
    assert again["DestinationCapacityReservation"] == first["DestinationCapacityReservation"]


@pytest.mark.parametrize(
    "other",
    [
        {"InstanceType": "t3.small"},
        {"AvailabilityZone": "us-east-1b"},
        {"InstancePlatform": "Windows"},
        {"EndDateType": "limited", "EndDate": datetime(2099, 1, 1, tzinfo=UTC)},
    ],
    ids=str,
)
def test_capacity_moves_between_like_reservations_only(ec2: Any, other: dict[str, Any]) -> None:
    source, destination = reserve(ec2, 2), reserve(ec2, 1, **other)
    refused = code(ec2.move_capacity_reservation_instances, **moving(source, destination, 1))
    assert refused == "InvalidParameterCombination"
    assert totals(ec2) == {source: 2, destination: 1}


def test_no_more_is_taken_than_there_is(ec2: Any) -> None:
    source, destination = reserve(ec2, 2), reserve(ec2, 1)
    move, by_splitting = (
        ec2.move_capacity_reservation_instances,
        ec2.create_capacity_reservation_by_splitting,
    )
    for count in (0, -1, 3):
        assert code(move, **moving(source, destination, count)) == "InvalidParameterValue"
        asked = {"SourceCapacityReservationId": source, "InstanceCount": count}
        assert code(by_splitting, **asked) == "InvalidParameterValue"
    assert code(move, **moving(source, source, 1)) == "InvalidParameterCombination"
    absent = f"cr-{'0' * 17}"
    assert code(move, **moving(absent, source, 1)) == "InvalidCapacityReservationId.NotFound"
    assert totals(ec2) == {source: 2, destination: 1}
