"""NAT gateways that cannot come up: accepted, and failed after a while, as by EC2."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plane import Plane
from sametoken.resources.kit import ripening


@pytest.mark.parametrize("attached", [False, True])
def test_a_public_gateway_needs_an_internet_gateway_in_its_vpc(
    plane: Plane, attached: bool
) -> None:
    ec2 = plane.client(keys=plane.account(f"internet {attached}"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    if attached:
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
    assert made["State"] == "pending"
    plane.advance(timedelta(seconds=10))
    plane.run(ripening.ripen_due)
    [shown] = ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"]
    assert shown["State"] == ("available" if attached else "failed")
    assert shown.get("FailureCode") == (None if attached else "Gateway.NotAttached")
    private = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]
    assert private["State"] == "pending" and "FailureCode" not in private
