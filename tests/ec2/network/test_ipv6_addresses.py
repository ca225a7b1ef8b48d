"""IPv6 addresses of interfaces and instances."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from ec2.asking import by_filter, code, described, launch, running
from ec2.network.ipv6 import Document, addresses, new_interface, new_subnet, new_vpc, part
from plane import LAUNCH, Plane

_NAMES = count()


@pytest.fixture
def ec2(plane: Plane) -> Iterator[Any]:
    """Yield a client of an account that only this test uses."""
    yield plane.client(keys=plane.account(f"ipv6-addresses-{next(_NAMES)}"))


@pytest.fixture
def vpc(ec2: Any) -> str:
    return new_vpc(ec2)


def test_interfaces_get_addresses_as_they_or_their_subnet_say(ec2: Any, vpc: str) -> None:
    subnet, block = new_subnet(ec2, vpc, assigns=True), ipaddress.IPv6Network(part(ec2, vpc))
    [automatic] = addresses(new_interface(ec2, subnet))
    assert ipaddress.IPv6Address(automatic) in block
    assert addresses(new_interface(ec2, subnet, Ipv6AddressCount=0)) == [], "0 overrides"
    many = addresses(new_interface(ec2, subnet, Ipv6AddressCount=3))
    assert len({automatic, *many}) == 4
    named = str(block[0xABC])
    asked = [{"Ipv6Address": named.upper()}]
    interface = new_interface(ec2, subnet, Ipv6Addresses=asked, EnablePrimaryIpv6=True)
    assert interface["Ipv6Addresses"] == [{"Ipv6Address": named, "IsPrimaryIpv6": True}]
    taken = code(ec2.create_network_interface, SubnetId=subnet, Ipv6Addresses=asked)
    assert taken == "InvalidIPAddress.InUse"
    filters = by_filter("ipv6-addresses.ipv6-address", named)
    [found] = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert found["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    assert addresses(new_interface(ec2, subnet, Ipv6Addresses=asked)) == [named], "it was freed"


@pytest.mark.parametrize("place", [0, 1, 3, -1])
def test_five_addresses_of_a_block_are_ec2s_own(ec2: Any, vpc: str, place: int) -> None:
    subnet, block = new_subnet(ec2, vpc), ipaddress.IPv6Network(part(ec2, vpc))
    asked = [{"Ipv6Address": str(block[place])}]
    refused = code(ec2.create_network_interface, SubnetId=subnet, Ipv6Addresses=asked)
    assert refused == "InvalidParameterValue"


def test_ipv6_takes_no_ipv4_address_of_the_subnet(ec2: Any, vpc: str) -> None:
    subnet = new_subnet(ec2, vpc)
    new_interface(ec2, subnet, Ipv6AddressCount=5)
    [found] = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert found["AvailableIpAddressCount"] == 250


def test_addresses_are_assigned_and_unassigned(ec2: Any, vpc: str) -> None:
    subnet, block = new_subnet(ec2, vpc), ipaddress.IPv6Network(part(ec2, vpc))
    interface = {"NetworkInterfaceId": new_interface(ec2, subnet)["NetworkInterfaceId"]}
    made = ec2.assign_ipv6_addresses(**interface, Ipv6AddressCount=2)["AssignedIpv6Addresses"]
    named = str(block[77])
    for _ in range(2):  # a repeat with names changes nothing
        again = ec2.assign_ipv6_addresses(**interface, Ipv6Addresses=[named])
        assert again["AssignedIpv6Addresses"] == [named]
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[*interface.values()])[
        "NetworkInterfaces"
    ]
    assert addresses(found) == [*made, named]
    ended = ec2.unassign_ipv6_addresses(**interface, Ipv6Addresses=made)
    assert ended["UnassignedIpv6Addresses"] == made
    refused = code(ec2.unassign_ipv6_addresses, **interface, Ipv6Addresses=made)
    assert refused == "InvalidParameterValue"
    other = new_interface(ec2, subnet)["NetworkInterfaceId"]
    asked = {"NetworkInterfaceId": other, "Ipv6Addresses": made}
    assert ec2.assign_ipv6_addresses(**asked)["AssignedIpv6Addresses"] == made, "they were freed"


def test_a_primary_address_stays(ec2: Any, vpc: str) -> None:
    subnet = new_subnet(ec2, vpc)
    interface = {"NetworkInterfaceId": new_interface(ec2, subnet)["NetworkInterfaceId"]}
    modify = ec2.modify_network_interface_attribute
    assert code(modify, **interface, EnablePrimaryIpv6=True) == "InvalidParameterValue"
    made = ec2.assign_ipv6_addresses(**interface, Ipv6AddressCount=2)["AssignedIpv6Addresses"]
    for _ in range(2):  # a repeat changes nothing
        modify(**interface, EnablePrimaryIpv6=True)
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[*interface.values()])[
        "NetworkInterfaces"
    ]
    assert [one["IsPrimaryIpv6"] for one in found["Ipv6Addresses"]] == [True, False]
    unassign = ec2.unassign_ipv6_addresses
    assert code(unassign, **interface, Ipv6Addresses=made[:1]) == "OperationNotPermitted"
    assert code(modify, **interface, EnablePrimaryIpv6=False) == "OperationNotPermitted"
    unassign(**interface, Ipv6Addresses=made[1:])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Ipv6AddressCount": 65}, "PrivateIpAddressLimitExceeded"),
        ({"Ipv6AddressCount": -1}, "InvalidParameterValue"),
        ({"Ipv6Addresses": ["10.0.0.1"]}, "InvalidParameterValue"),
        ({"Ipv6Addresses": ["2001:db8::7"]}, "InvalidParameterValue"),
        ({"Ipv6PrefixCount": 1}, "UnsupportedOperation"),
    ],
)
def test_addresses_that_cannot_be_assigned_are_refused(
    ec2: Any, vpc: str, asked: Document, expected: str
) -> None:
    id = new_interface(ec2, new_subnet(ec2, vpc))["NetworkInterfaceId"]
    assert code(ec2.assign_ipv6_addresses, NetworkInterfaceId=id, **asked) == expected


def test_instances_show_the_addresses_that_they_were_launched_with(ec2: Any, vpc: str) -> None:
    subnet, block = new_subnet(ec2, vpc, assigns=True), ipaddress.IPv6Network(part(ec2, vpc))
    instance = described(ec2, running(ec2, SubnetId=subnet))
    [interface] = instance["NetworkInterfaces"]
    assert addresses(interface) == [instance["Ipv6Address"]]
    for name in ("ipv6-address", "network-interface.ipv6-addresses.ipv6-address"):
        filters = by_filter(name, instance["Ipv6Address"])
        [reservation] = ec2.describe_instances(Filters=filters)["Reservations"]
        assert reservation["Instances"][0]["InstanceId"] == instance["InstanceId"]
    assert "Ipv6Address" not in launch(ec2, SubnetId=subnet, Ipv6AddressCount=0)
    named = [{"Ipv6Address": str(block[99])}]
    first = launch(ec2, SubnetId=subnet, Ipv6Addresses=named, EnablePrimaryIpv6=True)
    assert first["NetworkInterfaces"][0]["Ipv6Addresses"] == [{**named[0], "IsPrimaryIpv6": True}]
    own = [{"DeviceIndex": 0, "SubnetId": subnet, "Ipv6AddressCount": 2}]
    assert len(addresses(launch(ec2, NetworkInterfaces=own)["NetworkInterfaces"][0])) == 2


def test_a_replay_shows_the_same_addresses(ec2: Any, vpc: str) -> None:
    asked = {**LAUNCH, "SubnetId": new_subnet(ec2, vpc, assigns=True), "ClientToken": "ipv6"}
    first, again = (ec2.run_instances(**asked)["Instances"][0] for _ in range(2))
    assert first["Ipv6Address"] == again["Ipv6Address"]
    other = {**asked, "Ipv6AddressCount": 2}
    assert code(ec2.run_instances, **other) == "IdempotentParameterMismatch"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"Ipv6AddressCount": 5}, "PrivateIpAddressLimitExceeded"),
        ({"Ipv6AddressCount": 1, "Ipv6Addresses": [{"Ipv6Address": "2001:db8::7"}]},
         "InvalidParameterCombination"),
        ({"Ipv6Addresses": [{"Ipv6Address": "2001:db8::7"}], "MaxCount": 2},
         "InvalidParameterCombination"),
        ({"Ipv6Addresses": [{"Ipv6Address": "ten"}]}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_addresses_that_no_launch_can_have_are_refused(
    ec2: Any, vpc: str, asked: Document, expected: str
) -> None:
    asked = {**LAUNCH, "SubnetId": new_subnet(ec2, vpc), "InstanceType": "t3.micro", **asked}
    assert code(ec2.run_instances, **asked) == expected
