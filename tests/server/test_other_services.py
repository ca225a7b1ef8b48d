"""Calls of other services are told apart, each in the form that its own client shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from plane import Plane, running_plane

CALLS = {
    "dynamodb": ("list_tables", {}),
    "ssm": ("get_parameter", {"Name": "/aws/service/x"}),
    "iam": ("list_users", {}),
    "autoscaling": ("describe_auto_scaling_groups", {}),
    "s3": ("list_buckets", {}),
    "lambda": ("list_functions", {}),
    "eks": ("list_clusters", {}),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("services")) as plane:
        yield plane


@pytest.mark.parametrize("service", CALLS)
def test_a_call_of_another_service_is_refused_by_a_sentence_that_its_client_shows(
    served: Plane, service: str
) -> None:
    name, params = CALLS[service]
    client = served.client(service)
    with pytest.raises(ClientError) as caught:
        getattr(client, name)(**params)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400, "which no client repeats"
    assert answer["Error"]["Code"] == "InvalidAction"
    message = answer["Error"]["Message"]
    assert message.startswith("This endpoint serves EC2, and GetCallerIdentity of STS.")
    assert f"another service, {service}" in message
    assert "AWS_ENDPOINT_URL_EC2" in message


def test_calls_of_ec2_and_sts_pass(served: Plane) -> None:
    assert served.client("sts").get_caller_identity()["Account"]
    assert served.client().describe_vpcs()["Vpcs"]
