"""Customer and virtual private gateways: repeats without a token, attachments, propagation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import code, default_vpc
from ec2.gateways.vpn_ends import customer, gateway
from plane import Plane


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    """Return a client of an account that only this test uses."""
    keys = plane.account(request.node.name[-60:])
    return plane.client(keys=keys, max_pool_connections=32)


def test_an_identical_request_answers_with_the_customer_gateway_there_is(ec2: Any) -> None:
    def create(_: int) -> str:
        return customer(ec2)

    with ThreadPoolExecutor(32) as pool:
        assert len(set(pool.map(create, range(32)))) == 1
    assert len(ec2.describe_customer_gateways()["CustomerGateways"]) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"Type": "ipsec.1", "TagSpecifications": [
            {"ResourceType": "customer-gateway", "Tags": [{"Key": "a", "Value": "b"}]}]}),
        ({"BgpAsn": 65000}, {"BgpAsn": 65000}),
        ({"DeviceName": "x" * 255}, {"DeviceName": "x" * 255}),
    ],
)  # fmt: skip
def test_tags_are_no_part_of_a_customer_gateways_identity(
    ec2: Any, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert customer(ec2, **first) == customer(ec2, **second)


def test_a_default_asn_and_the_old_name_of_the_address_are_the_same_request(ec2: Any) -> None:
    spelled = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.9", BgpAsn=65000)
    plain = ec2.create_customer_gateway(Type="ipsec.1", IpAddress="198.51.100.9")
    assert plain["CustomerGateway"] == spelled["CustomerGateway"]
    assert plain["CustomerGateway"]["BgpAsn"] == "65000"


@pytest.mark.parametrize(
    "other",
    [{"IpAddress": "198.51.100.8"}, {"BgpAsn": 65011}, {"DeviceName": "second"}],
    ids=str,
)
def test_another_address_asn_or_device_is_another_customer_gateway(
    ec2: Any, other: dict[str, Any]
) -> None:
    assert customer(ec2) != customer(ec2, **other)


def test_a_deleted_customer_gateway_lingers_and_is_not_found_again(plane: Plane, ec2: Any) -> None:
    id = customer(ec2)
    ec2.delete_customer_gateway(CustomerGatewayId=id)
    [shown] = ec2.describe_customer_gateways(CustomerGatewayIds=[id])["CustomerGateways"]
    assert shown["State"] == "deleted"
    delete = ec2.delete_customer_gateway
    assert code(delete, CustomerGatewayId=id) == "InvalidCustomerGatewayID.NotFound"
    assert customer(ec2) != id, "what is gone is not answered with"
    asked = {"CustomerGatewayId": id, "VpnGatewayId": gateway(ec2), "Type": "ipsec.1"}
    assert code(ec2.create_vpn_connection, **asked) == "InvalidCustomerGatewayID.NotFound"
    plane.advance(timedelta(hours=2))
    describe = ec2.describe_customer_gateways
    assert code(describe, CustomerGatewayIds=[id]) == "InvalidCustomerGatewayID.NotFound"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"BgpAsn": 0}, "InvalidParameterValue"),
        ({"BgpAsnExtended": 65000}, "InvalidParameterCombination"),
        ({"IpAddress": "nowhere"}, "InvalidParameterValue"),
        ({"PublicIp": "198.51.100.7"}, "InvalidParameterCombination"),
        ({"DeviceName": "x" * 256}, "InvalidParameterValue"),
    ],
    ids=str,
)
def test_what_cannot_be_a_customer_gateway_is_refused(
    ec2: Any, wrong: dict[str, Any], expected: str
) -> None:
    asked = {"Type": "ipsec.1", "IpAddress": "198.51.100.7", "BgpAsn": 65010, **wrong}
    assert code(ec2.create_customer_gateway, **asked) == expected
    assert code(ec2.create_customer_gateway, Type="ipsec.1") == "MissingParameter"
    assert ec2.describe_customer_gateways()["CustomerGateways"] == []


def attachments(ec2: Any, id: str) -> list[tuple[str, str]]:
    [found] = ec2.describe_vpn_gateways(VpnGatewayIds=[id])["VpnGateways"]
    return [(one["VpcId"], one["State"]) for one in found["VpcAttachments"]]


def test_a_gateway_is_attached_to_one_vpc_and_a_vpc_to_one_gateway(ec2: Any) -> None:
    vpc, id = default_vpc(ec2), gateway(ec2, AmazonSideAsn=64600)
    answer = ec2.attach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)
    assert answer["VpcAttachment"] == {"State": "attaching", "VpcId": vpc}
    assert attachments(ec2, id) == [(vpc, "attached")]
    attach = ec2.attach_vpn_gateway
    assert code(attach, VpcId=vpc, VpnGatewayId=id) == "VpnGatewayAttachmentLimitExceeded"
    assert code(attach, VpcId=vpc, VpnGatewayId=gateway(ec2)) == "InvalidVpcState"
    assert code(ec2.delete_vpn_gateway, VpnGatewayId=id) == "IncorrectState"
    ec2.detach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)
    assert attachments(ec2, id) == [(vpc, "detached")]
    detach = ec2.detach_vpn_gateway
    assert code(detach, VpcId=vpc, VpnGatewayId=id) == "InvalidVpnGatewayAttachment.NotFound"
    ec2.attach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)


def test_a_vpc_with_a_gateway_attached_is_not_deleted(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    id = gateway(ec2)
    ec2.attach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)
    assert code(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    ec2.detach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)
    ec2.delete_vpc(VpcId=vpc)


def test_a_repeated_gateway_is_another_and_its_deletion_is_told_once(ec2: Any) -> None:
    one, other = gateway(ec2), gateway(ec2)
    assert one != other
    ec2.delete_vpn_gateway(VpnGatewayId=one)
    assert code(ec2.delete_vpn_gateway, VpnGatewayId=one) == "InvalidVpnGatewayID.NotFound"
    shown = {g["VpnGatewayId"]: g["State"] for g in ec2.describe_vpn_gateways()["VpnGateways"]}
    assert shown == {one: "deleted", other: "available"}
    assert code(ec2.create_vpn_gateway, Type="ipsec.1", AmazonSideAsn=7) == "InvalidParameterValue"


def test_a_table_learns_routes_from_a_gateway_of_its_own_vpc(ec2: Any) -> None:
    vpc, id = default_vpc(ec2), gateway(ec2)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    names = {"RouteTableId": table, "GatewayId": id}

    def learns() -> list[str]:
        [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return [one["GatewayId"] for one in found["PropagatingVgws"]]

    assert code(ec2.enable_vgw_route_propagation, **names) == "Gateway.NotAttached"
    ec2.attach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)
    for _ in range(2):
        ec2.enable_vgw_route_propagation(**names)
        assert learns() == [id]
    for _ in range(2):
        ec2.disable_vgw_route_propagation(**names)
        assert learns() == []
    ec2.enable_vgw_route_propagation(**names)
    ec2.detach_vpn_gateway(VpcId=vpc, VpnGatewayId=id)
    assert learns() == []
