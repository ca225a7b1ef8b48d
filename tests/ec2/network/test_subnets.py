"""Subnets, and the internet gateways of their VPC."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from ec2.asking import by_filter, code, refusal, running, wait
from plane import Plane
from sametoken.store.port import Tx

_NAMES = count()


@pytest.fixture
def ec2(plane: Plane) -> Iterator[Any]:
    """Yield a client of an account that only this test uses."""
    yield plane.client(keys=plane.account(f"subnets-{next(_NAMES)}"))


@pytest.fixture
def vpc(ec2: Any) -> str:
    id: str = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return id


def new_subnet(ec2: Any, vpc: str, cidr: str = "10.0.1.0/24", **more: Any) -> str:
    id: str = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, **more)["Subnet"]["SubnetId"]
    return id


def shown(ec2: Any, id: str) -> dict[str, Any]:
    [found] = ec2.describe_subnets(SubnetIds=[id])["Subnets"]
    subnet: dict[str, Any] = found
    return subnet


def guards(ec2: Any, subnet: str) -> tuple[list[str], list[str]]:
    """Return the network ACLs and the route tables that a subnet is associated with."""
    filters = by_filter("association.subnet-id", subnet)
    acls = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    return [one["NetworkAclId"] for one in acls], [one["RouteTableId"] for one in tables]


def test_a_subnet_stands_in_its_zone_behind_the_default_acl(ec2: Any, vpc: str) -> None:
    tags = [{"Key": "k", "Value": "v"}]
    made = ec2.create_subnet(
        VpcId=vpc, CidrBlock="10.0.1.9/24", AvailabilityZone="us-east-1c",
        TagSpecifications=[{"ResourceType": "subnet", "Tags": tags}],
    )["Subnet"]  # fmt: skip
    assert (made["CidrBlock"], made["AvailabilityZone"]) == ("10.0.1.0/24", "us-east-1c")
    assert (made["AvailableIpAddressCount"], made["Tags"]) == (251, tags)
    assert not made["DefaultForAz"] and not made["MapPublicIpOnLaunch"]
    assert shown(ec2, made["SubnetId"]) == made
    by_id = new_subnet(ec2, vpc, "10.0.2.0/24", AvailabilityZoneId="use1-az2")
    assert shown(ec2, by_id)["AvailabilityZone"] == "us-east-1b"
    chosen = new_subnet(ec2, vpc, "10.0.3.0/24")
    assert shown(ec2, chosen)["AvailabilityZone"].startswith("us-east-1")
    acls = ec2.describe_network_acls(Filters=by_filter("vpc-id", vpc))["NetworkAcls"]
    assert {one["SubnetId"] for one in acls[0]["Associations"]} == {
        made["SubnetId"], by_id, chosen,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.0.1.0/24", "InvalidSubnet.Conflict"),
        ("10.0.0.0/22", "InvalidSubnet.Conflict"),
        ("10.0.1.128/25", "InvalidSubnet.Conflict"),
        ("10.1.0.0/24", "InvalidSubnet.Range"),
        ("10.0.0.0/15", "InvalidSubnet.Range"),
        ("10.0.9.0/29", "InvalidSubnet.Range"),
        ("here", "InvalidParameterValue"),
        ("10.0.9.0", "InvalidParameterValue"),
    ],
)
def test_a_block_that_is_taken_or_outside_is_refused(
    ec2: Any, vpc: str, cidr: str, expected: str
) -> None:
    first = new_subnet(ec2, vpc)
    assert code(ec2.create_subnet, VpcId=vpc, CidrBlock=cidr) == expected
    subnets = ec2.describe_subnets(Filters=by_filter("vpc-id", vpc))["Subnets"]
    assert [one["SubnetId"] for one in subnets] == [first]


def test_a_zone_there_is_not_is_refused_and_the_others_are_named(ec2: Any, vpc: str) -> None:
    refused = refusal(
        ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1z"
    )
    assert refused.code == "InvalidParameterValue"
    assert refused.message.startswith(
        "Value (us-east-1z) for parameter availabilityZone is invalid. Subnets can currently only "
        "be created in the following availability zones: us-east-1a, us-east-1b"
    )


def test_a_deleted_subnet_leaves_its_acl_and_its_route_table(ec2: Any, vpc: str) -> None:
    subnet, other = new_subnet(ec2, vpc), new_subnet(ec2, vpc, "10.0.2.0/24")
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    for one in (subnet, other):
        ec2.associate_route_table(SubnetId=one, RouteTableId=table)
    assert [len(found) for found in guards(ec2, subnet)] == [1, 1]
    ec2.delete_subnet(SubnetId=subnet)
    assert guards(ec2, subnet) == ([], [])
    assert [len(found) for found in guards(ec2, other)] == [1, 1]
    assert code(ec2.delete_subnet, SubnetId=subnet) == "InvalidSubnetID.NotFound"
    new_subnet(ec2, vpc)


def test_a_subnet_stays_while_an_instance_is_in_it(ec2: Any, vpc: str) -> None:
    subnet = new_subnet(ec2, vpc)
    id = running(ec2, SubnetId=subnet)
    assert shown(ec2, subnet)["AvailableIpAddressCount"] == 250
    assert code(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[id])
    wait(ec2, "instance_terminated", id)
    ec2.delete_subnet(SubnetId=subnet)


def test_attributes_change_one_at_a_time(ec2: Any, vpc: str) -> None:
    subnet = new_subnet(ec2, vpc)
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnet, PrivateDnsHostnameTypeOnLaunch="resource-name")
    ec2.modify_subnet_attribute(
        SubnetId=subnet, EnableResourceNameDnsARecordOnLaunch={"Value": True}
    )
    found = shown(ec2, subnet)
    assert found["MapPublicIpOnLaunch"] is True
    assert found["PrivateDnsNameOptionsOnLaunch"] == {
        "HostnameType": "resource-name",
        "EnableResourceNameDnsARecord": True,
        "EnableResourceNameDnsAAAARecord": False,
    }
    ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": False})
    ipv6 = {"AssignIpv6AddressOnCreation": {"Value": True}}
    modify = ec2.modify_subnet_attribute
    assert code(modify, SubnetId=subnet, **ipv6) == "InvalidParameterValue"
    assert code(modify, SubnetId=subnet) == "InvalidParameterCombination"


def test_a_list_of_subnets_counts_addresses_in_one_query(plane: Plane, ec2: Any, vpc: str) -> None:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM address" in statement:
            statements.append(statement)

    def counted() -> int:
        statements.clear()
        assert ec2.describe_subnets()["Subnets"]
        return len(statements)

    def engine(tx: Tx) -> sa.Engine:
        return tx.connection.engine

    engines = {plane.run(engine), plane.store.read(engine)}
    for one in engines:
        sa.event.listen(one, "before_cursor_execute", note)
    try:
        few = counted()
        for number in range(20):
            new_subnet(ec2, vpc, str(ipaddress.IPv4Network((0x0A000000 + 256 * number, 24))))
        assert counted() == few == 1
    finally:
        for one in engines:
            sa.event.remove(one, "before_cursor_execute", note)


def test_a_gateway_is_attached_to_one_vpc_at_a_time(ec2: Any, vpc: str) -> None:
    made = ec2.create_internet_gateway()["InternetGateway"]
    assert made["Attachments"] == []
    id = made["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=id, VpcId=vpc)
    [found] = ec2.describe_internet_gateways(
        Filters=by_filter("attachment.vpc-id", vpc)
    )["InternetGateways"]  # fmt: skip
    assert found["Attachments"] == [{"State": "available", "VpcId": vpc}]
    [default] = ec2.describe_vpcs(Filters=by_filter("is-default", "true"))["Vpcs"]
    attach, other = ec2.attach_internet_gateway, default["VpcId"]
    assert code(attach, InternetGatewayId=id, VpcId=vpc) == "Resource.AlreadyAssociated"
    second = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    assert code(attach, InternetGatewayId=second, VpcId=vpc) == "InvalidParameterValue"
    assert code(ec2.delete_internet_gateway, InternetGatewayId=id) == "DependencyViolation"
    detach = ec2.detach_internet_gateway
    assert code(detach, InternetGatewayId=id, VpcId=other) == "Gateway.NotAttached"
    detach(InternetGatewayId=id, VpcId=vpc)
    assert code(detach, InternetGatewayId=id, VpcId=vpc) == "Gateway.NotAttached"
    ec2.delete_internet_gateway(InternetGatewayId=id)
    gone = code(ec2.delete_internet_gateway, InternetGatewayId=id)
    assert gone == "InvalidInternetGatewayID.NotFound"


def test_routes_to_a_detached_gateway_lead_nowhere(ec2: Any, vpc: str) -> None:
    id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    both = {"InternetGatewayId": id, "VpcId": vpc}
    ec2.attach_internet_gateway(**both)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=id)

    def states() -> list[str]:
        [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return [one["State"] for one in found["Routes"]]

    ec2.detach_internet_gateway(**both)
    assert states() == ["active", "blackhole"]
    ec2.attach_internet_gateway(**both)
    assert states() == ["active", "active"]


def test_a_gateway_stays_attached_while_public_addresses_need_it(ec2: Any) -> None:
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    id, [attachment] = gateway["InternetGatewayId"], gateway["Attachments"]
    instance = running(ec2)
    detach = {"InternetGatewayId": id, "VpcId": attachment["VpcId"]}
    assert code(ec2.detach_internet_gateway, **detach) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", instance)
    ec2.detach_internet_gateway(**detach)
