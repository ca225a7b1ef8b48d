"""The network of a launch: subnets, groups, addresses, and interfaces in each of their forms."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from ec2.asking import (
    AT_ONCE,
    by_filter,
    code,
    described,
    end,
    insert,
    launch,
    refusal,
    running,
    wait,
)  # fmt: skip
from plane import LAUNCH, Plane
from sametoken.resources.kit import listings
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, vpcs
from sametoken.store.port import Tx

ABSENT_SUBNET = "subnet-00000000000000000"
ABSENT_GROUP = "sg-00000000000000000"
ABSENT_INTERFACE = "eni-00000000000000000"


@pytest.fixture(scope="module")
def home(plane: Plane) -> tuple[Any, dict[str, dict[str, Any]]]:
    """Return a client, and the default subnets by zone."""
    client = plane.client(keys=plane.account("network"))
    subnets = client.describe_subnets()["Subnets"]
    return client, {one["AvailabilityZone"]: one for one in subnets}


def address_in(subnet: dict[str, Any], number: int) -> str:
    return str(ipaddress.ip_network(subnet["CidrBlock"])[number])


def other_vpc(plane: Plane, account: str) -> tuple[str, str]:
    """Make a second VPC; return its subnet in us-east-1a and its security group."""

    def like(tx: Tx, kind: Any, row: Row, vpc: str, **doc: Any) -> Row:
        id = mint(tx, kind.prefix)
        return Row(
            id, kind.name, account, "us-east-1", "available", {**row.doc, "VpcId": vpc, **doc},
            tx.now, row.zone, parents=(vpc,), name=doc.get("name"),
        )  # fmt: skip

    def first(tx: Tx, kind: Any) -> Row:
        return listings.every(tx, kind, account, "us-east-1")[0]

    def new_vpc(tx: Tx) -> Row:
        known = first(tx, vpcs.VPC)
        doc = {**known.doc, "IsDefault": False}
        return Row(mint(tx, "vpc"), "vpc", account, "us-east-1", "available", doc, tx.now)

    vpc = insert(plane, new_vpc).id
    subnet = insert(
        plane,
        lambda tx: like(
            tx, vpcs.SUBNET, default_vpc.subnets(tx, account, "us-east-1")[0], vpc,
            CidrBlock="10.9.0.0/24", DefaultForAz=False, MapPublicIpOnLaunch=False,
        ),
    )  # fmt: skip
    group = insert(
        plane,
        lambda tx: like(
            tx, vpcs.SECURITY_GROUP, first(tx, vpcs.SECURITY_GROUP), vpc,
            GroupName="default", name=f"{vpc}/default",
        ),
    )  # fmt: skip
    return subnet.id, group.id


def test_a_launch_that_names_nothing_goes_into_a_default_subnet_with_a_public_address(
    home: tuple[Any, dict[str, dict[str, Any]]],
) -> None:
    client, subnets = home
    id = running(client)
    shown = described(client, id)
    subnet = subnets[shown["Placement"]["AvailabilityZone"]]
    assert (shown["SubnetId"], shown["VpcId"]) == (subnet["SubnetId"], subnet["VpcId"])
    address = ipaddress.ip_address(shown["PrivateIpAddress"])
    assert address in ipaddress.ip_network(subnet["CidrBlock"])
    assert [one["GroupName"] for one in shown["SecurityGroups"]] == ["default"]
    [interface] = shown["NetworkInterfaces"]
    assert interface["Association"]["PublicIp"] == shown["PublicIpAddress"]
    assert interface["PrivateIpAddresses"][0]["PrivateIpAddress"] == shown["PrivateIpAddress"]
    assert interface["Attachment"]["DeviceIndex"] == 0 and interface["SourceDestCheck"] is True


@pytest.mark.parametrize("form", ["top level", "interface"])
def test_a_fixed_private_address_is_held_by_one_and_given_back(
    home: tuple[Any, dict[str, dict[str, Any]]], form: str
) -> None:
    client, subnets = home
    subnet = subnets["us-east-1b" if form == "interface" else "us-east-1c"]
    address = address_in(subnet, 100)
    where = {"SubnetId": subnet["SubnetId"], "PrivateIpAddress": address}
    params = where if form == "top level" else {"NetworkInterfaces": [{"DeviceIndex": 0, **where}]}
    token = f"fixed {form}"
    id = running(client, ClientToken=token, **params)
    assert described(client, id)["PrivateIpAddress"] == address
    assert described(client, id)["PrivateDnsName"] == f"ip-{address.replace('.', '-')}.ec2.internal"
    refused = refusal(client.run_instances, **LAUNCH, **params)
    assert (refused.code, refused.status) == ("InvalidIPAddress.InUse", 400)
    # A retry of the launch is not refused for the address that the launch itself took.
    assert launch(client, ClientToken=token, **params)["InstanceId"] == id
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)
    assert launch(client, ClientToken=token, **params)["InstanceId"] == id
    assert launch(client, **params)["PrivateIpAddress"] == address


def test_an_interface_is_described_as_it_was_asked_for(
    home: tuple[Any, dict[str, dict[str, Any]]],
) -> None:
    client, subnets = home
    subnet = subnets["us-east-1a"]
    [group] = client.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    asked = {
        "DeviceIndex": 0,
        "SubnetId": subnet["SubnetId"],
        "Groups": [group["GroupId"]],
        "Description": "the first",
        "DeleteOnTermination": False,
        "AssociatePublicIpAddress": False,
        "InterfaceType": "interface",
        "NetworkCardIndex": 0,
    }
    id = running(client, NetworkInterfaces=[asked])
    shown = described(client, id)
    assert "PublicIpAddress" not in shown
    [interface] = shown["NetworkInterfaces"]
    assert interface["Description"] == "the first"
    assert interface["Groups"] == [{"GroupId": group["GroupId"], "GroupName": "default"}]
    assert interface["Attachment"]["DeleteOnTermination"] is False
    filters = by_filter("attachment.instance-id", id)
    [alone] = client.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert alone["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    assert (alone["Status"], alone["Attachment"]["InstanceId"]) == ("in-use", id)
    assert alone["MacAddress"] == interface["MacAddress"]


def test_an_interface_that_survives_is_attached_to_the_next_instance(
    home: tuple[Any, dict[str, dict[str, Any]]],
) -> None:
    client, subnets = home
    subnet = subnets["us-east-1a"]["SubnetId"]
    kept = {"DeviceIndex": 0, "SubnetId": subnet, "DeleteOnTermination": False}
    first = running(client, NetworkInterfaces=[kept])
    [before] = described(client, first)["NetworkInterfaces"]
    existing = {"DeviceIndex": 0, "NetworkInterfaceId": before["NetworkInterfaceId"]}
    params = {"NetworkInterfaces": [existing], "ClientToken": "existing"}
    assert code(client.run_instances, **LAUNCH, **params) == "InvalidNetworkInterface.InUse"
    client.terminate_instances(InstanceIds=[first])
    wait(client, "instance_terminated", first)
    waiter = client.get_waiter("network_interface_available")
    waiter.wait(NetworkInterfaceIds=[before["NetworkInterfaceId"]], WaiterConfig=AT_ONCE)
    second = running(client, **params)
    [after] = described(client, second)["NetworkInterfaces"]
    for name in ("NetworkInterfaceId", "PrivateIpAddress", "MacAddress", "SubnetId"):
        assert after[name] == before[name]
    assert described(client, second)["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert launch(client, **params)["InstanceId"] == second
    client.terminate_instances(InstanceIds=[second])
    wait(client, "instance_terminated", second)
    # An interface that existed before its instance survives it.
    waiter.wait(NetworkInterfaceIds=[before["NetworkInterfaceId"]], WaiterConfig=AT_ONCE)


def test_several_interfaces_are_attached_by_their_device_indexes(
    home: tuple[Any, dict[str, dict[str, Any]]],
) -> None:
    client, subnets = home
    subnet = subnets["us-east-1d"]["SubnetId"]
    asked = [
        {"DeviceIndex": 1, "SubnetId": subnet, "Description": "second"},
        {"DeviceIndex": 0, "SubnetId": subnet, "Description": "first"},
    ]
    id = running(client, NetworkInterfaces=asked)
    shown = described(client, id)["NetworkInterfaces"]
    assert [one["Description"] for one in shown] == ["first", "second"]
    assert [one["Attachment"]["DeviceIndex"] for one in shown] == [0, 1]
    assert described(client, id)["PrivateIpAddress"] == shown[0]["PrivateIpAddress"]


def nic(**members: Any) -> dict[str, Any]:
    return {"NetworkInterfaces": [{"DeviceIndex": 0, **members}]}


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"SubnetId": "subnet-x"}, "InvalidSubnetID.Malformed"),
    ({"SubnetId": ABSENT_SUBNET}, "InvalidSubnetID.NotFound"),
    ({"SecurityGroupIds": ["group"]}, "InvalidGroupId.Malformed"),
    ({"SecurityGroupIds": [ABSENT_GROUP]}, "InvalidGroup.NotFound"),
    ({"SecurityGroups": ["absent"]}, "InvalidGroup.NotFound"),
    (nic(SubnetId="subnet-x"), "InvalidSubnetID.Malformed"),
    (nic(SubnetId=ABSENT_SUBNET), "InvalidSubnetID.NotFound"),
    (nic(Groups=[ABSENT_GROUP]), "InvalidGroup.NotFound"),
    (nic(NetworkInterfaceId="eni-x"), "InvalidNetworkInterfaceId.Malformed"),
    (nic(NetworkInterfaceId=ABSENT_INTERFACE), "InvalidNetworkInterfaceID.NotFound"),
    (nic(InterfaceType="efa"), "UnsupportedOperation"),
    (nic(NetworkCardIndex=1), "InvalidParameterValue"),
    (nic(DeviceIndex=1), "InvalidParameterCombination"),
    ({"NetworkInterfaces": [{"DeviceIndex": 0}] * 2}, "InvalidParameterCombination"),
    ({**nic(), "SubnetId": ABSENT_SUBNET}, "InvalidParameterCombination"),
    ({**nic(), "SecurityGroupIds": [ABSENT_GROUP]}, "InvalidParameterCombination"),
    ({**nic(), "SecurityGroups": ["default"]}, "InvalidParameterCombination"),
    ({**nic(), "PrivateIpAddress": "172.31.0.10"}, "InvalidParameterCombination"),
    ({"SubnetId": ABSENT_SUBNET, "SecurityGroups": ["default"]}, "InvalidParameterCombination"),
    *(
        (nic(NetworkInterfaceId=ABSENT_INTERFACE, **more), "InvalidParameterCombination")
        for more in (
            {"SubnetId": ABSENT_SUBNET},
            {"Groups": [ABSENT_GROUP]},
            {"PrivateIpAddress": "172.31.0.10"},
            {"AssociatePublicIpAddress": True},
            {"DeleteOnTermination": True},
            {"Description": "new"},
        )
    ),
    ({"PrivateIpAddress": "172.31.0.10", "MaxCount": 2}, "InvalidParameterCombination"),
    ({**nic(PrivateIpAddress="172.31.0.10"), "MaxCount": 2}, "InvalidParameterCombination"),
    (
        {
            "NetworkInterfaces": [
                {"DeviceIndex": 0, "AssociatePublicIpAddress": True},
                {"DeviceIndex": 1},
            ]
        },
        "InvalidParameterCombination",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("params", "expected"), INVALID, ids=str)
def test_a_network_that_makes_no_sense_is_refused(
    plane: Plane, params: dict[str, Any], expected: str
) -> None:
    assert code(plane.client().run_instances, **{**LAUNCH, **params}) == expected


def test_an_address_outside_or_reserved_is_refused(
    home: tuple[Any, dict[str, dict[str, Any]]],
) -> None:
    client, subnets = home
    subnet = subnets["us-east-1a"]
    last = ipaddress.ip_network(subnet["CidrBlock"]).num_addresses - 1
    for address in ("10.0.0.1", "nonsense", *(address_in(subnet, n) for n in (0, 3, last))):
        params = {"SubnetId": subnet["SubnetId"], "PrivateIpAddress": address}
        assert code(client.run_instances, **LAUNCH, **params) == "InvalidParameterValue"


def test_zone_subnet_and_groups_must_belong_together(plane: Plane) -> None:
    keys = plane.account("two vpcs")
    client = plane.client(keys=keys)
    default = {one["AvailabilityZone"]: one for one in client.describe_subnets()["Subnets"]}
    subnet, group = other_vpc(plane, keys.account)
    wrong = {"SubnetId": default["us-east-1a"]["SubnetId"], "SecurityGroupIds": [group]}
    refused = refusal(client.run_instances, **LAUNCH, **wrong)
    assert refused.code == "InvalidParameter"
    assert refused.message == (
        f"Security group {group} and subnet {wrong['SubnetId']} belong to different networks."
    )
    shown = launch(client, SubnetId=subnet, SecurityGroupIds=[group])
    assert ipaddress.ip_address(shown["PrivateIpAddress"]) in ipaddress.ip_network("10.9.0.0/24")
    zone = {"Placement": {"AvailabilityZone": "us-east-1b"}}
    assert code(client.run_instances, **LAUNCH, **zone, SubnetId=subnet) == "InvalidParameterValue"
    apart = [
        {"DeviceIndex": 0, "SubnetId": default["us-east-1a"]["SubnetId"]},
        {"DeviceIndex": 1, "SubnetId": default["us-east-1b"]["SubnetId"]},
    ]
    params = {**LAUNCH, "NetworkInterfaces": apart}
    assert code(client.run_instances, **params) == "InvalidParameterCombination"
    id = running(client)
    call = client.modify_instance_attribute
    assert code(call, InstanceId=id, Groups=[group]) == "InvalidParameter"


def test_groups_are_taken_by_name_too(home: tuple[Any, dict[str, dict[str, Any]]]) -> None:
    client, _ = home
    shown = launch(client, SecurityGroups=["default"])["SecurityGroups"]
    assert [one["GroupName"] for one in shown] == ["default"]


def test_without_default_subnets_a_launch_must_name_one(plane: Plane) -> None:
    keys = plane.account("no default subnets")
    client = plane.client(keys=keys)
    for subnet in client.describe_subnets()["Subnets"]:
        end(plane, vpcs.SUBNET, subnet["SubnetId"])
    assert code(client.run_instances, **LAUNCH) == "MissingInput"
    [vpc] = client.describe_vpcs()["Vpcs"]
    end(plane, vpcs.VPC, vpc["VpcId"])
    assert code(client.run_instances, **LAUNCH) == "VPCIdNotSpecified"


def test_interfaces_are_found_by_what_they_are(plane: Plane) -> None:
    client = plane.client(keys=plane.account("interface filters"))
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "net", "Value": "front"}]}]
    id = running(client, TagSpecifications=tags, Placement={"AvailabilityZone": "us-east-1a"})
    launch(client, Placement={"AvailabilityZone": "us-east-1b"})
    [own] = described(client, id)["NetworkInterfaces"]

    def ids(name: str, *values: str) -> set[str]:
        answer = client.describe_network_interfaces(Filters=by_filter(name, *values))
        return {one["NetworkInterfaceId"] for one in answer["NetworkInterfaces"]}

    for name, value in (
        ("attachment.instance-id", id),
        ("attachment.attachment-id", own["Attachment"]["AttachmentId"]),
        ("addresses.private-ip-address", own["PrivateIpAddress"]),
        ("association.public-ip", own["Association"]["PublicIp"]),
        ("availability-zone", "us-east-1a"),
        ("mac-address", own["MacAddress"]),
        ("network-interface-id", own["NetworkInterfaceId"]),
        ("private-dns-name", own["PrivateDnsName"]),
        ("subnet-id", own["SubnetId"]),
        ("tag:net", "front"),
    ):
        assert ids(name, value) == {own["NetworkInterfaceId"]}, name
    for name, value in (
        ("group-name", "default"), ("status", "in-use"), ("requester-managed", "false"),
        ("interface-type", "interface"), ("vpc-id", own["VpcId"]),
    ):  # fmt: skip
        assert len(ids(name, value)) == 2, name
    describe = client.describe_network_interfaces
    assert code(describe, Filters=by_filter("colour", "x")) == "InvalidParameterValue"
    assert code(describe, NetworkInterfaceIds=["eni"]) == "InvalidNetworkInterfaceId.Malformed"
