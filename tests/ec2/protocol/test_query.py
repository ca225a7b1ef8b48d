"""Form fields become parameters: names, types, absent values, refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sametoken.ec2.protocol import query, scalars
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.errors import ServiceError

EC2 = ServiceModel.load("ec2")


def parse(action: str, form: dict[str, str]) -> Document:
    return EC2.codec(action).parse(form)


def refusal(action: str, form: dict[str, str]) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        parse(action, form)
    assert refused.value.http_status == 400
    return refused.value


RUN = {"MinCount": "1", "MaxCount": "1"}


@pytest.mark.parametrize(
    ("action", "name", "path"),
    [
        ("RunInstances", "SecurityGroupId.1", ("SecurityGroupIds", 0)),
        (
            "RunInstances",
            "TagSpecification.1.Tag.1.Key",
            ("TagSpecifications", 0, "Tags", 0, "Key"),
        ),
        (
            "RunInstances",
            "NetworkInterface.1.SecurityGroupId.1",
            ("NetworkInterfaces", 0, "Groups", 0),
        ),
        (
            "RunInstances",
            "NetworkInterface.1.PrivateIpAddresses.1.PrivateIpAddress",
            ("NetworkInterfaces", 0, "PrivateIpAddresses", 0, "PrivateIpAddress"),
        ),
        (
            "RunInstances",
            "NetworkInterface.1.Ipv6Addresses.1.Ipv6Address",
            ("NetworkInterfaces", 0, "Ipv6Addresses", 0, "Ipv6Address"),
        ),
        ("CreateNetworkInterface", "SecurityGroupId.1", ("Groups", 0)),
        (
            "CreateNetworkInterface",
            "PrivateIpAddresses.1.PrivateIpAddress",
            ("PrivateIpAddresses", 0, "PrivateIpAddress"),
        ),
        ("CreateTags", "ResourceId.1", ("Resources", 0)),
        ("CreateTags", "Tag.1.Key", ("Tags", 0, "Key")),
        (
            "AuthorizeSecurityGroupIngress",
            "IpPermissions.1.Groups.1.GroupId",
            ("IpPermissions", 0, "UserIdGroupPairs", 0, "GroupId"),
        ),
        ("DescribeVpcs", "Filter.1.Value.1", ("Filters", 0, "Values", 0)),
    ],
)
def test_the_traps_of_the_models_names(action: str, name: str, path: tuple[Any, ...]) -> None:
    needed = {"RunInstances": RUN, "CreateNetworkInterface": {"SubnetId": "s"}}.get(action, {})
    if action == "CreateTags":
        needed = {"ResourceId.1": "x", "Tag.1.Key": "x"}
    found: Any = parse(action, {**needed, name: "x"})
    for step in path:
        found = found[step]
    assert found == "x"


def test_attributes_and_dry_run_have_their_own_spelling() -> None:
    form = {"InstanceId": "i-1", "DisableApiTermination.Value": "true", "DryRun": "false"}
    assert parse("ModifyInstanceAttribute", form) == {
        "InstanceId": "i-1",
        "DisableApiTermination": {"Value": True},
        "DryRun": False,
    }


def test_user_data_is_a_text_of_base64_and_stays_one() -> None:
    assert parse("RunInstances", {**RUN, "UserData": "aGk="})["UserData"] == "aGk="


def test_lists_may_be_sparse_and_are_in_numeric_order() -> None:
    form = {"InstanceId.10": "c", "InstanceId.9": "b", "InstanceId.2": "a"}
    assert parse("DescribeInstances", form) == {"InstanceIds": ["a", "b", "c"]}


# Absent values


def test_an_empty_text_counts_as_absent() -> None:
    form = {**RUN, "Placement.AvailabilityZone": "", "KeyName": "", "InstanceType": ""}
    assert parse("RunInstances", form) == {"MinCount": 1, "MaxCount": 1}


def test_an_empty_client_token_is_kept() -> None:
    assert parse("RunInstances", {**RUN, "ClientToken": ""})["ClientToken"] == ""


def test_an_empty_value_of_a_tag_or_filter_is_a_value() -> None:
    form = {"ResourceId.1": "i-1", "Tag.1.Key": "k", "Tag.1.Value": ""}
    assert parse("CreateTags", form)["Tags"] == [{"Key": "k", "Value": ""}]
    form = {"Filter.1.Name": "tag:k", "Filter.1.Value.1": ""}
    assert parse("DescribeVpcs", form)["Filters"] == [{"Name": "tag:k", "Values": [""]}]


def test_an_empty_value_empties_an_attribute() -> None:
    """boto3 sends this form for `UserData={"Value": b""}`, and the CLI for `--user-data Value=`."""
    id = {"InstanceId": "i-1"}
    assert parse("ModifyInstanceAttribute", {**id, "UserData.Value": ""}) == {
        **id, "UserData": {"Value": b""},
    }  # fmt: skip
    by_name = {**id, "Attribute": "userData", "Value": ""}
    assert parse("ModifyInstanceAttribute", by_name) == by_name
    form = {"NetworkInterfaceId": "eni-1", "Description.Value": ""}
    assert parse("ModifyNetworkInterfaceAttribute", form)["Description"] == {"Value": ""}
    # An empty boolean counts as absent, and so does a structure that is sent as a text.
    for nothing in ({"EbsOptimized.Value": ""}, {"UserData": ""}):
        assert parse("ModifyInstanceAttribute", {**id, **nothing}) == id


def test_a_structure_of_empty_members_is_dropped_from_its_list() -> None:
    form = {"Filter.1.Name": "", "Filter.2.Name": "n", "Filter.2.Value.1": "v", "Filter.3": ""}
    assert parse("DescribeVpcs", form) == {"Filters": [{"Name": "n", "Values": ["v"]}]}
    assert parse("DescribeVpcs", {"Filter": ""}) == {}
    form = {"TagSpecification.1.Tag.1.Key": "", "TagSpecification.1.Tag.1.Value": ""}
    assert parse("CreateVpc", form) == {}


def test_a_required_parameter_that_is_empty_is_missing() -> None:
    assert str(refusal("DeleteVpc", {"VpcId": ""})) == (
        "MissingParameter: The request must contain the parameter VpcId"
    )
    assert refusal("RunInstances", {"MinCount": "1"}).message.endswith("parameter MaxCount")


# Types

VALUES: list[tuple[str, str, str, Any]] = [
    ("CreateVolume", "Size", "-5", -5),
    ("CreateVolume", "Size", "2147483647", 2**31 - 1),
    ("CreateVolume", "Encrypted", "TRUE", True),
    ("CreateVolume", "Encrypted", "False", False),
    ("PurchaseHostReservation", "LimitPrice", "1.50", "1.50"),
    ("DescribeSpotPriceHistory", "StartTime", "2016-11-15T12:00:00Z", (12, 0)),
    ("DescribeSpotPriceHistory", "StartTime", "2016-11-15T12:00:00.5+02:00", (10, 500_000)),
    ("DescribeSpotPriceHistory", "StartTime", "2016-11-15T12:00:00", (12, 0)),
    ("DescribeSpotPriceHistory", "StartTime", "2016-11-15", (0, 0)),
    ("ImportKeyPair", "PublicKeyMaterial", "c3No\r\nLXJz\nYQ==", b"ssh-rsa"),
    ("CreateVolume", "VolumeType", "gp3", "gp3"),
    ("RunInstances", "InstanceType", "z9.nano", "z9.nano"),
]


@pytest.mark.parametrize(("action", "name", "text", "value"), VALUES)
def test_values_have_the_type_of_their_shape(action: str, name: str, text: str, value: Any) -> None:
    needed = {
        "PurchaseHostReservation": {"HostIdSet.1": "h-1", "OfferingId": "o-1"},
        "ImportKeyPair": {"KeyName": "k"},
        "RunInstances": RUN,
    }.get(action, {})
    found = parse(action, {**needed, name: text})[name]
    if isinstance(value, tuple):
        value = datetime(2016, 11, 15, value[0], 0, 0, value[1], tzinfo=UTC)
        assert found.tzinfo is UTC
    assert found == value
    assert type(found) is type(value)


BAD_VALUES = [
    *(("CreateVolume", "Size", bad) for bad in ("x", "+5", " 5", "5_0", "٥", "1.0", "1e3", "--1")),
    ("CreateVolume", "Size", "2147483648"),
    ("CreateVolume", "Size", "-2147483649"),
    ("CreateVolume", "Size", "9" * 6000),
    ("CreateVolume", "Encrypted", "yes"),
    ("CreateVolume", "Encrypted", "1"),
    ("CreateVolume", "VolumeType", "GP3"),
    *(
        ("DescribeSpotPriceHistory", "StartTime", bad)
        for bad in ("now", "2016-13-01", "2016-11-15T25:00:00Z", "20161115", "1479211200")
    ),
    ("DescribeSpotPriceHistory", "StartTime", "0001-01-01T00:00:00+23:59"),
    ("DescribeSpotPriceHistory", "StartTime", "2016-11-15T12:00:00+99:99"),
    *(("ImportKeyPair", "PublicKeyMaterial", bad) for bad in ("a", "*", "é", "YQ==YQ==x")),
]


@pytest.mark.parametrize(("action", "name", "text"), BAD_VALUES)
def test_a_value_of_another_type_is_refused_by_name_and_value(
    action: str, name: str, text: str
) -> None:
    error = refusal(action, {"KeyName": "k", name: text} if action[0] == "I" else {name: text})
    assert error.code == "InvalidParameterValue"
    assert f"({text[:100]}" in error.message
    assert f"for parameter {name} is invalid. " in error.message
    assert len(error.message) < 500


@pytest.mark.parametrize("text", ["1.5", "-.5", "2.", "1e3", "7"])
def test_decimals_are_read(text: str) -> None:
    read = scalars.scalar_parser("D", {"type": "double"}, open_enum=False)
    assert read(text, "Weight") == float(text)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1,5", "0x1", "1_0", "", "."])
def test_what_is_no_decimal_is_refused(text: str) -> None:
    read = scalars.scalar_parser("D", {"type": "float"}, open_enum=False)
    with pytest.raises(ServiceError, match="InvalidParameterValue"):
        read(text, "Weight")


def test_a_value_an_enumeration_lacks_is_answered_with_some_it_has() -> None:
    error = refusal("CreateVolume", {"VolumeType": "floppy"})
    assert error.message.startswith(
        "Value (floppy) for parameter VolumeType is invalid. Use one of"
    )
    assert "gp3" in error.message
    many = {"TagSpecification.1.ResourceType": "spoon"}
    assert refusal("CreateVpc", many).message.endswith(", ….")


def test_which_enumerations_are_open_is_the_callers_choice() -> None:
    shape = {"type": "string", "enum": ["red"]}
    assert scalars.scalar_parser("Colour", shape, open_enum=True)("blue", "Colour") == "blue"
    with pytest.raises(ServiceError, match="InvalidParameterValue"):
        scalars.scalar_parser("Colour", shape, open_enum=False)("blue", "Colour")


def test_a_secret_is_not_repeated() -> None:
    read = scalars.scalar_parser("S", {"type": "blob", "sensitive": True}, open_enum=False)
    with pytest.raises(ServiceError) as refused:
        read("pa$$word", "Secret")
    assert "pa$$word" not in refused.value.message


# Names and structure


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("DescribeVpcs", "Colour"),
        ("DescribeVpcs", "filter.1.Name"),
        ("DescribeVpcs", "Filters.1.Name"),
        ("DescribeVpcs", "Filter.1.Colour.x"),
        ("DescribeVpcs", "Filter.01.Name"),
        ("DescribeVpcs", "Filter.Name"),
        ("DescribeVpcs", "Filter.-1.Name"),
        ("DescribeVpcs", "Filter.٣.Name"),
        ("DescribeVpcs", "Filter..Name"),
        ("DescribeVpcs", "Filter.member.1.Name"),
        ("DescribeVpcs", ".Filter.1.Name"),
        ("DescribeVpcs", "NextToken.2"),
        ("DescribeVpcs", "NextToken.1.1"),
        ("DescribeVpcs", ".".join(["a"] * 100)),
        ("DescribeVpcs", "Filter.1.Name" + ".x" * 30),
    ],
)
@pytest.mark.parametrize("value", ["x", ""])
def test_a_name_the_shape_does_not_have_is_refused_as_sent(
    action: str, name: str, value: str
) -> None:
    error = refusal(action, {name: value})
    assert str(error) == f"UnknownParameter: The parameter {name[:200]} is not recognized"


def test_an_index_tells_the_order_and_no_more() -> None:
    form = {"InstanceId.0": "a", "InstanceId.10": "c", "InstanceId.2": "b"}
    assert parse("DescribeInstances", form) == {"InstanceIds": ["a", "b", "c"]}
    tagged = {"ResourceId.0": "vpc-1", "Tag.0.Key": "k", "Tag.0.Value": ""}
    assert parse("CreateTags", tagged) == {
        "Resources": ["vpc-1"], "Tags": [{"Key": "k", "Value": ""}]
    }  # fmt: skip


def test_a_value_without_an_index_is_a_list_of_one() -> None:
    assert parse("DescribeSnapshots", {"Owner": "self"}) == {"OwnerIds": ["self"]}
    assert parse("DescribeSnapshots", {"Owner": ""}) == {}
    assert parse("DescribeVpcs", {"Filter.1.Name": "cidr", "Filter.1.Value": "10.0.0.0/16"}) == {
        "Filters": [{"Name": "cidr", "Values": ["10.0.0.0/16"]}]
    }
    assert refusal("DescribeInstances", {"MaxResults.1": "many"}).message.startswith(
        "Value (many) for parameter MaxResults is invalid."
    )


def test_a_list_of_one_is_a_value_where_one_is_expected() -> None:
    assert parse("GetConsoleOutput", {"InstanceId.1": "i-1"}) == {"InstanceId": "i-1"}
    assert parse("DescribeInstances", {"MaxResults.1": "5"}) == {"MaxResults": 5}


def test_an_index_beyond_the_limit_is_refused() -> None:
    last = str(query.LIST_INDEX_MAX)
    assert parse("DescribeInstances", {f"InstanceId.{last}": "x"}) == {"InstanceIds": ["x"]}
    for index in (str(query.LIST_INDEX_MAX + 1), "9" * 200):
        error = refusal("DescribeInstances", {f"InstanceId.{index}": "x"})
        assert error.code == "InvalidParameterValue"
        assert error.message.endswith("numbered up to 10000.")


def test_a_value_where_a_structure_or_a_list_is_expected_is_refused() -> None:
    error = refusal("RunInstances", {**RUN, "Placement": "secret"})
    assert error.code == "InvalidParameterValue"
    assert error.message.startswith("The parameter Placement is a structure. Give its members, ")
    assert "secret" not in error.message
    assert refusal("DescribeVpcs", {"Filter": "vpc-1"}).message == (
        "The parameter Filter is a list. Number its elements, such as Filter.1."
    )


@pytest.mark.parametrize(
    "form",
    [{"Filter.1": "x", "Filter.1.Name": "y"}, {"Filter.1.Name": "y", "Filter.1": "x"}],
)
def test_a_name_with_two_meanings_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(ServiceError) as refused:
        EC2.codec("DescribeVpcs").parse(form)
    assert refused.value.code == "InvalidParameterCombination"
