"""DescribeInstanceAttribute for every attribute there is, and ModifyInstanceAttribute."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ec2 import peer
from ec2.asking import code, described, launch, refusal, running, wait
from plane import Plane

# Attribute -> the member it answers, and its value for an instance launched without options.
DEFAULTS: dict[str, tuple[str, Any]] = {
    "instanceType": ("InstanceType", {"Value": "t3.micro"}),
    "kernel": ("KernelId", {}),
    "ramdisk": ("RamdiskId", {}),
    "userData": ("UserData", {}),
    "disableApiTermination": ("DisableApiTermination", {"Value": False}),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", {"Value": "stop"}),
    "rootDeviceName": ("RootDeviceName", {"Value": "/dev/xvda"}),
    "blockDeviceMapping": ("BlockDeviceMappings", None),
    "productCodes": ("ProductCodes", []),
    "sourceDestCheck": ("SourceDestCheck", {"Value": True}),
    "groupSet": ("Groups", None),
    "ebsOptimized": ("EbsOptimized", {"Value": False}),
    "sriovNetSupport": ("SriovNetSupport", {}),
    "enaSupport": ("EnaSupport", {"Value": True}),
    "enclaveOptions": ("EnclaveOptions", {"Enabled": False}),
    "disableApiStop": ("DisableApiStop", {"Value": False}),
}


@pytest.fixture(scope="module")
def plain(plane: Plane) -> tuple[Any, str]:
    """Return a client, and a running instance that was launched without options."""
    client = plane.client(keys=plane.account("plain"))
    return client, running(client)


def attribute(client: Any, id: str, name: str) -> Any:
    answer = client.describe_instance_attribute(InstanceId=id, Attribute=name)
    assert answer.pop("InstanceId") == id
    del answer["ResponseMetadata"]
    [(member, value)] = answer.items()
    assert member == DEFAULTS[name][0]
    return value


def modify(client: Any, id: str, **params: Any) -> None:
    client.modify_instance_attribute(InstanceId=id, **params)


def test_the_table_has_every_attribute_of_the_model() -> None:
    shape = peer.service("ec2").operation_model("DescribeInstanceAttribute").input_shape
    assert set(shape.members["Attribute"].enum) == set(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_attribute_has_ec2s_default(plain: tuple[Any, str], name: str) -> None:
    client, id = plain
    shown, value = described(client, id), attribute(client, id, name)
    match name:
        case "blockDeviceMapping":
            assert value == shown["BlockDeviceMappings"] and len(value) == 1
        case "groupSet":
            assert value == shown["SecurityGroups"] and len(value) == 1
        case _:
            assert value == DEFAULTS[name][1]


def test_an_attribute_that_does_not_exist_is_refused(plane: Plane) -> None:
    client = plane.client(parameter_validation=False)
    id = launch(client)["InstanceId"]
    describe = client.describe_instance_attribute
    assert code(describe, InstanceId=id, Attribute="colour") == "InvalidParameterValue"
    assert code(describe, InstanceId=id) == "MissingParameter"
    absent = "i-00000000000000000"
    assert code(describe, InstanceId=absent, Attribute="userData") == "InvalidInstanceID.NotFound"


# Attribute -> a value that it can be given while the instance runs.
SET_RUNNING: dict[str, Any] = {
    "disableApiTermination": True,
    "disableApiStop": True,
    "instanceInitiatedShutdownBehavior": "terminate",
    "sourceDestCheck": False,
}
# Attribute -> a value that it can be given only while the instance is stopped.
SET_STOPPED: dict[str, Any] = {
    "instanceType": "t3.large",
    "userData": base64.b64encode(b"new").decode(),
    "ebsOptimized": True,
}


def own_member(name: str, value: Any) -> dict[str, Any]:
    """Spell the request by the attribute's own member, not by `Attribute` and `Value`."""
    given = base64.b64decode(value) if name == "userData" else value
    return {name[0].upper() + name[1:]: {"Value": given}}


@pytest.mark.parametrize("form", ["own member", "attribute and value"])
@pytest.mark.parametrize("name", [*SET_RUNNING, *SET_STOPPED])
def test_an_attribute_is_set_in_either_form_and_again(plane: Plane, name: str, form: str) -> None:
    client = plane.client()
    id = running(client)
    value = {**SET_RUNNING, **SET_STOPPED}[name]
    params = own_member(name, value)
    if form == "attribute and value":
        text = str(value).lower() if isinstance(value, bool) else value
        params = {"Attribute": name, "Value": text}
    if name in SET_STOPPED:
        call = client.modify_instance_attribute
        assert code(call, InstanceId=id, **params) == "IncorrectInstanceState"
        client.stop_instances(InstanceIds=[id])
        wait(client, "instance_stopped", id)
    for _ in range(2):
        modify(client, id, **params)
        assert attribute(client, id, name) == {"Value": value}


@pytest.mark.parametrize(
    "params",
    [{"UserData": {"Value": b""}}, {"Attribute": "userData", "Value": ""}],
    ids=["own member", "attribute and value"],
)
def test_an_empty_value_takes_the_user_data_away(plane: Plane, params: dict[str, Any]) -> None:
    client = plane.client()
    id = running(client, UserData="#!/bin/sh")
    call = client.modify_instance_attribute
    assert code(call, InstanceId=id, **params) == "IncorrectInstanceState"
    client.stop_instances(InstanceIds=[id])
    wait(client, "instance_stopped", id)
    for _ in range(2):
        modify(client, id, **params)
        assert attribute(client, id, "userData") == {}
    for other in ({"InstanceType": {"Value": ""}}, {"Attribute": "ebsOptimized", "Value": ""}):
        assert code(call, InstanceId=id, **other) == "InvalidParameterValue"


def test_an_empty_value_takes_descriptions_away(plane: Plane) -> None:
    client = plane.client()
    image = client.create_image(InstanceId=running(client), Name="told", Description="d")["ImageId"]

    def told() -> str:
        answer = client.describe_image_attribute(ImageId=image, Attribute="description")
        return str(answer["Description"].get("Value", ""))

    for empty, again in (
        ({"Description": {"Value": ""}}, {"Description": {"Value": "d"}}),
        ({"Attribute": "description", "Value": ""}, {"Attribute": "description", "Value": "d"}),
    ):
        client.modify_image_attribute(ImageId=image, **empty)
        assert told() == ""
        client.modify_image_attribute(ImageId=image, **again)
        assert told() == "d"


def test_a_new_type_counts_from_the_next_start(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    client.stop_instances(InstanceIds=[id])
    wait(client, "instance_stopped", id)
    call = client.modify_instance_attribute
    for wrong, expected in (
        ("t9.huge", "InvalidParameterValue"),
        ("t4g.micro", "InvalidParameterCombination"),
    ):
        assert code(call, InstanceId=id, InstanceType={"Value": wrong}) == expected
    modify(client, id, InstanceType={"Value": "m5.2xlarge"})
    client.start_instances(InstanceIds=[id])
    wait(client, "instance_running", id)
    shown = described(client, id)
    assert shown["InstanceType"] == "m5.2xlarge"
    assert shown["CpuOptions"] == {"CoreCount": 4, "ThreadsPerCore": 2}


def test_the_source_check_and_the_groups_are_those_of_the_primary_interface(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    group = described(client, id)["SecurityGroups"][0]["GroupId"]
    modify(client, id, SourceDestCheck={"Value": False})
    modify(client, id, Groups=[group])
    shown = described(client, id)
    interface = shown["NetworkInterfaces"][0]["NetworkInterfaceId"]
    [alone] = client.describe_network_interfaces(NetworkInterfaceIds=[interface])[
        "NetworkInterfaces"
    ]
    assert (shown["SourceDestCheck"], alone["SourceDestCheck"]) == (False, False)
    assert shown["SecurityGroups"] == alone["Groups"] == attribute(client, id, "groupSet")
    call = client.modify_instance_attribute
    absent = "sg-00000000000000000"
    assert code(call, InstanceId=id, Groups=[absent]) == "InvalidGroup.NotFound"
    assert code(call, InstanceId=id, Groups=["default"]) == "InvalidGroupId.Malformed"


def test_an_interface_of_several_must_be_named_itself(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    shown = described(client, id)
    group = shown["SecurityGroups"][0]["GroupId"]
    second = client.create_network_interface(SubnetId=shown["SubnetId"])["NetworkInterface"]
    client.attach_network_interface(
        InstanceId=id, NetworkInterfaceId=second["NetworkInterfaceId"], DeviceIndex=1
    )
    for change in ({"Groups": [group]}, {"SourceDestCheck": {"Value": False}}):
        told = code(client.modify_instance_attribute, InstanceId=id, **change)
        assert told == "InvalidInstanceID"
    assert described(client, id)["SourceDestCheck"]


def test_delete_on_termination_is_set_by_device(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    root = {"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": False}}
    modify(client, id, BlockDeviceMappings=[root])
    [mapping] = attribute(client, id, "blockDeviceMapping")
    assert mapping["Ebs"]["DeleteOnTermination"] is False
    call = client.modify_instance_attribute
    for mapping, expected in (
        ({**root, "DeviceName": "/dev/sdz"}, "InvalidInstanceAttributeValue"),
        ({"Ebs": {"DeleteOnTermination": True}}, "MissingParameter"),
        ({"DeviceName": "/dev/xvda"}, "MissingParameter"),
    ):
        assert code(call, InstanceId=id, BlockDeviceMappings=[mapping]) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "InvalidParameterCombination"),
        (
            {"DisableApiStop": {"Value": True}, "EbsOptimized": {"Value": True}},
            "InvalidParameterCombination",
        ),
        ({"Attribute": "disableApiStop", "Value": "yes"}, "InvalidParameterValue"),
        ({"Attribute": "disableApiStop"}, "InvalidParameterCombination"),
        (
            {"InstanceInitiatedShutdownBehavior": {"Value": "explode"}},
            "InvalidParameterValue",
        ),
        ({"Kernel": {"Value": "aki-1"}}, "UnsupportedOperation"),
        ({"Attribute": "rootDeviceName", "Value": "/dev/sda"}, "UnsupportedOperation"),
        ({"Attribute": "colour", "Value": "blue"}, "InvalidParameterValue"),
    ],
    ids=str,
)
def test_what_cannot_be_set_is_refused(
    plane: Plane, plain: tuple[Any, str], params: dict[str, Any], expected: str
) -> None:
    _, id = plain
    client = plane.client(keys=plane.account("plain"), parameter_validation=False)
    before = described(client, id)
    refused = refusal(client.modify_instance_attribute, InstanceId=id, **params)
    assert (refused.code, refused.status) == (expected, 400)
    assert described(client, id) == before
