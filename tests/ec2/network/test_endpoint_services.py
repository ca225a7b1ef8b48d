"""DescribeVpcEndpointServices: AWS's own services, by name, by type, a page at a time."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import refusal
from plane import Plane


@pytest.fixture(scope="module")
def ec2(plane: Plane) -> Any:
    return plane.client()


def asked(ec2: Any, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ec2.describe_vpc_endpoint_services(**params)["ServiceDetails"]
    return found


def by_filter(ec2: Any, name: str, value: str) -> list[dict[str, Any]]:
    return asked(ec2, Filters=[{"Name": name, "Values": [value]}])


def test_a_service_with_gateways_and_interfaces_is_two_services_of_one_name(ec2: Any) -> None:
    answer = ec2.describe_vpc_endpoint_services(ServiceNames=["com.amazonaws.us-east-1.s3"])
    assert answer["ServiceNames"] == ["com.amazonaws.us-east-1.s3"]
    types = [one["ServiceType"] for one in answer["ServiceDetails"]]
    assert sorted(one["ServiceType"] for [one] in types) == ["Gateway", "Interface"]


def test_a_filter_narrows_services_to_a_type(ec2: Any) -> None:
    found = by_filter(ec2, "service-type", "Gateway")
    assert {one["ServiceName"].rpartition(".")[2] for one in found} == {"dynamodb", "s3"}
    assert by_filter(ec2, "owner", "amazon") == asked(ec2)
    assert by_filter(ec2, "tag:Name", "x") == []


def test_an_interface_service_tells_its_private_name_and_a_gateway_has_none(ec2: Any) -> None:
    [api] = asked(ec2, ServiceNames=["com.amazonaws.us-east-1.ecr.api"])
    assert api["PrivateDnsName"] == "api.ecr.us-east-1.amazonaws.com"
    assert api["BaseEndpointDnsNames"] == ["api.ecr.us-east-1.vpce.amazonaws.com"]
    assert not any("PrivateDnsName" in one for one in by_filter(ec2, "service-type", "Gateway"))


def test_an_unknown_service_is_refused_by_name(ec2: Any) -> None:
    refused = refusal(ec2.describe_vpc_endpoint_services, ServiceNames=["com.amazonaws.x.y"])
    assert refused.code == "InvalidServiceName"
    assert "com.amazonaws.x.y" in refused.message


def test_services_of_another_region_are_none(ec2: Any) -> None:
    assert asked(ec2, ServiceRegions=["eu-west-1"]) == []


def test_pages_join_to_the_whole_list(ec2: Any) -> None:
    pages, token = list[dict[str, Any]](), ""
    while True:
        page = ec2.describe_vpc_endpoint_services(MaxResults=40, NextToken=token)
        pages += page["ServiceDetails"]
        token = page.get("NextToken", "")
        if not token:
            break
    assert pages == asked(ec2)
    assert len({one["ServiceId"] for one in pages}) == len(pages)
