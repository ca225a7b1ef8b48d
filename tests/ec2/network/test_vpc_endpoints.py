"""VPC endpoints: what a change of one reaches."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import by_filter, default_vpc, refusal
from plane import Plane

SERVICE = "com.amazonaws.us-east-1.ssm"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def new_group(ec2: Any, name: str) -> str:
    return str(ec2.create_security_group(GroupName=name, Description=name)["GroupId"])


@pytest.fixture
def endpoint(ec2: Any) -> dict[str, Any]:
    """Make an interface endpoint in one subnet, in a group of its own."""
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made: dict[str, Any] = ec2.create_vpc_endpoint(
        VpcId=default_vpc(ec2),
        ServiceName=SERVICE,
        VpcEndpointType="Interface",
        SubnetIds=[subnet],
        SecurityGroupIds=[new_group(ec2, "first")],
    )["VpcEndpoint"]
    return made


def test_the_interfaces_of_an_endpoint_change_their_groups_with_it(
    ec2: Any, endpoint: dict[str, Any]
) -> None:
    first, second = endpoint["Groups"][0]["GroupId"], new_group(ec2, "second")
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"],
        AddSecurityGroupIds=[second],
        RemoveSecurityGroupIds=[first],
    )
    [interface] = ec2.describe_network_interfaces(
        NetworkInterfaceIds=endpoint["NetworkInterfaceIds"]
    )["NetworkInterfaces"]
    assert [one["GroupId"] for one in interface["Groups"]] == [second]
    ec2.delete_security_group(GroupId=first)
    assert refusal(ec2.delete_security_group, GroupId=second).code == "DependencyViolation"


@pytest.mark.parametrize(
    ("member", "value"),
    [("IpAddressType", "dualstack"), ("AddSubnetIds", ["subnet-00000000"]), ("DnsOptions", {})],
)
def test_what_a_change_cannot_do_is_refused_by_name(
    ec2: Any, endpoint: dict[str, Any], member: str, value: Any
) -> None:
    change = ec2.modify_vpc_endpoint
    if member == "DnsOptions":
        value = {"DnsRecordIpType": "ipv4"}
    refused = refusal(change, VpcEndpointId=endpoint["VpcEndpointId"], **{member: value})
    assert (refused.code, member in refused.message) == ("UnsupportedOperation", True)
    found = ec2.describe_vpc_endpoints(Filters=by_filter("vpc-endpoint-type", "Interface"))
    assert found["VpcEndpoints"] == [endpoint]
