"""VPCs and the parts made and ended with them; DHCP options; default VPCs; attributes; quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from ec2.asking import by_filter, code, refusal
from plane import Plane

_NAMES = count()


@pytest.fixture
def ec2(plane: Plane) -> Iterator[Any]:
    """Yield a client of an account that only this test uses."""
    yield plane.client(keys=plane.account(f"vpcs-{next(_NAMES)}"))


def new_vpc(ec2: Any, cidr: str = "10.0.0.0/16") -> str:
    id: str = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    return id


def fixtures(ec2: Any, vpc: str) -> dict[str, list[Any]]:
    """Return the VPC's route tables, network ACLs, security groups and subnets."""
    filters = by_filter("vpc-id", vpc)
    return {
        "tables": ec2.describe_route_tables(Filters=filters)["RouteTables"],
        "acls": ec2.describe_network_acls(Filters=filters)["NetworkAcls"],
        "groups": ec2.describe_security_groups(Filters=filters)["SecurityGroups"],
        "subnets": ec2.describe_subnets(Filters=filters)["Subnets"],
    }


def test_a_vpc_has_a_main_table_a_default_acl_and_a_default_group(ec2: Any) -> None:
    made = ec2.create_vpc(
        CidrBlock="10.9.8.7/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "k", "Value": "v"}]}],
    )["Vpc"]
    assert (made["CidrBlock"], made["IsDefault"]) == ("10.9.0.0/16", False), "host bits cleared"
    assert made["Tags"] == [{"Key": "k", "Value": "v"}]
    assert made.pop("Ipv6CidrBlockAssociationSet") == [], "a Describe leaves it out"
    assert ec2.describe_vpcs(VpcIds=[made["VpcId"]])["Vpcs"] == [made]
    [table], [acl], [group], subnets = fixtures(ec2, made["VpcId"]).values()
    assert [one["Main"] for one in table["Associations"]] == [True]
    assert [one["GatewayId"] for one in table["Routes"]] == ["local"]
    assert (acl["IsDefault"], acl["Associations"], subnets) == (True, [], [])
    assert group["GroupName"] == "default"
    [inbound], [outbound] = group["IpPermissions"], group["IpPermissionsEgress"]
    assert [one["GroupId"] for one in inbound["UserIdGroupPairs"]] == [group["GroupId"]]
    assert outbound["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]


def test_a_repeat_makes_a_second_vpc_until_the_quota(ec2: Any) -> None:
    made = {new_vpc(ec2) for _ in range(4)}
    assert len(made) == 4, "with the default one this account has five"
    assert code(ec2.create_vpc, CidrBlock="10.0.0.0/16") == "VpcLimitExceeded"
    ec2.delete_vpc(VpcId=made.pop())
    new_vpc(ec2)


def test_a_deleted_vpc_takes_with_it_what_it_was_made_with(ec2: Any) -> None:
    ec2.describe_vpcs()
    before = ec2.describe_security_group_rules()["SecurityGroupRules"]
    vpc = new_vpc(ec2)
    ec2.delete_vpc(VpcId=vpc)
    assert fixtures(ec2, vpc) == {"tables": [], "acls": [], "groups": [], "subnets": []}
    assert ec2.describe_security_group_rules()["SecurityGroupRules"] == before
    for call in (ec2.delete_vpc, lambda VpcId: ec2.describe_vpcs(VpcIds=[VpcId])):
        refused = refusal(call, VpcId=vpc)
        assert refused.code == "InvalidVpcID.NotFound"
        assert refused.message == f"The vpc ID '{vpc}' does not exist"


def stand_subnet(ec2: Any, vpc: str) -> Callable[[], Any]:
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]
    return partial(ec2.delete_subnet, SubnetId=made["SubnetId"])


def stand_table(ec2: Any, vpc: str) -> Callable[[], Any]:
    made = ec2.create_route_table(VpcId=vpc)["RouteTable"]
    return partial(ec2.delete_route_table, RouteTableId=made["RouteTableId"])


def stand_acl(ec2: Any, vpc: str) -> Callable[[], Any]:
    made = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
    return partial(ec2.delete_network_acl, NetworkAclId=made["NetworkAclId"])


def stand_group(ec2: Any, vpc: str) -> Callable[[], Any]:
    made = ec2.create_security_group(VpcId=vpc, GroupName="g", Description="g")
    return partial(ec2.delete_security_group, GroupId=made["GroupId"])


def stand_gateway(ec2: Any, vpc: str) -> Callable[[], Any]:
    made = ec2.create_internet_gateway()["InternetGateway"]
    attached = {"InternetGatewayId": made["InternetGatewayId"], "VpcId": vpc}
    ec2.attach_internet_gateway(**attached)
    return partial(ec2.detach_internet_gateway, **attached)


@pytest.mark.parametrize(
    "stand", [stand_subnet, stand_table, stand_acl, stand_group, stand_gateway]
)
def test_a_vpc_is_not_deleted_while_anything_else_stands_in_it(
    ec2: Any, stand: Callable[[Any, str], Callable[[], Any]]
) -> None:
    vpc = new_vpc(ec2)
    remove = stand(ec2, vpc)
    before = fixtures(ec2, vpc)
    assert code(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    assert fixtures(ec2, vpc) == before, "a refusal removes nothing"
    remove()
    ec2.delete_vpc(VpcId=vpc)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "10.0.0.0"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/255.255.0.0"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.0.0.0/29"}, "InvalidVpc.Range"),
        ({"CidrBlock": "ten"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "shared"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/16", "Ipv6Pool": "ipv6pool-ec2-1"}, "UnsupportedOperation"),
        ({"CidrBlock": "10.0.0.0/16", "Ipv4IpamPoolId": "ipam-pool-1"}, "UnsupportedOperation"),
    ],
)
def test_what_no_vpc_can_be_is_refused(ec2: Any, params: dict[str, Any], expected: str) -> None:
    assert code(ec2.create_vpc, **params) == expected


def test_attributes_are_described_as_they_were_set(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    started = {"EnableDnsSupport": True, "EnableDnsHostnames": False,
               "EnableNetworkAddressUsageMetrics": False}  # fmt: skip
    for member, value in started.items():
        attribute = member[0].lower() + member[1:]

        def shown(attribute: str = attribute, member: str = member) -> bool:
            found = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
            return bool(found[member]["Value"])

        assert shown() is value
        for _ in range(2):
            ec2.modify_vpc_attribute(VpcId=vpc, **{member: {"Value": not value}})
            assert shown() is not value, "setting it again succeeds"
    both = {name: {"Value": True} for name in ("EnableDnsSupport", "EnableDnsHostnames")}
    assert code(ec2.modify_vpc_attribute, VpcId=vpc, **both) == "InvalidParameterCombination"


def test_dhcp_options_are_kept_while_a_vpc_uses_them(ec2: Any) -> None:
    given = [
        {"Key": "domain-name", "Values": ["example.test"]},
        {"Key": "ntp-servers", "Values": ["10.0.0.5", "10.0.0.6"]},
    ]
    made = ec2.create_dhcp_options(DhcpConfigurations=given)["DhcpOptions"]
    assert [
        {"Key": one["Key"], "Values": [value["Value"] for value in one["Values"]]}
        for one in made["DhcpConfigurations"]
    ] == given
    id, vpc = made["DhcpOptionsId"], new_vpc(ec2)

    def used() -> str:
        return str(ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"])

    started = used()
    for _ in range(2):
        ec2.associate_dhcp_options(VpcId=vpc, DhcpOptionsId=id)
        assert used() == id
    assert code(ec2.delete_dhcp_options, DhcpOptionsId=id) == "DependencyViolation"
    assert code(ec2.delete_dhcp_options, DhcpOptionsId=started) == "DependencyViolation"
    ec2.associate_dhcp_options(VpcId=vpc, DhcpOptionsId="default")
    assert used() == "default", "no options at all"
    ec2.delete_dhcp_options(DhcpOptionsId=id)
    assert code(ec2.delete_dhcp_options, DhcpOptionsId=id) == "InvalidDhcpOptionID.NotFound"
    ec2.delete_vpc(VpcId=vpc)


@pytest.mark.parametrize(
    "configurations",
    [
        [{"Key": "colour", "Values": ["red"]}],
        [{"Key": "domain-name", "Values": []}],
        [{"Key": "domain-name", "Values": [""]}],
        [{"Key": "domain-name-servers", "Values": ["nonsense"]}],
        [{"Key": "netbios-name-servers", "Values": ["fd00::1"]}],
        [{"Key": "netbios-node-type", "Values": ["x"]}],
        [{"Key": "netbios-node-type", "Values": ["128"]}],
        [{"Key": "netbios-node-type", "Values": ["1,2"]}],
        [{"Key": "ipv6-address-preferred-lease-time", "Values": ["139"]}],
        [{"Key": "ipv6-address-preferred-lease-time", "Values": ["10m"]}],
        [{"Key": "ntp-servers", "Values": ["time.example"]}],
    ],
)
def test_dhcp_options_that_do_not_exist_are_refused(ec2: Any, configurations: Any) -> None:
    refused = code(ec2.create_dhcp_options, DhcpConfigurations=configurations)
    assert refused == "InvalidParameterValue"


def test_values_of_dhcp_options_are_combined_and_kept_as_they_were_written(ec2: Any) -> None:
    given = [
        {"Key": "domain-name", "Values": ["a.invalid"]},
        {"Key": "domain-name-servers", "Values": ["10.0.0.2,10.0.0.3", "AmazonProvidedDNS"]},
        {"Key": "domain-name", "Values": ["b!.invalid"]},
        {"Key": "netbios-node-type", "Values": ["-128"]},
        {"Key": "ipv6-address-preferred-lease-time", "Values": ["00140"]},
        {"Key": "ntp-servers", "Values": ["fd00:0::1", "fd00:0::1"]},
    ]
    made = ec2.create_dhcp_options(DhcpConfigurations=given)["DhcpOptions"]
    assert {
        one["Key"]: [value["Value"] for value in one["Values"]]
        for one in made["DhcpConfigurations"]
    } == {
        "domain-name": ["a.invalid", "b!.invalid"],
        "domain-name-servers": ["10.0.0.2", "10.0.0.3", "AmazonProvidedDNS"],
        "netbios-node-type": ["-128"],
        "ipv6-address-preferred-lease-time": ["00140"],
        "ntp-servers": ["fd00:0::1", "fd00:0::1"],
    }


def test_a_default_vpc_comes_back_whole(ec2: Any) -> None:
    [default] = ec2.describe_vpcs()["Vpcs"]
    vpc = default["VpcId"]
    assert code(ec2.create_default_vpc) == "DefaultVpcAlreadyExists"
    for subnet in fixtures(ec2, vpc)["subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    named = {"InternetGatewayId": gateway["InternetGatewayId"]}
    ec2.detach_internet_gateway(VpcId=vpc, **named)
    ec2.delete_internet_gateway(**named)
    ec2.delete_vpc(VpcId=vpc)
    refused = code(ec2.create_default_subnet, AvailabilityZone="us-east-1a")
    assert refused == "DefaultVpcDoesNotExist"
    assert code(ec2.create_security_group, GroupName="g", Description="g") == "VPCIdNotSpecified"
    again = ec2.create_default_vpc()["Vpc"]
    assert again["IsDefault"] and again["VpcId"] != vpc
    assert again["DhcpOptionsId"] == default["DhcpOptionsId"], "the default options were kept"
    subnets = fixtures(ec2, again["VpcId"])["subnets"]
    assert all(one["DefaultForAz"] and one["MapPublicIpOnLaunch"] for one in subnets)
    assert len(subnets) == len(ec2.describe_availability_zones()["AvailabilityZones"])


def test_a_default_subnet_comes_back_in_its_zone(ec2: Any) -> None:
    subnets = ec2.describe_subnets()["Subnets"]
    lost = next(one for one in subnets if one["AvailabilityZone"] == "us-east-1b")
    refused = code(ec2.create_default_subnet, AvailabilityZone="us-east-1b")
    assert refused == "DefaultSubnetAlreadyExistsInAvailabilityZone"
    ec2.delete_subnet(SubnetId=lost["SubnetId"])
    made = ec2.create_default_subnet(AvailabilityZone="us-east-1b")["Subnet"]
    same = ("CidrBlock", "AvailabilityZoneId", "DefaultForAz", "MapPublicIpOnLaunch")
    assert [made[name] for name in same] == [lost[name] for name in same]


def test_account_attributes_name_the_default_vpc(ec2: Any) -> None:
    [default] = ec2.describe_vpcs()["Vpcs"]
    found = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
    values = [one["AttributeValue"] for one in found[0]["AttributeValues"]]
    assert values == [default["VpcId"]]
    names = {one["AttributeName"] for one in ec2.describe_account_attributes()["AccountAttributes"]}
    assert {"supported-platforms", "max-instances", "vpc-max-elastic-ips"} <= names
    named = ec2.describe_account_attributes(AttributeNames=sorted(names))["AccountAttributes"]
    assert {one["AttributeName"] for one in named} == names
