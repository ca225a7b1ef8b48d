"""Routes: a target must exist and be within reach of the table's VPC; a route to an ended target
is a blackhole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import by_filter, code, default_vpc, described, refusal, running, wait
from plane import Plane

ABROAD = "203.0.113.0/24"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


@pytest.fixture
def table(ec2: Any) -> str:
    """Make a route table in the default VPC."""
    return str(ec2.create_route_table(VpcId=default_vpc(ec2))["RouteTable"]["RouteTableId"])


def other_vpc(ec2: Any) -> str:
    return str(ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])


def to(table: str, **target: Any) -> dict[str, Any]:
    return {"RouteTableId": table, "DestinationCidrBlock": ABROAD, **target}


def routes(ec2: Any, table: str) -> list[dict[str, Any]]:
    """Return the table's routes without the local one."""
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return [one for one in found["Routes"] if one["Origin"] == "CreateRoute"]


def state(ec2: Any, table: str) -> str:
    [route] = routes(ec2, table)
    [found] = ec2.describe_route_tables(Filters=by_filter("route.state", route["State"]),
                                        RouteTableIds=[table])["RouteTables"]  # fmt: skip
    assert found["RouteTableId"] == table, "the filter sees what is shown"
    return str(route["State"])


NOBODY = "0" * 17


@pytest.mark.parametrize("action", ["create_route", "replace_route"])
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"GatewayId": f"igw-{NOBODY}"}, "InvalidGatewayID.NotFound"),
        ({"GatewayId": f"vgw-{NOBODY}"}, "InvalidGatewayID.NotFound"),
        ({"GatewayId": "nonsense"}, "InvalidGatewayID.NotFound"),
        ({"NatGatewayId": f"nat-{NOBODY}"}, "InvalidNatGatewayID.NotFound"),
        ({"InstanceId": f"i-{NOBODY}"}, "InvalidInstanceID.NotFound"),
        ({"NetworkInterfaceId": f"eni-{NOBODY}"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"EgressOnlyInternetGatewayId": f"eigw-{NOBODY}"}, "InvalidGatewayID.NotFound"),
        ({"CarrierGatewayId": f"cagw-{NOBODY}"}, "InvalidCarrierGatewayID.NotFound"),
        ({"VpcEndpointId": f"vpce-{NOBODY}"}, "InvalidVpcEndpointId.NotFound"),
        ({"TransitGatewayId": f"tgw-{NOBODY}"}, "InvalidTransitGatewayID.NotFound"),
        ({"VpcPeeringConnectionId": f"pcx-{NOBODY}"}, "InvalidVpcPeeringConnectionID.NotFound"),
        ({"LocalGatewayId": f"lgw-{NOBODY}"}, "UnsupportedOperation"),
        ({}, "InvalidParameterCombination"),
        (
            {"GatewayId": f"igw-{NOBODY}", "InstanceId": f"i-{NOBODY}"},
            "InvalidParameterCombination",
        ),
    ],
    ids=str,
)
def test_a_target_that_is_not_there_is_refused(
    ec2: Any, table: str, action: str, target: dict[str, Any], expected: str
) -> None:
    assert code(getattr(ec2, action), **to(table, **target)) == expected
    assert routes(ec2, table) == []


def internet_gateway(ec2: Any, vpc: str) -> dict[str, Any]:
    id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=vpc)
    return {"GatewayId": id}


def vpn_gateway(ec2: Any, vpc: str) -> dict[str, Any]:
    id = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpnGatewayId=id, VpcId=vpc)
    return {"GatewayId": id}


def subnet_of(ec2: Any, vpc: str) -> str:
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")
    return str(made["Subnet"]["SubnetId"])


def nat_gateway(ec2: Any, vpc: str) -> dict[str, Any]:
    asked = {"SubnetId": subnet_of(ec2, vpc), "ConnectivityType": "private"}
    return {"NatGatewayId": ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"]}


def interface(ec2: Any, vpc: str) -> dict[str, Any]:
    made = ec2.create_network_interface(SubnetId=subnet_of(ec2, vpc))["NetworkInterface"]
    return {"NetworkInterfaceId": made["NetworkInterfaceId"]}


def instance(ec2: Any, vpc: str) -> dict[str, Any]:
    return {"InstanceId": running(ec2, SubnetId=subnet_of(ec2, vpc))}


def egress_only(ec2: Any, vpc: str) -> dict[str, Any]:
    made = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    return {"EgressOnlyInternetGatewayId": made["EgressOnlyInternetGatewayId"]}


def carrier(ec2: Any, vpc: str) -> dict[str, Any]:
    made = ec2.create_carrier_gateway(VpcId=vpc)["CarrierGateway"]
    return {"CarrierGatewayId": made["CarrierGatewayId"]}


TARGETS = (
    internet_gateway, vpn_gateway, nat_gateway, interface, instance, egress_only, carrier,
)  # fmt: skip


@pytest.mark.parametrize("make", TARGETS)
def test_a_target_of_another_vpc_is_refused(ec2: Any, table: str, make: Any) -> None:
    elsewhere = other_vpc(ec2)
    target = make(ec2, elsewhere)
    refused = refusal(ec2.create_route, **to(table, **target))
    assert (refused.code, refused.status) == ("InvalidParameterValue", 400)
    assert refused.message.endswith("belong to different networks")
    own = ec2.create_route_table(VpcId=elsewhere)["RouteTable"]["RouteTableId"]
    ec2.create_route(**to(own, **target))
    assert len(routes(ec2, own)) == 1


def test_a_gateway_that_is_attached_to_nothing_is_refused(ec2: Any, table: str) -> None:
    igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    for id in (igw, vgw):
        assert code(ec2.create_route, **to(table, GatewayId=id)) == "InvalidParameterValue"


def test_an_endpoint_that_takes_no_routes_is_refused(ec2: Any, table: str) -> None:
    made = ec2.create_vpc_endpoint(
        VpcId=default_vpc(ec2), ServiceName="com.amazonaws.us-east-1.s3"
    )["VpcEndpoint"]
    refused = code(ec2.create_route, **to(table, VpcEndpointId=made["VpcEndpointId"]))
    assert refused == "InvalidVpcEndpointType"


def test_a_route_to_a_deleted_nat_gateway_leads_nowhere(plane: Plane, ec2: Any, table: str) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    asked = {"SubnetId": subnet, "ConnectivityType": "private"}
    id = ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"]
    ec2.create_route(**to(table, NatGatewayId=id))
    assert state(ec2, table) == "active"
    ec2.delete_nat_gateway(NatGatewayId=id)
    assert state(ec2, table) == "blackhole"
    plane.advance(timedelta(hours=2))
    assert state(ec2, table) == "blackhole"
    refused = code(ec2.replace_route, **to(table, NatGatewayId=id))
    assert refused == "InvalidNatGatewayID.NotFound"


def test_a_route_to_a_detached_vpn_gateway_leads_nowhere(ec2: Any, table: str) -> None:
    vpc = default_vpc(ec2)
    [id] = vpn_gateway(ec2, vpc).values()
    ec2.create_route(**to(table, GatewayId=id))
    assert state(ec2, table) == "active"
    ec2.detach_vpn_gateway(VpnGatewayId=id, VpcId=vpc)
    assert state(ec2, table) == "blackhole"
    ec2.attach_vpn_gateway(VpnGatewayId=id, VpcId=vpc)
    assert state(ec2, table) == "active"


def test_a_route_through_an_instance_lives_with_it(ec2: Any, table: str) -> None:
    id = running(ec2)
    [own] = described(ec2, id)["NetworkInterfaces"]
    ec2.create_route(**to(table, InstanceId=id))
    [route] = routes(ec2, table)
    assert (route["InstanceId"], route["NetworkInterfaceId"], route["State"]) == (
        id, own["NetworkInterfaceId"], "active",
    )  # fmt: skip
    assert route["InstanceOwnerId"] == own["OwnerId"]
    ec2.create_route(**to(table, NetworkInterfaceId=own["NetworkInterfaceId"]))
    assert routes(ec2, table) == [route], "the same route by its other name"
    ec2.stop_instances(InstanceIds=[id])
    wait(ec2, "instance_stopped", id)
    assert state(ec2, table) == "blackhole"
    ec2.start_instances(InstanceIds=[id])
    assert state(ec2, table) == "active"
    ec2.terminate_instances(InstanceIds=[id])
    wait(ec2, "instance_terminated", id)
    assert state(ec2, table) == "blackhole"
    assert code(ec2.replace_route, **to(table, InstanceId=id)) == "InvalidInstanceID.NotFound"


def test_an_instance_with_two_interfaces_routes_through_neither_by_itself(
    ec2: Any, table: str
) -> None:
    id = running(ec2)
    subnet = described(ec2, id)["SubnetId"]
    more = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ec2.create_route(**to(table, NetworkInterfaceId=more))
    assert state(ec2, table) == "blackhole", "an interface by itself forwards nothing"
    ec2.attach_network_interface(NetworkInterfaceId=more, InstanceId=id, DeviceIndex=1)
    assert state(ec2, table) == "active"
    found = ec2.describe_route_tables(Filters=by_filter("route.instance-id", id))["RouteTables"]
    assert [one["RouteTableId"] for one in found] == [table]
    assert code(ec2.replace_route, **to(table, InstanceId=id)) == "InvalidInstanceID"


def test_only_the_local_route_is_made_local_again(ec2: Any, table: str) -> None:
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    [local] = found["Routes"]
    own = {"RouteTableId": table, "DestinationCidrBlock": local["DestinationCidrBlock"]}
    [own_interface] = described(ec2, running(ec2))["NetworkInterfaces"]
    target = {"NetworkInterfaceId": own_interface["NetworkInterfaceId"]}
    ec2.replace_route(**own, **target)
    assert code(ec2.delete_route, **own) == "InvalidParameterValue", "it stays whatever it leads to"
    ec2.replace_route(**own, LocalTarget=True)
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert found["Routes"] == [local]
    ec2.create_route(**to(table, **target))
    assert code(ec2.replace_route, **to(table, LocalTarget=True)) == "InvalidParameterValue"


def test_a_destination_is_a_list_that_exists_or_a_block_as_ec2_writes_it(
    ec2: Any, table: str
) -> None:
    target = egress_only(ec2, default_vpc(ec2))
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="2001:DB8:0::/32", **target)
    assert routes(ec2, table)[0]["DestinationIpv6CidrBlock"] == "2001:db8::/32"
    wrong = {"RouteTableId": table, "DestinationIpv6CidrBlock": "10.0.0.0/8", **target}
    assert code(ec2.create_route, **wrong) == "InvalidParameterValue"
    to_list = {"RouteTableId": table, "DestinationPrefixListId": f"pl-{NOBODY}", **target}
    assert code(ec2.create_route, **to_list) == "InvalidPrefixListID.NotFound"
    made = ec2.create_managed_prefix_list(
        PrefixListName="l", AddressFamily="IPv6", MaxEntries=1
    )["PrefixList"]  # fmt: skip
    ec2.create_route(**{**to_list, "DestinationPrefixListId": made["PrefixListId"]})
    assert len(routes(ec2, table)) == 2


@pytest.mark.parametrize("block", ["10.8.0.1", "10.8.0.0/255.255.0.0", "10.8.0.0/33", "nonsense"])
@pytest.mark.parametrize("action", ["create_route", "replace_route", "delete_route"])
def test_a_destination_is_a_block_with_its_size_in_bits(
    ec2: Any, table: str, action: str, block: str
) -> None:
    target = {} if action == "delete_route" else {"GatewayId": f"igw-{NOBODY}"}
    call = getattr(ec2, action)
    refused = refusal(call, RouteTableId=table, DestinationCidrBlock=block, **target)
    assert refused.code == "InvalidParameterValue"
    assert "not a valid CIDR block" in refused.message


def test_an_association_names_a_subnet_or_a_gateway_of_the_vpc(ec2: Any, table: str) -> None:
    associate = ec2.associate_route_table
    assert code(associate, RouteTableId=table) == "MissingParameter"
    loose = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    assert code(associate, RouteTableId=table, GatewayId=loose) == "Gateway.NotAttached"
    both = {"GatewayId": loose, "SubnetId": "subnet-00000000"}
    assert code(associate, RouteTableId=table, **both) == "InvalidParameterCombination"
    absent = {"GatewayId": f"igw-{NOBODY}"}
    assert code(associate, RouteTableId=table, **absent) == "InvalidGatewayID.NotFound"


def test_a_gateway_is_associated_with_one_table_and_detached_from_none_before(
    ec2: Any, table: str
) -> None:
    vpc = default_vpc(ec2)
    attached = by_filter("attachment.vpc-id", vpc)
    [gateway] = ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
    id = gateway["InternetGatewayId"]
    first, again = (
        ec2.associate_route_table(RouteTableId=table, GatewayId=id)["AssociationId"]
        for _ in range(2)
    )
    assert first == again, "a repeat answers with what stands"
    [found] = ec2.describe_route_tables(Filters=by_filter("association.gateway-id", id))[
        "RouteTables"
    ]
    assert [one["GatewayId"] for one in found["Associations"]] == [id]
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    taken = code(ec2.associate_route_table, RouteTableId=other, GatewayId=id)
    assert taken == "Resource.AlreadyAssociated"
    detach = {"InternetGatewayId": id, "VpcId": vpc}
    assert code(ec2.detach_internet_gateway, **detach) == "DependencyViolation"
    ec2.disassociate_route_table(AssociationId=first)
    ec2.detach_internet_gateway(**detach)


def test_a_prefix_list_stays_while_a_route_leads_to_it(ec2: Any, table: str) -> None:
    asked = {"PrefixListName": "far", "AddressFamily": "IPv4", "MaxEntries": 1}
    blocks = ec2.create_managed_prefix_list(**asked)["PrefixList"]["PrefixListId"]
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    route = {"RouteTableId": table, "DestinationPrefixListId": blocks}
    ec2.create_route(**route, GatewayId=gateway["InternetGatewayId"])
    refused = refusal(ec2.delete_managed_prefix_list, PrefixListId=blocks)
    assert refused.code == "DependencyViolation"
    ec2.delete_route(**route)
    ec2.delete_managed_prefix_list(PrefixListId=blocks)


def test_only_the_current_entries_of_a_prefix_list_are_told(ec2: Any) -> None:
    asked = {"PrefixListName": "near", "AddressFamily": "IPv4", "MaxEntries": 2}
    first = [{"Cidr": "10.1.0.0/16"}]
    made = ec2.create_managed_prefix_list(**asked, Entries=first)["PrefixList"]
    id = made["PrefixListId"]
    added = [{"Cidr": "10.2.0.0/16"}]
    ec2.modify_managed_prefix_list(PrefixListId=id, CurrentVersion=1, AddEntries=added)
    told = ec2.get_managed_prefix_list_entries(PrefixListId=id, TargetVersion=2)["Entries"]
    assert [one["Cidr"] for one in told] == ["10.1.0.0/16", "10.2.0.0/16"]
    refused = refusal(ec2.get_managed_prefix_list_entries, PrefixListId=id, TargetVersion=1)
    assert (refused.code, "TargetVersion" in refused.message) == ("UnsupportedOperation", True)
