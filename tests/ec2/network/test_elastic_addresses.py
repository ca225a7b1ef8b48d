"""Elastic IP addresses: associations that can be repeated, the quota, and where each is shown."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import AT_ONCE, by_filter, code, described, launch, running, wait
from plane import LAUNCH, Plane
from sametoken.resources.kit import counters, rows, tombstones
from sametoken.resources.network.elastic_addresses import ASSOCIATION

Interface = Callable[[], str]


@pytest.fixture
def client(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]), max_pool_connections=32)


@pytest.fixture
def subnet(client: Any) -> str:
    return str(client.describe_subnets()["Subnets"][0]["SubnetId"])


@pytest.fixture
def interface(client: Any, subnet: str) -> Interface:
    return lambda: str(
        client.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    )


def allocated(client: Any) -> str:
    return str(client.allocate_address(Domain="vpc")["AllocationId"])


def address_of(client: Any, allocation: str) -> dict[str, Any]:
    [shown] = client.describe_addresses(AllocationIds=[allocation])["Addresses"]
    found: dict[str, Any] = shown
    return found


def interface_of(client: Any, id: str) -> dict[str, Any]:
    [shown] = client.describe_network_interfaces(NetworkInterfaceIds=[id])["NetworkInterfaces"]
    found: dict[str, Any] = shown
    return found


def test_an_allocation_is_shown_as_it_was_made(client: Any) -> None:
    tags = [{"Key": "Name", "Value": "front"}]
    made = client.allocate_address(
        Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}]
    )
    shown = address_of(client, made["AllocationId"])
    assert shown.pop("Tags") == tags
    made.pop("ResponseMetadata")
    assert shown == made
    [attribute] = client.describe_addresses_attribute(
        AllocationIds=[made["AllocationId"]], Attribute="domain-name"
    )["Addresses"]
    assert attribute == {name: made[name] for name in ("AllocationId", "PublicIp")}


def test_a_sixth_address_is_refused_until_one_is_released_or_the_limit_is_raised(
    plane: Plane, client: Any
) -> None:
    """AllocateAddress has no client token: each call makes another, and only the quota stops it."""
    made = [allocated(client) for _ in range(5)]
    assert len(set(made)) == 5
    assert code(client.allocate_address) == "AddressLimitExceeded"
    client.release_address(AllocationId=made[0])
    allocated(client)
    assert code(client.allocate_address) == "AddressLimitExceeded"
    account = client.describe_vpcs()["Vpcs"][0]["OwnerId"]
    plane.run(lambda tx: counters.set_maximum(tx, f"elastic-ip/{account}/us-east-1", 6))
    allocated(client)
    elsewhere = plane.client(keys=plane.account("another"))
    allocated(elsewhere)


def test_associating_the_same_target_again_is_the_same_association(
    client: Any, interface: Interface
) -> None:
    allocation, target = allocated(client), interface()
    asked = {"AllocationId": allocation, "NetworkInterfaceId": target}
    first = client.associate_address(**asked)["AssociationId"]
    assert client.associate_address(**asked)["AssociationId"] == first
    assert client.associate_address(**asked, AllowReassociation=False)["AssociationId"] == first, (
        "the same target is no reassociation"
    )
    shown = address_of(client, allocation)
    assert (shown["AssociationId"], shown["NetworkInterfaceId"]) == (first, target)
    association = interface_of(client, target)["Association"]
    assert association["AllocationId"] == allocation
    assert association["PublicIp"] == shown["PublicIp"]


def test_thirty_two_associations_at_once_are_one(client: Any, interface: Interface) -> None:
    asked = {"AllocationId": allocated(client), "NetworkInterfaceId": interface()}
    with ThreadPoolExecutor(32) as pool:
        answers = pool.map(lambda _: client.associate_address(**asked), range(32))
        assert len({answer["AssociationId"] for answer in answers}) == 1


def test_another_target_moves_the_address_unless_that_is_forbidden(
    client: Any, interface: Interface
) -> None:
    allocation, old, new = allocated(client), interface(), interface()
    first = client.associate_address(AllocationId=allocation, NetworkInterfaceId=old)
    moving = {"AllocationId": allocation, "NetworkInterfaceId": new}
    refused = code(client.associate_address, **moving, AllowReassociation=False)
    assert refused == "Resource.AlreadyAssociated"
    assert interface_of(client, old)["Association"]["AllocationId"] == allocation
    second = client.associate_address(**moving)
    assert second["AssociationId"] != first["AssociationId"]
    assert "Association" not in interface_of(client, old)
    assert interface_of(client, new)["Association"]["AssociationId"] == second["AssociationId"]


def test_a_target_that_has_an_address_gives_it_up_for_another(
    client: Any, interface: Interface
) -> None:
    one, other, target = allocated(client), allocated(client), interface()
    client.associate_address(AllocationId=one, NetworkInterfaceId=target)
    asked = {"AllocationId": other, "NetworkInterfaceId": target}
    refused = code(client.associate_address, **asked, AllowReassociation=False)
    assert refused == "Resource.AlreadyAssociated"
    client.associate_address(**asked)
    assert "AssociationId" not in address_of(client, one)
    assert interface_of(client, target)["Association"]["AllocationId"] == other


def test_disassociating_again_succeeds_and_an_unknown_one_does_not_exist(
    plane: Plane, client: Any, interface: Interface
) -> None:
    allocation, target = allocated(client), interface()
    id = client.associate_address(AllocationId=allocation, NetworkInterfaceId=target)[
        "AssociationId"
    ]
    client.disassociate_address(AssociationId=id)
    client.associate_address(AllocationId=allocation, NetworkInterfaceId=target)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.disassociate_address(AssociationId=id), range(8)))
    assert address_of(client, allocation)["NetworkInterfaceId"] == target, (
        "a late repeat does not end the association that came after"
    )
    unknown = "eipassoc-0123456789abcdef0"
    assert code(client.disassociate_address, AssociationId=unknown) == (
        "InvalidAssociationID.NotFound"
    )
    elsewhere = plane.client(keys=plane.account("elsewhere"))
    assert code(elsewhere.disassociate_address, AssociationId=id) == (
        "InvalidAssociationID.NotFound"
    )
    assert code(client.create_tags, Resources=[id], Tags=[{"Key": "a", "Value": "b"}]) == (
        "InvalidID"
    )


def test_addresses_are_named_by_their_public_address_too(client: Any, interface: Interface) -> None:
    made = client.allocate_address()
    public = made["PublicIp"]
    client.associate_address(PublicIp=public, NetworkInterfaceId=interface())
    [shown] = client.describe_addresses(PublicIps=[public])["Addresses"]
    assert shown["AllocationId"] == made["AllocationId"]
    client.disassociate_address(PublicIp=public)
    client.disassociate_address(PublicIp=public)
    client.release_address(PublicIp=public)
    for call in (client.release_address, client.disassociate_address):
        assert code(call, PublicIp=public) == "InvalidAddress.NotFound"
    assert code(client.describe_addresses, PublicIps=[public]) == "InvalidAddress.NotFound"


def test_an_address_in_use_is_not_released_and_a_released_one_is_gone(
    plane: Plane, client: Any, interface: Interface
) -> None:
    allocation = allocated(client)
    id = client.associate_address(AllocationId=allocation, NetworkInterfaceId=interface())
    assert code(client.release_address, AllocationId=allocation) == "InvalidIPAddress.InUse"
    client.disassociate_address(AssociationId=id["AssociationId"])
    elsewhere = plane.client(keys=plane.account("elsewhere"))
    for one in (elsewhere, plane.client(keys=plane.account("x"), region="eu-west-1")):
        assert code(one.release_address, AllocationId=allocation) == "InvalidAllocationID.NotFound"
    client.release_address(AllocationId=allocation)
    assert code(client.release_address, AllocationId=allocation) == "InvalidAllocationID.NotFound"
    assert client.describe_addresses()["Addresses"] == []


def test_an_instance_shows_its_elastic_address_instead_of_the_automatic_one(client: Any) -> None:
    id = running(client)
    automatic = described(client, id)["PublicIpAddress"]
    made = client.allocate_address()
    association = client.associate_address(AllocationId=made["AllocationId"], InstanceId=id)
    instance = described(client, id)
    assert instance["PublicIpAddress"] == made["PublicIp"] != automatic
    [shown] = instance["NetworkInterfaces"]
    assert shown["Association"]["PublicIp"] == made["PublicIp"]
    assert shown["PrivateIpAddresses"][0]["Association"] == shown["Association"]
    asked = by_filter("instance-id", id)
    [address] = client.describe_addresses(Filters=asked)["Addresses"]
    assert (address["InstanceId"], address["PrivateIpAddress"]) == (
        id, instance["PrivateIpAddress"],
    )  # fmt: skip
    client.disassociate_address(AssociationId=association["AssociationId"])
    assert described(client, id)["PublicIpAddress"] not in (made["PublicIp"], ""), (
        "an automatic address again"
    )


def test_stopping_changes_an_automatic_address_and_keeps_an_elastic_one(client: Any) -> None:
    automatic, elastic = running(client), running(client)
    before = described(client, automatic)["PublicIpAddress"]
    made = client.allocate_address()
    client.associate_address(AllocationId=made["AllocationId"], InstanceId=elastic)
    client.stop_instances(InstanceIds=[automatic, elastic])
    wait(client, "instance_stopped", automatic, elastic)
    stopped = described(client, automatic)
    assert "PublicIpAddress" not in stopped
    assert "Association" not in stopped["NetworkInterfaces"][0]
    assert described(client, elastic)["PublicIpAddress"] == made["PublicIp"]
    client.start_instances(InstanceIds=[automatic, elastic])
    wait(client, "instance_running", automatic, elastic)
    assert described(client, automatic)["PublicIpAddress"] != before
    assert described(client, elastic)["PublicIpAddress"] == made["PublicIp"]


def test_termination_disassociates_and_the_address_stays_the_accounts(client: Any) -> None:
    id = running(client)
    allocation = allocated(client)
    association = client.associate_address(AllocationId=allocation, InstanceId=id)
    client.terminate_instances(InstanceIds=[id])
    client.get_waiter("instance_terminated").wait(InstanceIds=[id], WaiterConfig=AT_ONCE)
    shown = address_of(client, allocation)
    assert not {"AssociationId", "InstanceId", "NetworkInterfaceId"} & shown.keys()
    client.disassociate_address(AssociationId=association["AssociationId"])
    assert code(client.associate_address, AllocationId=allocation, InstanceId=id) == (
        "InvalidInstanceID"
    )
    client.release_address(AllocationId=allocation)


def test_a_kept_interface_keeps_its_address(client: Any, interface: Interface) -> None:
    target, allocation = interface(), allocated(client)
    client.associate_address(AllocationId=allocation, NetworkInterfaceId=target)
    id = launch(client, NetworkInterfaces=[{"NetworkInterfaceId": target, "DeviceIndex": 0}])[
        "InstanceId"
    ]
    wait(client, "instance_running", id)
    assert described(client, id)["PublicIpAddress"] == address_of(client, allocation)["PublicIp"]
    assert address_of(client, allocation)["InstanceId"] == id
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)
    shown = address_of(client, allocation)
    assert "InstanceId" not in shown
    assert shown["NetworkInterfaceId"] == target
    assert interface_of(client, target)["Status"] == "available"


def test_an_instance_with_two_interfaces_needs_one_of_them_named(client: Any, subnet: str) -> None:
    spec = [{"DeviceIndex": index, "SubnetId": subnet} for index in (0, 1)]
    [instance] = client.run_instances(**LAUNCH, NetworkInterfaces=spec)["Instances"]
    wait(client, "instance_running", instance["InstanceId"])
    asked = {"AllocationId": allocated(client), "InstanceId": instance["InstanceId"]}
    assert code(client.associate_address, **asked) == "InvalidInstanceID"


def test_a_network_without_a_gateway_takes_no_address(client: Any) -> None:
    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    target = client.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    asked = {
        "AllocationId": allocated(client),
        "NetworkInterfaceId": target["NetworkInterfaceId"],
    }
    assert code(client.associate_address, **asked) == "Gateway.NotAttached"


def test_ended_associations_are_remembered_for_a_day(
    plane: Plane, client: Any, interface: Interface
) -> None:
    id = client.associate_address(AllocationId=allocated(client), NetworkInterfaceId=interface())[
        "AssociationId"
    ]
    client.disassociate_address(AssociationId=id)
    row = plane.run(lambda tx: rows.find(tx, id))
    assert row is not None
    assert (row.kind, row.state) == (ASSOCIATION.name, "disassociated")
    plane.advance(timedelta(hours=24, minutes=1))
    plane.run(lambda tx: tombstones.sweep(tx, 1000))
    assert code(client.disassociate_address, AssociationId=id) == "InvalidAssociationID.NotFound"


def test_no_address_is_put_before_what_an_endpoint_or_a_gateway_uses(
    client: Any, subnet: str
) -> None:
    """Deleting the endpoint or gateway deletes its interface, which would end the association."""
    [vpc] = [one["VpcId"] for one in client.describe_subnets(SubnetIds=[subnet])["Subnets"]]
    endpoint = client.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc, ServiceName="com.amazonaws.us-east-1.ec2",
        SubnetIds=[subnet],
    )["VpcEndpoint"]  # fmt: skip
    gateway = client.create_nat_gateway(SubnetId=subnet, AllocationId=allocated(client))
    used = [
        endpoint["NetworkInterfaceIds"][0],
        gateway["NatGateway"]["NatGatewayAddresses"][0]["NetworkInterfaceId"],
    ]
    allocation = allocated(client)
    for interface in used:
        refused = code(
            client.associate_address, AllocationId=allocation, NetworkInterfaceId=interface
        )
        assert refused == "AuthFailure"
    assert "AssociationId" not in address_of(client, allocation)
    client.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
