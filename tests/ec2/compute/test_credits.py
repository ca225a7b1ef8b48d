"""ModifyInstanceCreditSpecification: partial success, and repeats that change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import code, running, wait
from plane import Plane

ABSENT = f"i-{'0' * 17}"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def asked(credits: str, *ids: str) -> dict[str, Any]:
    return {
        "InstanceCreditSpecifications": [{"InstanceId": id, "CpuCredits": credits} for id in ids]
    }


def credits_of(ec2: Any, id: str) -> str:
    [shown] = ec2.describe_instance_credit_specifications(InstanceIds=[id])[
        "InstanceCreditSpecifications"
    ]
    return str(shown["CpuCredits"])


def told(answer: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    done = [one["InstanceId"] for one in answer["SuccessfulInstanceCreditSpecifications"]]
    refused = answer["UnsuccessfulInstanceCreditSpecifications"]
    return done, {one["InstanceId"]: one["Error"]["Code"] for one in refused}


def test_each_instance_is_told_of(ec2: Any) -> None:
    burstable, other, ended = running(ec2), running(ec2, InstanceType="m5.large"), running(ec2)
    ec2.terminate_instances(InstanceIds=[ended])
    wait(ec2, "instance_terminated", ended)
    ids = (burstable, other, ended, ABSENT, "i-nonsense")
    done, refused = told(ec2.modify_instance_credit_specification(**asked("standard", *ids)))
    assert done == [burstable]
    assert refused == {
        other: "InstanceCreditSpecification.NotSupported",
        ended: "IncorrectInstanceState",
        ABSENT: "InvalidInstanceID.NotFound",
        "i-nonsense": "InvalidInstanceID.Malformed",
    }
    assert credits_of(ec2, burstable) == "standard"


def test_a_late_repeat_hears_the_same_and_changes_nothing(ec2: Any) -> None:
    id = running(ec2)
    modify = ec2.modify_instance_credit_specification
    first = told(modify(**asked("standard", id, ABSENT), ClientToken="one"))
    modify(**asked("unlimited", id), ClientToken="two")
    again = modify(**asked("standard", ABSENT, id), ClientToken="one")
    assert told(again) == first, "whatever their order"
    assert credits_of(ec2, id) == "unlimited"
    ec2.terminate_instances(InstanceIds=[id])
    wait(ec2, "instance_terminated", id)
    assert told(modify(**asked("standard", id, ABSENT), ClientToken="one")) == first


@pytest.mark.parametrize(
    ("specifications", "expected"),
    [
        ([{"InstanceId": ABSENT, "CpuCredits": "endless"}], "InvalidCpuCredits"),
        ([{"InstanceId": ABSENT}], "MissingParameter"),
        (
            [{"InstanceId": ABSENT, "CpuCredits": "standard"}] * 2,
            "InvalidInstanceCreditSpecification.DuplicateInstanceId",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused_whole(
    ec2: Any, specifications: list[dict[str, Any]], expected: str
) -> None:
    call = ec2.modify_instance_credit_specification
    assert code(call, InstanceCreditSpecifications=specifications) == expected
