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


def test_an_endpoint_moves_to_other_subnets_with_its_interfaces(
    ec2: Any, endpoint: dict[str, Any]
) -> None:
    [old] = endpoint["SubnetIds"]
    new = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]][1:3]
    change = {"VpcEndpointId": endpoint["VpcEndpointId"]}
    for _ in range(2):  # a repeat changes nothing more
        ec2.modify_vpc_endpoint(**change, AddSubnetIds=new, RemoveSubnetIds=[old])
    [found] = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpoints"]
    assert sorted(found["SubnetIds"]) == sorted(new)
    shown = ec2.describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])
    assert sorted(one["SubnetId"] for one in shown["NetworkInterfaces"]) == sorted(new)
    assert ec2.describe_network_interfaces(Filters=by_filter("subnet-id", old))[
        "NetworkInterfaces"
    ] == []  # fmt: skip
    zones = [one["DnsName"] for one in found["DnsEntries"]]
    assert len(zones) == 4, "its own name, one in each zone, and the private one"


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
    unknown = refusal(
        ec2.modify_vpc_endpoint, VpcEndpointId=endpoint["VpcEndpointId"],
        RemoveSubnetIds=["subnet-00000000"],
    )  # fmt: skip
    assert unknown.code == "InvalidSubnetID.NotFound"
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


@pytest.fixture
def gateway(ec2: Any) -> dict[str, Any]:
    """Make a gateway endpoint in the main route table of the default VPC."""
    tables = ec2.describe_route_tables(Filters=by_filter("association.main", "true"))
    made: dict[str, Any] = ec2.create_vpc_endpoint(
        VpcId=default_vpc(ec2),
        ServiceName="com.amazonaws.us-east-1.s3",
        RouteTableIds=[tables["RouteTables"][0]["RouteTableId"]],
    )["VpcEndpoint"]
    return made


def routes(ec2: Any, table: str) -> list[dict[str, Any]]:
    [shown] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return [one for one in shown["Routes"] if "DestinationPrefixListId" in one]


def test_a_gateway_endpoint_is_a_route_to_the_list_of_its_service(
    ec2: Any, gateway: dict[str, Any]
) -> None:
    table, id = gateway["RouteTableIds"][0], gateway["VpcEndpointId"]
    [listed] = ec2.describe_prefix_lists(Filters=by_filter("prefix-list-name", "*.s3"))[
        "PrefixLists"
    ]
    destination = {"DestinationPrefixListId": listed["PrefixListId"]}
    route = {**destination, "GatewayId": id, "Origin": "CreateRoute", "State": "active"}
    assert routes(ec2, table) == [route]
    found = ec2.describe_route_tables(Filters=by_filter("route.gateway-id", id))["RouteTables"]
    assert [one["RouteTableId"] for one in found] == [table]
    refused = refusal(ec2.delete_route, RouteTableId=table, **destination)
    assert refused.code == "InvalidParameterValue", "the endpoint's route goes with the endpoint"
    ec2.modify_vpc_endpoint(VpcEndpointId=id, RemoveRouteTableIds=[table])
    assert routes(ec2, table) == []
    ec2.modify_vpc_endpoint(VpcEndpointId=id, AddRouteTableIds=[table])
    ec2.delete_vpc_endpoints(VpcEndpointIds=[id])
    assert routes(ec2, table) == []


def test_the_prefix_lists_of_aws_have_blocks_and_can_be_named(
    ec2: Any, gateway: dict[str, Any]
) -> None:
    listed = ec2.describe_prefix_lists()["PrefixLists"]
    names = {one["PrefixListName"].rpartition(".")[2]: one for one in listed}
    assert set(names) == {"s3", "dynamodb"}
    s3, dynamodb = names["s3"], names["dynamodb"]["PrefixListId"]
    managed = ec2.describe_managed_prefix_lists(PrefixListIds=[s3["PrefixListId"]])
    [shown] = managed["PrefixLists"]
    assert (shown["OwnerId"], shown["PrefixListName"]) == ("AWS", s3["PrefixListName"])
    entries = ec2.get_managed_prefix_list_entries(PrefixListId=s3["PrefixListId"])["Entries"]
    assert sorted(one["Cidr"] for one in entries) == sorted(s3["Cidrs"])
    only = ec2.describe_prefix_lists(PrefixListIds=[dynamodb])["PrefixLists"]
    assert [one["PrefixListId"] for one in only] == [dynamodb]
    missing = refusal(ec2.describe_prefix_lists, PrefixListIds=["pl-00000000"])
    assert missing.code == "InvalidPrefixListID.NotFound"
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    ec2.authorize_security_group_egress(
        GroupId=new_group(ec2, "to-s3"),
        IpPermissions=[{**rule, "PrefixListIds": [{"PrefixListId": s3["PrefixListId"]}]}],
    )


def test_an_interface_endpoint_has_names(ec2: Any, endpoint: dict[str, Any]) -> None:
    names = [one["DnsName"] for one in endpoint["DnsEntries"]]
    id = endpoint["VpcEndpointId"]
    assert all(one["HostedZoneId"].startswith("Z") for one in endpoint["DnsEntries"])
    regional, zonal, private = names
    assert regional.startswith(f"{id}-") and regional.endswith(".ssm.us-east-1.vpce.amazonaws.com")
    assert "-us-east-1" in zonal.removesuffix(regional.partition(".")[2])
    assert private == "ssm.us-east-1.amazonaws.com"
    ec2.modify_vpc_endpoint(VpcEndpointId=id, PrivateDnsEnabled=False)
    [shown] = ec2.describe_vpc_endpoints(VpcEndpointIds=[id])["VpcEndpoints"]
    assert [one["DnsName"] for one in shown["DnsEntries"]] == names[:2]
