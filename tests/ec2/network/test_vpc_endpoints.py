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
    [
        ("IpAddressType", "dualstack"),
        ("DnsOptions", {"PrivateDnsPreference": "VERIFIED_DOMAINS_ONLY"}),
    ],
)
def test_what_a_change_cannot_do_is_refused_by_name(
    ec2: Any, endpoint: dict[str, Any], member: str, value: Any
) -> None:
    refused = refusal(
        ec2.modify_vpc_endpoint, VpcEndpointId=endpoint["VpcEndpointId"], **{member: value}
    )
    assert (refused.code, member in refused.message) == ("UnsupportedOperation", True)
    found = ec2.describe_vpc_endpoints(Filters=by_filter("vpc-endpoint-type", "Interface"))
    assert found["VpcEndpoints"] == [endpoint]


def interfaces_of(ec2: Any, endpoint: dict[str, Any]) -> dict[str, str]:
    """Return the address of the endpoint's interface in each subnet."""
    [shown] = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpoints"]
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=shown["NetworkInterfaceIds"])
    held = {one["SubnetId"]: one["PrivateIpAddress"] for one in found["NetworkInterfaces"]}
    assert set(shown["SubnetIds"]) == set(held)
    return held


def test_an_interface_has_the_address_that_its_subnets_configuration_asks_for(ec2: Any) -> None:
    first, second = (one["SubnetId"] for one in ec2.describe_subnets()["Subnets"][:2])
    [block] = (one["CidrBlock"] for one in ec2.describe_subnets(SubnetIds=[first])["Subnets"])
    wanted = f"{block.rpartition('.')[0]}.77"
    endpoint = ec2.create_vpc_endpoint(
        VpcId=default_vpc(ec2), ServiceName=SERVICE, VpcEndpointType="Interface",
        SubnetIds=[first, second], SubnetConfigurations=[{"SubnetId": first, "Ipv4": wanted}],
        DnsOptions={"PrivateDnsOnlyForInboundResolverEndpoint": False},
    )["VpcEndpoint"]  # fmt: skip
    assert interfaces_of(ec2, endpoint)[first] == wanted
    assert endpoint["DnsOptions"]["PrivateDnsOnlyForInboundResolverEndpoint"] is False


def test_an_endpoint_leaves_subnets_and_enters_others(ec2: Any, endpoint: dict[str, Any]) -> None:
    [left] = endpoint["SubnetIds"]
    entered = next(
        one["SubnetId"] for one in ec2.describe_subnets()["Subnets"] if one["SubnetId"] != left
    )
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"], AddSubnetIds=[entered], RemoveSubnetIds=[left]
    )
    assert set(interfaces_of(ec2, endpoint)) == {entered}
    gone = ec2.describe_network_interfaces(Filters=by_filter("subnet-id", left))
    assert gone["NetworkInterfaces"] == []


def test_two_subnets_of_one_zone_are_refused(ec2: Any, endpoint: dict[str, Any]) -> None:
    [held] = endpoint["SubnetIds"]
    zone = ec2.describe_subnets(SubnetIds=[held])["Subnets"][0]["AvailabilityZone"]
    other = ec2.create_subnet(
        VpcId=endpoint["VpcId"], CidrBlock="172.31.200.0/24", AvailabilityZone=zone
    )["Subnet"]["SubnetId"]
    refused = refusal(
        ec2.modify_vpc_endpoint, VpcEndpointId=endpoint["VpcEndpointId"], AddSubnetIds=[other]
    )
    assert refused.code == "DuplicateSubnetsInSameZone"


def test_a_configuration_of_a_subnet_that_the_endpoint_is_not_in_is_refused(ec2: Any) -> None:
    refused = refusal(
        ec2.create_vpc_endpoint, VpcId=default_vpc(ec2), ServiceName=SERVICE,
        VpcEndpointType="Interface",
        SubnetConfigurations=[{"SubnetId": "subnet-00000000", "Ipv4": "172.31.0.9"}],
    )  # fmt: skip
    assert refused.code == "InvalidParameterCombination"
