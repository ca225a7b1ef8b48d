"""MinCount, MaxCount and free capacity: partial launches, failures that bind, quotas."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import code, found, launch, refusal, running, wait
from plane import LAUNCH, Plane
from sametoken.resources.kit import counters, rows
from sametoken.resources.network import vpcs
from sametoken.services.housekeeping import sweep
from sametoken.store.port import Tx
from sdk import REGION

ZONE = "us-east-1a"
HERE = {"Placement": {"AvailabilityZone": ZONE}}


def limit(plane: Plane, name: str, maximum: int) -> None:
    plane.run(lambda tx: counters.set_maximum(tx, name, maximum))


def room(plane: Plane, instance_type: str, maximum: int, zone: str = ZONE) -> str:
    """Leave room for `maximum` of a type that only the calling test uses; return the counter."""
    name = counters.capacity_name(zone, instance_type)
    limit(plane, name, maximum)
    return name


def left(plane: Plane, name: str) -> int:
    return plane.run(lambda tx: counters.free(tx, (plane.keys.account, REGION), [name]))[name]


def count(answer: dict[str, Any]) -> int:
    return len(answer["Instances"])


def test_as_many_are_launched_as_fit_and_a_replay_never_tops_up(plane: Plane) -> None:
    client = plane.client()
    name = room(plane, "c5.large", 3)
    params = {
        **LAUNCH, **HERE, "InstanceType": "c5.large", "MinCount": 2, "MaxCount": 5,
        "ClientToken": "partial",
    }  # fmt: skip
    first = client.run_instances(**params)
    assert count(first) == 3 and left(plane, name) == 0
    room(plane, "c5.large", 10)
    again = client.run_instances(**params)
    assert [one["InstanceId"] for one in again["Instances"]] == [
        one["InstanceId"] for one in first["Instances"]
    ]
    assert left(plane, name) == 7


def test_below_min_count_nothing_is_launched_and_the_answer_is_a_500(plane: Plane) -> None:
    client = plane.client(keys=plane.account("too few"))
    name = room(plane, "c5.xlarge", 1)
    params = {**LAUNCH, **HERE, "InstanceType": "c5.xlarge", "MinCount": 2, "MaxCount": 2}
    refused = refusal(client.run_instances, **params)
    assert (refused.code, refused.status) == ("InsufficientInstanceCapacity", 500)
    assert refused.message.startswith(
        "We currently do not have sufficient c5.xlarge capacity in the Availability Zone you "
        f"requested ({ZONE})."
    )
    assert client.describe_instances()["Reservations"] == []
    assert client.describe_network_interfaces()["NetworkInterfaces"] == []
    assert left(plane, name) == 1


def test_the_advice_names_zones_with_room_and_no_zone_that_was_not_asked_for(plane: Plane) -> None:
    client = plane.client()
    zones = [f"{REGION}{letter}" for letter in "abcdef"]
    for zone in zones:
        room(plane, "c6g.large", 3 if zone == zones[2] else 0, zone)
    params = {**LAUNCH, "InstanceType": "c6g.large", "ImageId": str(LAUNCH["ImageId"]).replace(
        "x86_64", "arm64")}  # fmt: skip
    here = refusal(client.run_instances, **params, **HERE).message
    assert ZONE in here and here.endswith(f"or choosing {zones[2]}.")
    room(plane, "c6g.large", 0, zones[2])
    message = refusal(client.run_instances, **params).message
    assert not any(zone in message for zone in zones)


def test_a_failed_launch_binds_its_token_until_an_equal_retry_settles_it(plane: Plane) -> None:
    client = plane.client()
    room(plane, "c5.2xlarge", 0)
    params = {**LAUNCH, **HERE, "InstanceType": "c5.2xlarge", "ClientToken": "failed"}
    for _ in range(2):
        assert refusal(client.run_instances, **params).code == "InsufficientInstanceCapacity"
    other = {**params, "InstanceType": "t3.micro"}
    assert code(client.run_instances, **other) == "IdempotentParameterMismatch"
    room(plane, "c5.2xlarge", 1)
    assert code(client.run_instances, **other) == "IdempotentParameterMismatch"
    id = client.run_instances(**params)["Instances"][0]["InstanceId"]
    room(plane, "c5.2xlarge", 0)
    assert client.run_instances(**params)["Instances"][0]["InstanceId"] == id
    assert code(client.run_instances, **other) == "IdempotentParameterMismatch"
    assert found(client, "client-token", "failed") == {id}


def test_a_failed_launch_in_one_zone_leaves_the_token_free_for_another(plane: Plane) -> None:
    client = plane.client()
    room(plane, "c5.4xlarge", 0)
    params = {**LAUNCH, "InstanceType": "c5.4xlarge", "ClientToken": "elsewhere"}
    assert refusal(client.run_instances, **params, **HERE).status == 500
    there = {"Placement": {"AvailabilityZone": "us-east-1b"}}
    id = client.run_instances(**params, **there)["Instances"][0]["InstanceId"]
    assert client.run_instances(**params, **there)["Instances"][0]["InstanceId"] == id
    assert refusal(client.run_instances, **params, **HERE).code == "InsufficientInstanceCapacity"


def test_a_failed_launch_is_retried_by_an_sdk_with_its_token_and_succeeds(plane: Plane) -> None:
    """botocore repeats a 500 with the same token, and the repeat uses room that was made since."""
    client = plane.client(retries={"total_max_attempts": 3, "mode": "standard"})
    room(plane, "c5.9xlarge", 0)

    def make_room(attempts: int, **context: Any) -> None:
        if attempts == 1:
            room(plane, "c5.9xlarge", 1)

    client.meta.events.register_first("needs-retry.ec2.RunInstances", make_room)
    answer = client.run_instances(**LAUNCH | HERE | {"InstanceType": "c5.9xlarge"})
    assert count(answer) == 1 and answer["ResponseMetadata"]["RetryAttempts"] == 1


def test_a_failure_is_forgotten_a_day_after_its_last_attempt(plane: Plane) -> None:
    client = plane.client()
    room(plane, "c5.12xlarge", 0)
    params = {**LAUNCH, **HERE, "InstanceType": "c5.12xlarge", "ClientToken": "failed-once"}
    other = {**params, "InstanceType": "t3.micro"}
    for _ in range(2):
        assert refusal(client.run_instances, **params).status == 500
        plane.advance(timedelta(hours=23))
        plane.run(lambda tx: sweep(tx, plane.node.engine))
        assert code(client.run_instances, **other) == "IdempotentParameterMismatch"
    plane.advance(timedelta(hours=2))
    plane.run(lambda tx: sweep(tx, plane.node.engine))
    assert client.run_instances(**other)["Instances"]


def test_a_launch_that_names_no_zone_goes_where_there_is_room(plane: Plane) -> None:
    client = plane.client()
    limit(plane, "capacity/*/c5.18xlarge", 0)
    room(plane, "c5.18xlarge", 2, "us-east-1d")
    answer = client.run_instances(**{**LAUNCH, "InstanceType": "c5.18xlarge", "MaxCount": 4})
    zones = {one["Placement"]["AvailabilityZone"] for one in answer["Instances"]}
    assert (count(answer), zones) == (2, {"us-east-1d"})


def test_the_quota_refuses_without_binding_anything(plane: Plane) -> None:
    keys = plane.account("quota")
    client = plane.client(keys=keys)
    name = counters.vcpus_name(keys.account, "us-east-1")
    limit(plane, name, 4)
    params = {**LAUNCH, "ClientToken": "quota", "MinCount": 3, "MaxCount": 3}
    refused = refusal(client.run_instances, **params)
    assert (refused.code, refused.status) == ("VcpuLimitExceeded", 400)
    assert client.describe_instances()["Reservations"] == []
    # The refusal left the token free: other parameters launch as many as the quota leaves.
    answer = client.run_instances(**{**params, "MinCount": 1})
    assert count(answer) == 2 and left(plane, name) == 0
    assert count(client.run_instances(**{**params, "MinCount": 1})) == 2


def test_what_a_launch_took_is_given_back_at_its_end_and_while_it_is_stopped(
    plane: Plane,
) -> None:
    keys = plane.account("given back")
    client = plane.client(keys=keys)
    names = [
        room(plane, "c5.24xlarge", 1),
        counters.vcpus_name(keys.account, "us-east-1"),
    ]
    limit(plane, names[1], 96)
    one = {**HERE, "InstanceType": "c5.24xlarge"}
    id = running(client, **one)
    assert [left(plane, name) for name in names] == [0, 0]
    client.stop_instances(InstanceIds=[id])
    wait(client, "instance_stopped", id)
    assert [left(plane, name) for name in names] == [1, 96]
    other = running(client, **one)
    # A start has no token, so its failure binds nothing.
    assert code(client.start_instances, InstanceIds=[id]) == "VcpuLimitExceeded"
    limit(plane, names[1], 1000)
    refused = refusal(client.start_instances, InstanceIds=[id])
    assert (refused.code, refused.status) == ("InsufficientInstanceCapacity", 500)
    client.terminate_instances(InstanceIds=[id, other])
    wait(client, "instance_terminated", id, other)
    assert left(plane, names[0]) == 1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"MinCount": 0, "MaxCount": 1}, "InvalidParameterValue"),
        ({"MinCount": 2, "MaxCount": 1}, "InvalidParameterValue"),
        ({"MinCount": 1, "MaxCount": 0}, "InvalidParameterValue"),
        ({"MinCount": -1, "MaxCount": 1}, "InvalidParameterValue"),
        ({"MinCount": 1, "MaxCount": 100_000}, "InvalidParameterValue"),
        ({"MinCount": 1, "MaxCount": None}, "MissingParameter"),
        ({"MinCount": None, "MaxCount": 1}, "MissingParameter"),
    ],
    ids=str,
)
def test_counts_that_make_no_sense_are_refused(
    plane: Plane, counts: dict[str, Any], expected: str
) -> None:
    client = plane.client(parameter_validation=False)
    params = {name: value for name, value in {**LAUNCH, **counts}.items() if value is not None}
    assert code(client.run_instances, **params) == expected


def test_a_subnet_without_a_free_address_refuses_and_binds_nothing(plane: Plane) -> None:
    client = plane.client(keys=plane.account("small subnet"))
    subnet = launch(client, **HERE)["SubnetId"]

    def shrink(tx: Tx) -> None:
        row = rows.by_ids(tx, [subnet], lock=True)[subnet]
        network = row.doc["CidrBlock"].partition("/")[0]
        rows.change(tx, vpcs.SUBNET, row, CidrBlock=f"{network}/28")

    plane.run(shrink)
    params = {**LAUNCH, **HERE, "ClientToken": "no address", "MinCount": 12, "MaxCount": 12}
    refused = refusal(client.run_instances, **params)
    assert (refused.code, refused.status) == ("InsufficientFreeAddressesInSubnet", 400)
    assert count(client.run_instances(**{**params, "MinCount": 11, "MaxCount": 11})) == 11
