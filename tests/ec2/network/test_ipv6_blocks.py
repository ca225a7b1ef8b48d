"""IPv6 blocks of VPCs, their parts in subnets, and what opens for them; secondary blocks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from ec2.asking import by_filter, code, refusal
from ec2.network.ipv6 import (
    Document,
    association,
    block_of,
    new_interface,
    new_subnet,
    new_vpc,
    part,
    routes,
    shown,
)
from plane import Plane
from sametoken.resources.network.public_addresses import PUBLIC_ADDRESS
from sametoken.store.port import Tx

_NAMES = count()


@pytest.fixture
def ec2(plane: Plane) -> Iterator[Any]:
    """Yield a client of an account that only this test uses."""
    yield plane.client(keys=plane.account(f"ipv6-blocks-{next(_NAMES)}"))


@pytest.fixture
def vpc(ec2: Any) -> str:
    return new_vpc(ec2)


def test_a_block_of_amazons_is_told_once_it_is_associated(ec2: Any) -> None:
    made = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    [coming] = made["Ipv6CidrBlockAssociationSet"]
    assert coming["Ipv6CidrBlock"] == ""
    assert coming["Ipv6CidrBlockState"] == {"State": "associating"}
    [there] = shown(ec2, made["VpcId"])["Ipv6CidrBlockAssociationSet"]
    assert there["AssociationId"] == coming["AssociationId"]
    assert there["Ipv6CidrBlockState"] == {"State": "associated"}
    assert (there["Ipv6Pool"], there["NetworkBorderGroup"]) == ("Amazon", "us-east-1")
    assert ipaddress.IPv6Network(there["Ipv6CidrBlock"]).prefixlen == 56
    for name, value in (
        ("ipv6-cidr-block-association.ipv6-cidr-block", there["Ipv6CidrBlock"]),
        ("ipv6-cidr-block-association.association-id", there["AssociationId"]),
        ("ipv6-cidr-block-association.ipv6-pool", "Amazon"),
        ("ipv6-cidr-block-association.state", "associated"),
    ):
        [found] = ec2.describe_vpcs(Filters=by_filter(name, value))["Vpcs"]
        assert found["VpcId"] == made["VpcId"], name


def test_no_two_vpcs_have_the_same_block_and_a_deleted_one_gives_its_back(
    plane: Plane, ec2: Any, vpc: str
) -> None:
    other = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    assert block_of(ec2, vpc) != block_of(ec2, other["VpcId"])
    id = association(other)

    def held(tx: Tx) -> int:
        query = sa.select(sa.func.count()).where(PUBLIC_ADDRESS.c.holder == id)
        return int(tx.execute(query).scalar_one())

    assert plane.run(held) == 1
    ec2.delete_vpc(VpcId=other["VpcId"])
    assert plane.run(held) == 0


def test_a_vpc_with_ipv6_routes_it_and_lets_it_through(ec2: Any, vpc: str) -> None:
    block = str(block_of(ec2, vpc))
    local = {route.get("DestinationIpv6CidrBlock"): route for route in routes(ec2, vpc)}[block]
    assert (local["GatewayId"], local["Origin"]) == ("local", "CreateRouteTable")
    [acl] = ec2.describe_network_acls(Filters=by_filter("vpc-id", vpc))["NetworkAcls"]
    numbers = [(one["Egress"], one["RuleNumber"]) for one in acl["Entries"]]
    each = (100, 101, 32767, 32768)
    assert numbers == [(egress, number) for egress in (True, False) for number in each]
    made = ec2.create_security_group(VpcId=vpc, GroupName="g", Description="g")["GroupId"]
    [group] = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    [outbound] = group["IpPermissionsEgress"]
    assert outbound["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    mine = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
    assert {one["RuleNumber"] for one in mine["Entries"]} == {32767, 32768}
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]
    assert {route["GatewayId"] for route in table["Routes"]} == {"local"}
    assert len(table["Routes"]) == 2


def test_a_later_block_opens_only_what_nobody_has_changed(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="g", Description="g")["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    [acl] = ec2.describe_network_acls(Filters=by_filter("vpc-id", vpc))["NetworkAcls"]
    inbound = {"NetworkAclId": acl["NetworkAclId"], "Egress": False}
    ec2.delete_network_acl_entry(**inbound, RuleNumber=100)
    made = ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)
    assert made["Ipv6CidrBlockAssociation"]["Ipv6CidrBlockState"] == {"State": "associating"}
    [acl] = ec2.describe_network_acls(Filters=by_filter("vpc-id", vpc))["NetworkAcls"]
    numbers = [(one["Egress"], one["RuleNumber"]) for one in acl["Entries"]]
    assert numbers == [
        *((True, number) for number in (100, 101, 32767, 32768)), (False, 32767), (False, 32768)
    ]  # fmt: skip
    groups = ec2.describe_security_groups(Filters=by_filter("vpc-id", vpc))["SecurityGroups"]
    open_to = {one["GroupName"]: one["IpPermissionsEgress"] for one in groups}
    assert open_to["g"] == []
    assert open_to["default"][0]["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    assert {len(routes(ec2, vpc)), len(shown(ec2, vpc)["Ipv6CidrBlockAssociationSet"])} == {1, 2}


def test_secondary_blocks_hold_subnets_until_they_are_disassociated(ec2: Any, vpc: str) -> None:
    asked = {"VpcId": vpc, "CidrBlock": "10.1.2.3/16"}
    made = ec2.associate_vpc_cidr_block(**asked)["CidrBlockAssociation"]
    assert made["CidrBlock"] == "10.1.0.0/16"
    assert made["CidrBlockState"] == {"State": "associating"}
    assert "10.1.0.0/16" in [one.get("DestinationCidrBlock") for one in routes(ec2, vpc)]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    ending = {"AssociationId": made["AssociationId"]}
    used = refusal(ec2.disassociate_vpc_cidr_block, **ending)
    assert used.code == "InvalidCidrBlock.InUse"
    assert used.message == f"The vpc {vpc} currently has a subnet within CIDR block 10.1.0.0/16"
    ec2.delete_subnet(SubnetId=subnet)
    ended = ec2.disassociate_vpc_cidr_block(**ending)["CidrBlockAssociation"]
    assert ended["CidrBlockState"] == {"State": "disassociating"}
    assert "10.1.0.0/16" not in [one.get("DestinationCidrBlock") for one in routes(ec2, vpc)]
    assert len(shown(ec2, vpc)["CidrBlockAssociationSet"]) == 1
    assert code(ec2.create_subnet, VpcId=vpc, CidrBlock="10.1.1.0/24") == "InvalidSubnet.Range"


def test_the_primary_block_stays(ec2: Any, vpc: str) -> None:
    primary = shown(ec2, vpc)["CidrBlockAssociationSet"][0]["AssociationId"]
    refused = code(ec2.disassociate_vpc_cidr_block, AssociationId=primary)
    assert refused == "OperationNotPermitted"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "MissingParameter"),
        ({"AmazonProvidedIpv6CidrBlock": False}, "MissingParameter"),
        ({"CidrBlock": "10.0.128.0/20"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ({"CidrBlock": "ten"}, "InvalidParameterValue"),
        (
            {"CidrBlock": "10.1.0.0/16", "AmazonProvidedIpv6CidrBlock": True},
            "InvalidParameterCombination",
        ),
        ({"Ipv6CidrBlock": "2001:db8::/56", "Ipv6Pool": "p"}, "UnsupportedOperation"),
        (
            {"AmazonProvidedIpv6CidrBlock": True, "Ipv6CidrBlockNetworkBorderGroup": "us-west-2"},
            "InvalidParameterValue",
        ),
    ],
)
def test_what_no_vpc_can_be_associated_with_is_refused(
    ec2: Any, vpc: str, asked: Document, expected: str
) -> None:
    assert code(ec2.associate_vpc_cidr_block, VpcId=vpc, **asked) == expected


def test_a_block_is_no_larger_than_a_route_of_the_vpc(ec2: Any, vpc: str) -> None:
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    [table] = ec2.describe_route_tables(Filters=by_filter("vpc-id", vpc))["RouteTables"]
    ec2.create_route(
        RouteTableId=table["RouteTableId"], DestinationCidrBlock="10.1.1.0/24", GatewayId=gateway
    )
    asked = {"VpcId": vpc, "CidrBlock": "10.1.0.0/16"}
    assert code(ec2.associate_vpc_cidr_block, **asked) == "InvalidVpc.Range"


def test_a_subnet_takes_a_part_of_its_vpcs_block(ec2: Any, vpc: str) -> None:
    block = part(ec2, vpc, 1)
    asked = {"VpcId": vpc, "CidrBlock": "10.0.1.0/24", "Ipv6CidrBlock": block}
    made = ec2.create_subnet(**asked)["Subnet"]
    [coming] = made["Ipv6CidrBlockAssociationSet"]
    assert (coming["Ipv6CidrBlock"], coming["Ipv6CidrBlockState"]["State"]) == (
        block, "associating",
    )  # fmt: skip
    for name, value in (
        ("ipv6-cidr-block-association.ipv6-cidr-block", block),
        ("ipv6-cidr-block-association.association-id", coming["AssociationId"]),
    ):
        [found] = ec2.describe_subnets(Filters=by_filter(name, value))["Subnets"]
        assert found["SubnetId"] == made["SubnetId"]
        assert found["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlockState"]["State"] == (
            "associated"
        )
    other = {**asked, "CidrBlock": "10.0.2.0/24"}
    assert refusal(ec2.create_subnet, **other).message == (
        f"The IPv6 CIDR '{block}' conflicts with another subnet"
    )
    foreign = refusal(ec2.create_subnet, **{**other, "Ipv6CidrBlock": "2001:db8::/64"})
    assert (foreign.code, foreign.message) == (
        "InvalidSubnet.Range", "The IPv6 CIDR '2001:db8::/64' is invalid.",
    )  # fmt: skip
    for wrong in ("10.0.0.0/24", "2001:db8::/65", "2001:db8::/62", "2001:db8::"):
        assert code(ec2.create_subnet, **{**other, "Ipv6CidrBlock": wrong}) == (
            "InvalidParameterValue"
        )


def test_a_vpcs_block_stays_while_a_subnet_has_a_part_of_it(ec2: Any, vpc: str) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    asked = {"SubnetId": subnet, "Ipv6CidrBlock": part(ec2, vpc)}
    made = ec2.associate_subnet_cidr_block(**asked)["Ipv6CidrBlockAssociation"]
    assert code(ec2.associate_subnet_cidr_block, **asked) == "CidrLimitExceeded"
    ending = {"AssociationId": association(shown(ec2, vpc))}
    assert code(ec2.disassociate_vpc_cidr_block, **ending) == "InvalidCidrBlock.InUse"
    ec2.disassociate_subnet_cidr_block(AssociationId=made["AssociationId"])
    ec2.disassociate_vpc_cidr_block(**ending)
    assert (
        "Ipv6CidrBlockAssociationSet" not in shown(ec2, vpc)
        or not (shown(ec2, vpc)["Ipv6CidrBlockAssociationSet"])
    )


def test_a_subnets_block_stays_while_its_addresses_are_assigned(ec2: Any, vpc: str) -> None:
    subnet = new_subnet(ec2, vpc, assigns=True)
    [found] = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    ending = {"AssociationId": association(found)}
    automatic = refusal(ec2.disassociate_subnet_cidr_block, **ending)
    assert automatic.code == "InvalidCidrBlock.InUse"
    assert "has assign-ipv6-address-on-creation set to true" in automatic.message
    interface = new_interface(ec2, subnet)["NetworkInterfaceId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": False})
    assert code(ec2.disassociate_subnet_cidr_block, **ending) == "InvalidCidrBlock.InUse"
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    ec2.disassociate_subnet_cidr_block(**ending)


@pytest.mark.parametrize("name", ["AssignIpv6AddressOnCreation", "EnableDns64"])
def test_only_a_subnet_with_ipv6_has_its_options(ec2: Any, vpc: str, name: str) -> None:
    bare = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
    on: Document = {name: {"Value": True}}
    assert code(ec2.modify_subnet_attribute, SubnetId=bare, **on) == "InvalidParameterValue"
    subnet = new_subnet(ec2, vpc)
    ec2.modify_subnet_attribute(SubnetId=subnet, **on)
    [found] = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert found[name] is True


def test_ipv6_leaves_by_an_egress_only_gateway(ec2: Any, vpc: str) -> None:
    made = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    gateway = {"EgressOnlyInternetGatewayId": made["EgressOnlyInternetGatewayId"]}
    [table] = ec2.describe_route_tables(Filters=by_filter("vpc-id", vpc))["RouteTables"]
    asked = {"RouteTableId": table["RouteTableId"], **gateway}
    ec2.create_route(**asked, DestinationIpv6CidrBlock="::/0")
    outward = {one.get("DestinationIpv6CidrBlock"): one for one in routes(ec2, vpc)}["::/0"]
    assert outward["State"] == "active"
    assert outward["EgressOnlyInternetGatewayId"] == made["EgressOnlyInternetGatewayId"]
    local = {"RouteTableId": table["RouteTableId"], "DestinationIpv6CidrBlock": str(
        block_of(ec2, vpc)
    )}  # fmt: skip
    assert code(ec2.delete_route, **local) == "InvalidParameterValue", "the local one stays"
