"""Network interfaces outside a launch: token, addresses, and attachment.

`test_every_create` tests the promises of every create with a token (repeats, duplicates at once,
other Regions and accounts); the tests here are of EC2's exceptions for CreateNetworkInterface.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from ec2.asking import by_filter, code, described, launch, refusal, row_of, running, wait
from plane import LAUNCH, Plane
from sametoken.resources.network.interfaces import DETACHED_SHOWN

MISMATCH = "IdempotentParameterMismatch"


@pytest.fixture
def client(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


@pytest.fixture
def subnet(client: Any) -> dict[str, Any]:
    """Return the default subnet of the first zone."""
    [found] = client.describe_subnets(Filters=by_filter("availability-zone", "us-east-1a"))[
        "Subnets"
    ]
    shown: dict[str, Any] = found
    return shown


@pytest.fixture
def groups(client: Any, subnet: dict[str, Any]) -> list[str]:
    return [
        str(
            client.create_security_group(GroupName=name, Description=name, VpcId=subnet["VpcId"])[
                "GroupId"
            ]
        )
        for name in ("one", "two")
    ]


def create(client: Any, subnet: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = client.create_network_interface(SubnetId=subnet["SubnetId"], **more)
    shown: dict[str, Any] = made["NetworkInterface"]
    return shown


def interface_of(client: Any, id: str) -> dict[str, Any]:
    [shown] = client.describe_network_interfaces(NetworkInterfaceIds=[id])["NetworkInterfaces"]
    found: dict[str, Any] = shown
    return found


def addresses(shown: dict[str, Any]) -> list[str]:
    assert shown["PrivateIpAddresses"][0]["Primary"]
    assert shown["PrivateIpAddresses"][0]["PrivateIpAddress"] == shown["PrivateIpAddress"]
    return [str(one["PrivateIpAddress"]) for one in shown["PrivateIpAddresses"]]


def free_address(subnet: dict[str, Any], place: int) -> str:
    return str(ipaddress.IPv4Network(subnet["CidrBlock"])[place])


def test_a_new_interface_is_shown_with_what_was_asked(
    client: Any, subnet: dict[str, Any], groups: list[str]
) -> None:
    tags = [{"Key": "Name", "Value": "front"}]
    made = client.create_network_interface(
        SubnetId=subnet["SubnetId"],
        Description="front",
        Groups=groups,
        ClientToken="a token",
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
    )
    assert made["ClientToken"] == "a token"
    shown = made["NetworkInterface"]
    assert shown == interface_of(client, shown["NetworkInterfaceId"])
    assert (shown["Status"], shown["Description"], shown["TagSet"]) == ("available", "front", tags)
    assert [one["GroupId"] for one in shown["Groups"]] == groups
    assert shown["InterfaceType"] == "interface"
    assert (shown["SubnetId"], shown["VpcId"]) == (subnet["SubnetId"], subnet["VpcId"])
    assert len(addresses(shown)) == 1


def test_tags_and_the_order_of_groups_are_no_part_of_the_intent(
    client: Any, subnet: dict[str, Any], groups: list[str]
) -> None:
    """Seen in EC2's own answers. A replay shows the interface's tags, not those of the repeat."""
    first = create(client, subnet, Groups=groups, ClientToken="t")
    specification = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]
    again = create(
        client, subnet, Groups=groups[::-1], ClientToken="t", TagSpecifications=specification
    )
    assert again == first


@pytest.mark.parametrize(
    "other",
    [
        {"Description": "other"},
        {"SecondaryPrivateIpAddressCount": 2},
        {"InterfaceType": "interface"},
        {"PrivateIpAddress": "172.31.0.99"},
        {"Groups": []},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_is_part_of_the_intent(
    client: Any, subnet: dict[str, Any], other: dict[str, Any], groups: list[str]
) -> None:
    asked = {"Description": "one", "SecondaryPrivateIpAddressCount": 1, "Groups": groups}
    create(client, subnet, **asked, ClientToken="t")
    changed = {**asked, **other}
    if not changed["Groups"]:
        changed["Groups"] = groups[:1]
    assert (
        refusal(
            client.create_network_interface,
            SubnetId=subnet["SubnetId"], ClientToken="t", **changed,
        ).message
        == "Arguments on this idempotent request are inconsistent with arguments used in previous "
        "request(s)."
    )  # fmt: skip
    assert len(client.describe_network_interfaces()["NetworkInterfaces"]) == 1


def test_a_replay_shows_what_became_of_the_interface(
    client: Any, subnet: dict[str, Any], groups: list[str]
) -> None:
    id = create(client, subnet, ClientToken="t")["NetworkInterfaceId"]
    client.modify_network_interface_attribute(
        NetworkInterfaceId=id, Description={"Value": "changed"}
    )
    client.modify_network_interface_attribute(NetworkInterfaceId=id, Groups=groups[:1])
    client.assign_private_ip_addresses(NetworkInterfaceId=id, SecondaryPrivateIpAddressCount=1)
    again = create(client, subnet, ClientToken="t")
    assert again == interface_of(client, id)
    assert again["Description"] == "changed"
    assert len(addresses(again)) == 2


def test_a_repeat_with_a_fixed_address_succeeds(client: Any, subnet: dict[str, Any]) -> None:
    """EC2 itself refuses such a retry, since it checks the address first, and the first try has
    taken it."""
    asked = {
        "PrivateIpAddresses": [
            {"PrivateIpAddress": free_address(subnet, 50), "Primary": True},
            {"PrivateIpAddress": free_address(subnet, 51), "Primary": False},
        ]
    }
    first = create(client, subnet, **asked, ClientToken="t")
    assert addresses(first) == [free_address(subnet, 50), free_address(subnet, 51)]
    assert create(client, subnet, **asked, ClientToken="t") == first
    refused = code(
        client.create_network_interface,
        SubnetId=subnet["SubnetId"], PrivateIpAddress=free_address(subnet, 51),
    )  # fmt: skip
    assert refused == "InvalidIPAddress.InUse"


def test_a_refused_address_binds_no_token(client: Any, subnet: dict[str, Any]) -> None:
    taken = create(client, subnet)["PrivateIpAddress"]
    asked = {"SubnetId": subnet["SubnetId"], "ClientToken": "t"}
    refused = code(client.create_network_interface, **asked, PrivateIpAddress=taken)
    assert refused == "InvalidIPAddress.InUse"
    client.create_network_interface(**asked)


def test_a_replay_after_deletion_is_refused_and_makes_nothing(
    client: Any, subnet: dict[str, Any]
) -> None:
    asked = {"PrivateIpAddress": free_address(subnet, 60), "ClientToken": "t"}
    id = create(client, subnet, **asked)["NetworkInterfaceId"]
    client.delete_network_interface(NetworkInterfaceId=id)
    refused = code(client.create_network_interface, SubnetId=subnet["SubnetId"], **asked)
    assert refused == MISMATCH
    assert client.describe_network_interfaces()["NetworkInterfaces"] == []
    assert code(client.delete_network_interface, NetworkInterfaceId=id) == (
        "InvalidNetworkInterfaceID.NotFound"
    )
    create(client, subnet, PrivateIpAddress=asked["PrivateIpAddress"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"InterfaceType": "trunk"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.9.9.9"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "no address"}, "InvalidParameterValue"),
        ({"SecondaryPrivateIpAddressCount": 64}, "PrivateIpAddressLimitExceeded"),
        ({"SecondaryPrivateIpAddressCount": -1}, "InvalidParameterValue"),
        ({"Groups": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"Ipv6AddressCount": 1}, "InvalidParameterValue"),
        ({"Ipv6PrefixCount": 1}, "UnsupportedOperation"),
        (
            {
                "PrivateIpAddress": "172.31.0.9",
                "PrivateIpAddresses": [{"PrivateIpAddress": "172.31.0.8", "Primary": True}],
            },
            "InvalidParameterCombination",
        ),
    ],
)
def test_what_an_interface_cannot_be_is_refused(
    client: Any, subnet: dict[str, Any], asked: dict[str, Any], expected: str
) -> None:
    assert code(client.create_network_interface, SubnetId=subnet["SubnetId"], **asked) == expected
    assert client.describe_network_interfaces()["NetworkInterfaces"] == []


def test_addresses_are_assigned_and_unassigned(client: Any, subnet: dict[str, Any]) -> None:
    id = create(client, subnet, PrivateIpAddress=free_address(subnet, 69))["NetworkInterfaceId"]
    named = {"NetworkInterfaceId": id, "PrivateIpAddresses": [free_address(subnet, 70)]}
    for _ in range(2):
        answer = client.assign_private_ip_addresses(**named)
        assert [one["PrivateIpAddress"] for one in answer["AssignedPrivateIpAddresses"]] == named[
            "PrivateIpAddresses"
        ]
    assert addresses(interface_of(client, id))[1:] == named["PrivateIpAddresses"]
    client.assign_private_ip_addresses(NetworkInterfaceId=id, SecondaryPrivateIpAddressCount=2)
    held = addresses(interface_of(client, id))
    assert len(set(held)) == 4
    client.unassign_private_ip_addresses(NetworkInterfaceId=id, PrivateIpAddresses=held[1:3])
    assert addresses(interface_of(client, id)) == [held[0], held[3]]
    for wrong in (held[1:2], held[:1]):
        asked = {"NetworkInterfaceId": id, "PrivateIpAddresses": wrong}
        assert code(client.unassign_private_ip_addresses, **asked) == "InvalidParameterValue"


def test_an_address_moves_to_another_interface_only_when_that_is_allowed(
    client: Any, subnet: dict[str, Any]
) -> None:
    one, other = (create(client, subnet, SecondaryPrivateIpAddressCount=1) for _ in range(2))
    primary, secondary = addresses(one)
    asked = {"NetworkInterfaceId": other["NetworkInterfaceId"], "PrivateIpAddresses": [secondary]}
    elastic = client.allocate_address()["AllocationId"]
    client.associate_address(
        AllocationId=elastic,
        NetworkInterfaceId=one["NetworkInterfaceId"],
        PrivateIpAddress=secondary,
    )
    assert code(client.assign_private_ip_addresses, **asked) == "InvalidIPAddress.InUse"
    client.assign_private_ip_addresses(**asked, AllowReassignment=True)
    assert addresses(interface_of(client, one["NetworkInterfaceId"])) == [primary]
    assert secondary in addresses(interface_of(client, other["NetworkInterfaceId"]))
    [address] = client.describe_addresses(AllocationIds=[elastic])["Addresses"]
    assert "AssociationId" not in address
    asked["PrivateIpAddresses"] = [primary]
    refused = code(client.assign_private_ip_addresses, **asked, AllowReassignment=True)
    assert refused == "InvalidIPAddress.InUse"


def test_attaching_and_detaching(plane: Plane, client: Any, subnet: dict[str, Any]) -> None:
    instance = running(client, SubnetId=subnet["SubnetId"])
    id = create(client, subnet)["NetworkInterfaceId"]
    attaching = {"NetworkInterfaceId": id, "InstanceId": instance, "DeviceIndex": 1}
    attachment = client.attach_network_interface(**attaching)["AttachmentId"]
    shown = interface_of(client, id)
    assert shown["Status"] == "in-use"
    assert shown["Attachment"]["AttachmentId"] == attachment
    assert shown["Attachment"]["Status"] == "attached"
    assert [one["NetworkInterfaceId"] for one in described(client, instance)["NetworkInterfaces"]][
        1:
    ] == [id]
    assert code(client.attach_network_interface, **attaching) == "InvalidNetworkInterface.InUse"
    assert code(client.delete_network_interface, NetworkInterfaceId=id) == (
        "InvalidNetworkInterface.InUse"
    )
    client.detach_network_interface(AttachmentId=attachment)
    assert code(client.detach_network_interface, AttachmentId=attachment) == (
        "InvalidAttachmentID.NotFound"
    )
    assert interface_of(client, id)["Status"] == "available"
    asked = by_filter("attachment.attachment-id", attachment)
    [ended] = client.describe_network_interfaces(Filters=asked)["NetworkInterfaces"]
    assert ended["Attachment"]["Status"] == "detached", "Terraform waits until it sees that"
    plane.advance(DETACHED_SHOWN)
    assert "Attachment" not in interface_of(client, id)
    again = client.attach_network_interface(**attaching)["AttachmentId"]
    assert again != attachment


def test_what_cannot_be_attached_or_detached(client: Any, subnet: dict[str, Any]) -> None:
    instance = running(client, SubnetId=subnet["SubnetId"])
    ids = [create(client, subnet)["NetworkInterfaceId"] for _ in range(2)]
    attach = {"NetworkInterfaceId": ids[0], "InstanceId": instance}
    assert code(client.attach_network_interface, **attach, DeviceIndex=0) == (
        "InvalidParameterValue"
    )
    [primary] = described(client, instance)["NetworkInterfaces"]
    refused = code(
        client.detach_network_interface, AttachmentId=primary["Attachment"]["AttachmentId"]
    )
    assert refused == "OperationNotPermitted"
    client.attach_network_interface(**attach, DeviceIndex=1)
    # A t3.micro has room for two interfaces.
    attach["NetworkInterfaceId"] = ids[1]
    assert code(client.attach_network_interface, **attach, DeviceIndex=2) == (
        "AttachmentLimitExceeded"
    )
    [far] = client.describe_subnets(Filters=by_filter("availability-zone", "us-east-1b"))["Subnets"]
    attach["InstanceId"] = running(client, SubnetId=far["SubnetId"])
    assert code(client.attach_network_interface, **attach, DeviceIndex=1) == (
        "InvalidParameterCombination"
    )


def test_delete_on_termination_decides_what_is_left_of_an_instance(
    plane: Plane, client: Any, subnet: dict[str, Any]
) -> None:
    instance = running(client, SubnetId=subnet["SubnetId"])
    kept = create(client, subnet)["NetworkInterfaceId"]
    client.attach_network_interface(NetworkInterfaceId=kept, InstanceId=instance, DeviceIndex=1)
    [primary, _] = described(client, instance)["NetworkInterfaces"]
    attachment = interface_of(client, kept)["Attachment"]
    assert not attachment["DeleteOnTermination"], "what is attached later is kept"
    both = running(client, SubnetId=subnet["SubnetId"])
    gone = create(client, subnet)["NetworkInterfaceId"]
    id = client.attach_network_interface(NetworkInterfaceId=gone, InstanceId=both, DeviceIndex=1)
    client.modify_network_interface_attribute(
        NetworkInterfaceId=gone,
        Attachment={"AttachmentId": id["AttachmentId"], "DeleteOnTermination": True},
    )
    client.terminate_instances(InstanceIds=[instance, both])
    wait(client, "instance_terminated", instance, both)
    left = client.describe_network_interfaces()["NetworkInterfaces"]
    assert [(one["NetworkInterfaceId"], one["Status"]) for one in left] == [(kept, "available")]
    assert row_of(plane, primary["NetworkInterfaceId"]).state == "deleted"


def test_attributes_are_changed_one_at_a_time_and_described(
    client: Any, subnet: dict[str, Any], groups: list[str]
) -> None:
    id = create(client, subnet)["NetworkInterfaceId"]

    def modify(**attribute: Any) -> None:
        for _ in range(2):
            client.modify_network_interface_attribute(NetworkInterfaceId=id, **attribute)

    def describe(attribute: str) -> dict[str, Any]:
        answer: dict[str, Any] = client.describe_network_interface_attribute(
            NetworkInterfaceId=id, Attribute=attribute
        )
        return answer

    modify(Description={"Value": "new"})
    modify(SourceDestCheck={"Value": False})
    modify(Groups=groups)
    assert describe("description")["Description"]["Value"] == "new"
    assert describe("sourceDestCheck")["SourceDestCheck"]["Value"] is False
    assert [one["GroupId"] for one in describe("groupSet")["Groups"]] == groups
    assert "Attachment" not in describe("attachment")
    assert describe("associatePublicIpAddress")["AssociatePublicIpAddress"] is False
    both = {"Description": {"Value": "x"}, "Groups": groups}
    for asked in ({}, both):
        refused = code(client.modify_network_interface_attribute, NetworkInterfaceId=id, **asked)
        assert refused == "InvalidParameterCombination"
    assert code(client.delete_security_group, GroupId=groups[0]) == "DependencyViolation"


def test_an_instance_shows_what_became_of_its_primary_interface(
    client: Any, groups: list[str], subnet: dict[str, Any]
) -> None:
    instance = launch(client, SubnetId=subnet["SubnetId"])
    [primary] = instance["NetworkInterfaces"]
    id = primary["NetworkInterfaceId"]
    client.modify_network_interface_attribute(NetworkInterfaceId=id, Groups=groups)
    client.modify_network_interface_attribute(
        NetworkInterfaceId=id, SourceDestCheck={"Value": False}
    )
    shown = described(client, instance["InstanceId"])
    assert [one["GroupId"] for one in shown["SecurityGroups"]] == groups
    assert shown["SourceDestCheck"] is False


def test_an_interface_made_before_is_launched_with(client: Any, subnet: dict[str, Any]) -> None:
    made = create(client, subnet, SecondaryPrivateIpAddressCount=1)
    [instance] = client.run_instances(
        **LAUNCH,
        NetworkInterfaces=[{"NetworkInterfaceId": made["NetworkInterfaceId"], "DeviceIndex": 0}],
    )["Instances"]
    wait(client, "instance_running", instance["InstanceId"])
    [shown] = described(client, instance["InstanceId"])["NetworkInterfaces"]
    assert addresses(shown) == addresses(made)
    assert shown["Attachment"]["Status"] == "attached"


def test_an_attachment_may_say_that_it_is_no_dry_run(client: Any, subnet: dict[str, Any]) -> None:
    within = {"SubnetId": subnet["SubnetId"]}
    made = client.create_network_interface(**within)["NetworkInterface"]["NetworkInterfaceId"]
    asked = {"NetworkInterfaceId": made, "InstanceId": running(client, **within)}
    told = refusal(client.attach_network_interface, **asked, DeviceIndex=1, NetworkCardIndex=1)
    assert (told.code, "NetworkCardIndex" in told.message) == ("InvalidParameterValue", True)
    client.attach_network_interface(**asked, DeviceIndex=1, DryRun=False)
