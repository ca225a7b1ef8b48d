"""Members of RunInstances: each is shown where EC2 shows it, or refused by its name."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from botocore.model import Shape

from ec2 import peer
from ec2.asking import by_filter, code, described, injected, launch, refusal
from plane import IMAGE, LAUNCH, Plane
from sametoken.ec2.compute.launch_parameters import ACCEPTED
from sametoken.ec2.kit.parameters import Accepted

REQUIRED = {name: LAUNCH[name] for name in ("ImageId", "MinCount", "MaxCount")}


def input_shape() -> Shape:
    return peer.service("ec2").operation_model("RunInstances").input_shape


def with_required(shape: Shape, member: str, value: Any) -> dict[str, Any]:
    """Fill a structure's required members, and `member` (with its least value if None)."""
    filled = {name: least(shape.members[name]) for name in (*shape.required_members, member)}
    return filled if value is None else {**filled, member: value}


def least(shape: Shape) -> Any:
    """Return the smallest value of a shape that does not count as absent."""
    match shape.type_name:
        case "structure":
            return with_required(shape, next(iter(shape.members)), None)
        case "list":
            return [least(shape.member)]
        case "string":
            return shape.enum[0] if shape.enum else "x"
        case "boolean":
            return True
        case "timestamp":
            return peer.MOMENT
        case "blob":
            return b"x"
    return 1


def unsupported(
    shape: Shape, accepted: Accepted, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield each member that `accepted` does not name: its dotted path, and a request with it."""
    if shape.type_name == "list":
        for name, value in unsupported(shape.member, accepted, path):
            yield name, [value]
        return

    def wrap(member: str, value: Any) -> dict[str, Any]:
        return with_required(shape, member, value) if path else {member: value or least(inner)}

    for member, inner in shape.members.items():
        if member not in accepted:
            yield ".".join((*path, member)), wrap(member, None)
        elif accepted[member] is not None and inner.type_name in ("structure", "list"):
            deeper = accepted[member]
            assert deeper is not None
            for name, value in unsupported(inner, deeper, (*path, member)):
                yield name, wrap(member, value)


UNSUPPORTED = dict(unsupported(input_shape(), ACCEPTED))


def test_the_table_of_accepted_members_is_of_the_model() -> None:
    """A member misspelt in `ACCEPTED` would be refused although it is meant to be accepted."""

    def check(shape: Shape, accepted: Accepted) -> None:
        while shape.type_name == "list":
            shape = shape.member
        assert accepted.keys() <= shape.members.keys()
        for member, deeper in accepted.items():
            if deeper is not None:
                check(shape.members[member], deeper)

    check(input_shape(), ACCEPTED)
    assert len(UNSUPPORTED) >= 25


@pytest.mark.parametrize("path", UNSUPPORTED)
def test_a_member_that_is_not_supported_is_refused_by_name(plane: Plane, path: str) -> None:
    client = plane.client(parameter_validation=False)
    refused = refusal(client.run_instances, **{**LAUNCH, **UNSUPPORTED[path]})
    assert (refused.code, refused.status) == ("UnsupportedOperation", 400)
    assert f" {path} " in refused.message


# Parameters of a launch, where DescribeInstances shows them, and the value that it shows.
ECHOED: list[tuple[dict[str, Any], str, Any]] = [
    ({"InstanceType": "t3.small"}, "InstanceType", "t3.small"),
    ({"Monitoring": {"Enabled": True}}, "Monitoring.State", "enabled"),
    ({"EbsOptimized": True}, "EbsOptimized", True),
    ({"ClientToken": "echoed"}, "ClientToken", "echoed"),
    ({"Placement": {"Tenancy": "dedicated"}}, "Placement.Tenancy", "dedicated"),
    ({"Placement": {"GroupName": "group"}}, "Placement.GroupName", "group"),
    ({"Placement": {"PartitionNumber": 3}}, "Placement.PartitionNumber", 3),
    (
        {"Placement": {"AvailabilityZone": "us-east-1c"}},
        "Placement.AvailabilityZone",
        "us-east-1c",
    ),
    (
        {"CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1}},
        "CpuOptions",
        {"CoreCount": 1, "ThreadsPerCore": 1},
    ),
    (
        {"CapacityReservationSpecification": {"CapacityReservationPreference": "none"}},
        "CapacityReservationSpecification.CapacityReservationPreference",
        "none",
    ),
    (
        {"MaintenanceOptions": {"AutoRecovery": "disabled"}},
        "MaintenanceOptions.AutoRecovery",
        "disabled",
    ),
    ({"HibernationOptions": {"Configured": False}}, "HibernationOptions.Configured", False),
    ({"EnclaveOptions": {"Enabled": False}}, "EnclaveOptions.Enabled", False),
    (
        {"IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/p"}},
        "IamInstanceProfile.Arn",
        "arn:aws:iam::123456789012:instance-profile/p",
    ),
    *(
        ({"MetadataOptions": {name: value}}, f"MetadataOptions.{name}", value)
        for name, value in (
            ("HttpTokens", "optional"),
            ("HttpPutResponseHopLimit", 64),
            ("HttpEndpoint", "disabled"),
            ("HttpProtocolIpv6", "enabled"),
            ("InstanceMetadataTags", "enabled"),
        )
    ),
    *(
        ({"PrivateDnsNameOptions": {name: value}}, f"PrivateDnsNameOptions.{name}", value)
        for name, value in (
            ("HostnameType", "resource-name"),
            ("EnableResourceNameDnsARecord", True),
            ("EnableResourceNameDnsAAAARecord", True),
        )
    ),
    (
        {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": ""}]}]},
        "Tags",
        [{"Key": "a", "Value": ""}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "path", "shown"), ECHOED, ids=[path for _, path, _ in ECHOED])
def test_what_is_sent_is_echoed(plane: Plane, sent: dict[str, Any], path: str, shown: Any) -> None:
    client = plane.client()
    group = sent.get("Placement", {}).get("GroupName")
    if group is not None:
        client.create_placement_group(GroupName=group, Strategy="partition")
    answered = launch(client, **sent)
    for instance in (answered, described(client, answered["InstanceId"])):
        assert reduce(getitem, path.split("."), instance) == shown


# Parameters of a launch that only DescribeInstanceAttribute shows.
ATTRIBUTES: list[tuple[dict[str, Any], str, Any]] = [
    ({"DisableApiTermination": True}, "disableApiTermination", True),
    ({"DisableApiStop": True}, "disableApiStop", True),
    (
        {"InstanceInitiatedShutdownBehavior": "terminate"},
        "instanceInitiatedShutdownBehavior",
        "terminate",
    ),
    ({"UserData": "#!/bin/sh\n"}, "userData", base64.b64encode(b"#!/bin/sh\n").decode()),
]


@pytest.mark.parametrize(("sent", "attribute", "shown"), ATTRIBUTES, ids=lambda one: str(one)[:30])
def test_what_is_not_in_an_instance_is_an_attribute_of_it(
    plane: Plane, sent: dict[str, Any], attribute: str, shown: Any
) -> None:
    client = plane.client()
    id = launch(client, **sent)["InstanceId"]
    answer = client.describe_instance_attribute(InstanceId=id, Attribute=attribute)
    assert answer[attribute[0].upper() + attribute[1:]] == {"Value": shown}


def test_every_accepted_member_is_echoed_by_a_test() -> None:
    """Devices, network, and names to resolve (an image, a template) have suites of their own."""
    elsewhere = {
        "BlockDeviceMappings", "NetworkInterfaces", "SecurityGroupIds", "SecurityGroups",
        "SubnetId", "PrivateIpAddress", "KeyName", "ImageId", "MinCount", "MaxCount", "DryRun",
        "CreditSpecification", "LaunchTemplate", "EnablePrimaryIpv6", "Ipv6AddressCount",
        "Ipv6Addresses",
    }  # fmt: skip
    here = {name for sent, _, _ in (*ECHOED, *ATTRIBUTES) for name in sent}
    assert ACCEPTED.keys() - here == elsewhere & ACCEPTED.keys()


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"ImageId": "ami-x"}, "InvalidAMIID.Malformed"),
    ({"ImageId": "image"}, "InvalidAMIID.Malformed"),
    ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
    ({"ImageId": "resolve:ssm:/no/such/parameter"}, "InvalidParameterValue"),
    ({"ImageId": ""}, "MissingParameter"),
    ({"InstanceType": "t9.huge"}, "InvalidParameterValue"),
    ({"InstanceType": "t4g.micro"}, "InvalidParameterValue"),  # another architecture
    ({"KeyName": "absent"}, "InvalidKeyPair.NotFound"),
    ({"Placement": {"GroupName": "absent"}}, "InvalidPlacementGroup.Unknown"),
    ({"Placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue"),
    ({"Placement": {"AvailabilityZone": "eu-west-1a"}}, "InvalidParameterValue"),
    ({"Placement": {"AvailabilityZoneId": "use1-az99"}}, "InvalidParameterValue"),
    (
        {"Placement": {"AvailabilityZone": "us-east-1a", "AvailabilityZoneId": "use1-az99"}},
        "InvalidParameterValue",
    ),
    ({"Placement": {"Tenancy": "shared"}}, "InvalidParameterValue"),
    ({"InstanceInitiatedShutdownBehavior": "explode"}, "InvalidParameterValue"),
    ({"MetadataOptions": {"HttpPutResponseHopLimit": 0}}, "InvalidParameterValue"),
    ({"MetadataOptions": {"HttpPutResponseHopLimit": 65}}, "InvalidParameterValue"),
    ({"UserData": "x" * (16 * 1024 + 1)}, "InvalidParameterValue"),
    ({"HibernationOptions": {"Configured": True}}, "UnsupportedHibernationConfiguration"),
    ({"EnclaveOptions": {"Enabled": True}}, "UnsupportedOperation"),
    ({"IamInstanceProfile": {"Arn": "arn:x", "Name": "n"}}, "InvalidParameterCombination"),
]


@pytest.mark.parametrize(("params", "expected"), INVALID, ids=str)
def test_what_makes_no_sense_is_refused_with_ec2s_code(
    plane: Plane, params: dict[str, Any], expected: str
) -> None:
    client = plane.client(parameter_validation=False)
    assert code(client.run_instances, **{**LAUNCH, **params}) == expected


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_required_parameter_that_is_missing_is_named(plane: Plane, missing: str) -> None:
    client = plane.client(parameter_validation=False)
    params = {name: value for name, value in LAUNCH.items() if name != missing}
    refused = refusal(client.run_instances, **params)
    assert refused.code == "MissingParameter"
    assert refused.message == f"The request must contain the parameter {missing}"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"Colour": "blue"}, "UnknownParameter"),
        ({"Placement.Colour": "blue"}, "UnknownParameter"),
        ({"instanceType": "t3.micro"}, "UnknownParameter"),
        ({"MinCount": "one"}, "InvalidParameterValue"),
        ({"EbsOptimized": "yes"}, "InvalidParameterValue"),
        ({"UserData": "not base64!"}, "InvalidUserData.Malformed"),
    ],
    ids=str,
)
def test_a_form_that_the_model_does_not_know_is_refused(
    plane: Plane, field: dict[str, str], expected: str
) -> None:
    client = plane.client()
    injected(client, "RunInstances", **field)
    assert code(client.run_instances, **LAUNCH) == expected


def test_the_alias_of_an_image_is_resolved_and_its_id_shown(plane: Plane) -> None:
    client = plane.client()
    shown = launch(client)["ImageId"]
    assert IMAGE.startswith("resolve:ssm:") and shown.startswith("ami-")
    [image] = client.describe_images(ImageIds=[shown])["Images"]
    assert image["Architecture"] == "x86_64"
    assert launch(client, ImageId=shown)["ImageId"] == shown


def test_an_image_decides_what_its_instances_are(plane: Plane) -> None:
    client = plane.client()
    named = by_filter("name", "ubuntu*22.04-arm64*-20251015")
    [arm] = client.describe_images(Filters=named)["Images"]
    shown = launch(client, ImageId=arm["ImageId"], InstanceType="t4g.micro")
    assert (shown["Architecture"], shown["RootDeviceName"]) == ("arm64", "/dev/sda1")
    assert shown["CurrentInstanceBootMode"] == "uefi"
    # An image without `imds-support` leaves version 1 of the metadata service on.
    assert shown["MetadataOptions"]["HttpTokens"] == "optional"
    assert shown["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert launch(client)["MetadataOptions"]["HttpTokens"] == "required"
    on_xen = launch(client, InstanceType="t2.micro")
    assert (on_xen["BootMode"], on_xen["CurrentInstanceBootMode"]) == (
        "uefi-preferred", "legacy-bios",
    )  # fmt: skip
