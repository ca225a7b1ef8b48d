"""Default VPCs: one in each Region, and the Describe actions of its parts."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import by_filter, code, launch, refusal
from plane import Plane

# Action -> the member of its answer that is the list, the id member of an item, and the parameter
# that takes ids.
NOUNS = {
    "describe_vpcs": ("Vpcs", "VpcId", "VpcIds"),
    "describe_subnets": ("Subnets", "SubnetId", "SubnetIds"),
    "describe_security_groups": ("SecurityGroups", "GroupId", "GroupIds"),
    "describe_route_tables": ("RouteTables", "RouteTableId", "RouteTableIds"),
    "describe_network_acls": ("NetworkAcls", "NetworkAclId", "NetworkAclIds"),
}
# Action -> the prefix of its ids, and the codes that refuse an absent and a malformed id.
CODES = {
    "describe_vpcs": ("vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed"),
    "describe_subnets": ("subnet", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed"),
    "describe_security_groups": ("sg", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
    "describe_route_tables": (
        "rtb", "InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed",
    ),
    "describe_network_acls": (
        "acl", "InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed",
    ),
}  # fmt: skip


def listed(client: Any, action: str, **params: Any) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = getattr(client, action)(**params)[NOUNS[action][0]]
    return answer


def only(client: Any, action: str, **params: Any) -> dict[str, Any]:
    [item] = listed(client, action, **params)
    return item


def ids(client: Any, action: str, **params: Any) -> set[str]:
    return {one[NOUNS[action][1]] for one in listed(client, action, **params)}


@pytest.fixture(scope="module")
def client(plane: Plane) -> Any:
    return plane.client(keys=plane.account("home"))


def test_an_account_finds_a_default_vpc_in_each_region(plane: Plane) -> None:
    keys = plane.account("everywhere")
    vpcs = set()
    for region, zones in (("us-east-1", 6), ("eu-west-1", 3)):
        client = plane.client(keys=keys, region=region)
        vpc = only(client, "describe_vpcs")
        assert (vpc["CidrBlock"], vpc["IsDefault"], vpc["State"]) == (
            "172.31.0.0/16", True, "available",
        )  # fmt: skip
        assert vpc["OwnerId"] == keys.account
        subnets = listed(client, "describe_subnets")
        assert {one["AvailabilityZone"] for one in subnets} == {
            f"{region}{letter}" for letter in "abcdef"[:zones]
        }
        assert all(one["DefaultForAz"] and one["MapPublicIpOnLaunch"] for one in subnets)
        assert {one["VpcId"] for one in subnets} == {vpc["VpcId"]}
        vpcs.add(vpc["VpcId"])
    assert len(vpcs) == 2
    again = only(plane.client(keys=keys), "describe_vpcs")
    assert again["VpcId"] in vpcs


def test_the_parts_of_the_default_vpc_belong_together(client: Any) -> None:
    vpc = only(client, "describe_vpcs")["VpcId"]
    subnets = ids(client, "describe_subnets")
    group = only(client, "describe_security_groups")
    assert (group["GroupName"], group["VpcId"]) == ("default", vpc)
    [ingress] = group["IpPermissions"]
    assert ingress["UserIdGroupPairs"] == [
        {"GroupId": group["GroupId"], "UserId": group["OwnerId"]}
    ]
    [egress] = group["IpPermissionsEgress"]
    assert egress["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}] and egress["IpProtocol"] == "-1"
    table = only(client, "describe_route_tables")
    assert table["VpcId"] == vpc and table["Associations"][0]["Main"] is True
    routes = {one["DestinationCidrBlock"]: one["GatewayId"] for one in table["Routes"]}
    assert routes["172.31.0.0/16"] == "local" and routes["0.0.0.0/0"].startswith("igw-")
    acl = only(client, "describe_network_acls")
    assert (acl["IsDefault"], acl["VpcId"]) == (True, vpc)
    assert {one["SubnetId"] for one in acl["Associations"]} == subnets
    rules = {(one["Egress"], one["RuleNumber"]): one["RuleAction"] for one in acl["Entries"]}
    assert rules == {
        (egress, number): action
        for egress in (True, False)
        for number, action in ((100, "allow"), (32767, "deny"))
    }


def test_a_launch_takes_an_address_of_its_subnet(plane: Plane) -> None:
    client = plane.client(keys=plane.account("addresses"))
    subnet = launch(client)["SubnetId"]
    counts = {
        one["SubnetId"]: one["AvailableIpAddressCount"]
        for one in listed(client, "describe_subnets")
    }
    assert counts.pop(subnet) == 4090 and set(counts.values()) == {4091}


@pytest.mark.parametrize("action", NOUNS)
def test_ids_are_looked_up_among_the_callers_own(plane: Plane, client: Any, action: str) -> None:
    parameter = NOUNS[action][2]
    prefix, not_found, malformed = CODES[action]
    own = sorted(ids(client, action))
    assert ids(client, action, **{parameter: own[:1]}) == set(own[:1])
    stranger = plane.client(keys=plane.account("stranger"))
    call = getattr(stranger, action)
    assert code(call, **{parameter: own[:1]}) == not_found
    assert code(call, **{parameter: [f"{prefix}-00000000000000000"]}) == not_found
    assert code(call, **{parameter: [f"{prefix}-nonsense"]}) == malformed
    assert code(call, Filters=by_filter("colour", "x")) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("action", "name", "value", "many"),
    [
        ("describe_vpcs", "cidr", "172.31.0.0/16", 1),
        ("describe_vpcs", "is-default", "true", 1),
        ("describe_vpcs", "isDefault", "false", 0),
        ("describe_vpcs", "state", "available", 1),
        ("describe_vpcs", "cidr-block-association.state", "associated", 1),
        ("describe_subnets", "availability-zone", "us-east-1a", 1),
        ("describe_subnets", "availabilityZone", "us-east-1*", 6),
        ("describe_subnets", "default-for-az", "true", 6),
        ("describe_subnets", "cidr-block", "172.31.0.0/20", 1),
        ("describe_subnets", "available-ip-address-count", "4091", 6),
        ("describe_subnets", "map-public-ip-on-launch", "true", 6),
        ("describe_subnets", "subnet-arn", "arn:aws:ec2:us-east-1:*:subnet/subnet-*", 6),
        ("describe_security_groups", "group-name", "default", 1),
        ("describe_security_groups", "ip-permission.protocol", "-1", 1),
        ("describe_security_groups", "egress.ip-permission.cidr", "0.0.0.0/0", 1),
        ("describe_route_tables", "association.main", "true", 1),
        ("describe_route_tables", "route.gateway-id", "local", 1),
        ("describe_route_tables", "route.destination-cidr-block", "10.*", 0),
        ("describe_network_acls", "default", "true", 1),
        ("describe_network_acls", "entry.rule-number", "32767", 1),
        ("describe_network_acls", "entry.rule-action", "deny", 1),
    ],
)
def test_parts_are_found_by_what_they_are(
    client: Any, action: str, name: str, value: str, many: int
) -> None:
    assert len(ids(client, action, Filters=by_filter(name, value))) == many
    vpc = only(client, "describe_vpcs")["VpcId"]
    both = by_filter(name, value) + by_filter("vpc-id", vpc)
    assert len(ids(client, action, Filters=both)) == many
    elsewhere = by_filter(name, value) + by_filter("vpc-id", "vpc-00000000000000000")
    assert ids(client, action, Filters=elsewhere) == set()


def test_what_clients_look_for_after_creating_is_found(client: Any) -> None:
    """Terraform looks up a VPC's main route table, default ACL and default group."""
    vpc = only(client, "describe_vpcs")["VpcId"]
    subnet = sorted(ids(client, "describe_subnets"))[0]
    of_vpc = by_filter("vpc-id", vpc)
    assert only(
        client, "describe_route_tables", Filters=of_vpc + by_filter("association.main", "true")
    )
    assert only(client, "describe_network_acls", Filters=of_vpc + by_filter("default", "true"))
    by_subnet = by_filter("association.subnet-id", subnet)
    assert only(client, "describe_network_acls", Filters=by_subnet)["IsDefault"]
    group = of_vpc + by_filter("group-name", "default")
    assert only(client, "describe_security_groups", Filters=group)


def test_groups_are_described_by_name(client: Any) -> None:
    group = only(client, "describe_security_groups", GroupNames=["default"])
    assert group["GroupName"] == "default"
    for name in ("absent", "def*"):
        refused = refusal(client.describe_security_groups, GroupNames=["default", name])
        assert (refused.code, refused.message) == (
            "InvalidGroup.NotFound", f"The security group '{name}' does not exist",
        )  # fmt: skip


def test_lists_of_subnets_have_pages(plane: Plane, client: Any) -> None:
    pages = list(
        client.get_paginator("describe_subnets").paginate(PaginationConfig={"PageSize": 5})
    )
    assert [len(page["Subnets"]) for page in pages] == [5, 1]
    unchecked = plane.client(parameter_validation=False)
    for action in NOUNS:
        for size in (4, 1001):
            assert code(getattr(unchecked, action), MaxResults=size) == "InvalidParameterValue"
