"""EC2's bounds on one request: the last allowed value is accepted, the next is refused.

Filters, pages, tags and quotas have suites of their own, which try their bounds;
docs/promises.md lists all bounds.
"""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import code, launch
from plane import LAUNCH, Plane
from sametoken.ec2.compute import key_pairs, launch_parameters
from sametoken.ec2.gateways import vpn_gateways
from sametoken.ec2.kit import parameters
from sametoken.ec2.network import (
    dhcp_values,
    interface_addresses,
    network_acls,
    rule_forms,
    security_groups,
)
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES

WRONG = "InvalidParameterValue"


@pytest.fixture
def client(plane: Plane) -> Any:
    return plane.client(keys=plane.account("bounds"), parameter_validation=False)


@pytest.fixture
def subnet(client: Any) -> str:
    found: str = client.describe_subnets()["Subnets"][0]["SubnetId"]
    return found


def test_a_launch_asks_for_a_thousand_instances_at_most(client: Any) -> None:
    def asked(most: int) -> Any:
        # Ask as a dry run, which checks the request's form and launches nothing.
        params = {**LAUNCH, "MaxCount": most, "DryRun": True}
        with pytest.raises(client.exceptions.ClientError) as told:
            client.run_instances(**params)
        return told.value.response["Error"]["Code"]

    assert asked(launch_parameters.COUNT_MAX) == "DryRunOperation"
    assert asked(launch_parameters.COUNT_MAX + 1) == WRONG


def test_user_data_has_16_kib_at_most(client: Any) -> None:
    most = launch_parameters.USER_DATA_BYTES_MAX
    launch(client, UserData="x" * most)
    assert code(client.run_instances, **LAUNCH, UserData="x" * (most + 1)) == WRONG


def test_metadata_goes_64_hops_at_most(client: Any) -> None:
    def hops(count: int) -> dict[str, Any]:
        return {**LAUNCH, "MetadataOptions": {"HttpPutResponseHopLimit": count}}

    client.run_instances(**hops(launch_parameters.HOPS_MAX))
    assert code(client.run_instances, **hops(launch_parameters.HOPS_MAX + 1)) == WRONG


def test_a_hundred_instance_types_are_asked_for_at_most(client: Any) -> None:
    most = 100
    names = [one["InstanceType"] for one in client.describe_instance_types()["InstanceTypes"]]
    asked = (names * most)[: most + 1]
    assert client.describe_instance_types(InstanceTypes=asked[:most])["InstanceTypes"]
    assert code(client.describe_instance_types, InstanceTypes=asked) == WRONG


def test_the_name_of_a_key_pair_has_255_characters_at_most(client: Any) -> None:
    most = key_pairs.NAME_CHARACTERS_MAX
    client.create_key_pair(KeyName="k" * most, KeyType="ed25519")
    assert code(client.create_key_pair, KeyName="k" * (most + 1), KeyType="ed25519") == WRONG


def test_the_words_of_a_security_group_have_255_characters_at_most(client: Any) -> None:
    most = security_groups.TEXT_CHARACTERS_MAX
    client.create_security_group(GroupName="g" * most, Description="d" * most)
    for name, description in (("h" * (most + 1), "d"), ("h", "d" * (most + 1))):
        asked = {"GroupName": name, "Description": description}
        assert code(client.create_security_group, **asked) == WRONG


@pytest.mark.parametrize(
    ("what", "most", "permission"),
    [
        ("ports", rule_forms.PORT_MAX, {"IpProtocol": "tcp", "FromPort": 0, "ToPort": ...}),
        ("types", rule_forms.ICMP_MAX, {"IpProtocol": "icmp", "FromPort": ..., "ToPort": -1}),
        ("protocols", rule_forms.PROTOCOL_MAX, {"IpProtocol": ...}),
    ],
)
def test_a_rule_names_what_a_packet_can_carry(
    client: Any, what: str, most: int, permission: dict[str, Any]
) -> None:
    made = client.create_security_group(GroupName=f"rules of {what}", Description="d")

    def asked(number: int) -> dict[str, Any]:
        filled = {
            name: (str(number) if name == "IpProtocol" else number) if value is ... else value
            for name, value in permission.items()
        }
        ranges = {"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        return {"GroupId": made["GroupId"], "IpPermissions": [{**filled, **ranges}]}

    client.authorize_security_group_ingress(**asked(most))
    assert code(client.authorize_security_group_ingress, **asked(most + 1)) == WRONG


def test_the_description_of_a_rule_has_255_characters_at_most(client: Any) -> None:
    most = rule_forms.DESCRIPTION_CHARACTERS_MAX
    made = client.create_security_group(GroupName="described rules", Description="d")

    def asked(text: str) -> dict[str, Any]:
        ranges = [{"CidrIp": "10.0.0.0/8", "Description": text}]
        permission = {"IpProtocol": "-1", "IpRanges": ranges}
        return {"GroupId": made["GroupId"], "IpPermissions": [permission]}

    assert code(client.authorize_security_group_ingress, **asked("d" * (most + 1))) == WRONG
    client.authorize_security_group_ingress(**asked("d" * most))


def test_an_interface_has_as_many_addresses_as_the_largest_type_takes(
    client: Any, subnet: str
) -> None:
    most = interface_addresses.ADDRESSES_MAX
    types = INSTANCE_TYPES.values()
    assert most == max(max(one.ipv4_per_interface, one.ipv6_per_interface) for one in types)
    asked = {"SubnetId": subnet, "SecondaryPrivateIpAddressCount": most - 1}
    made = client.create_network_interface(**asked)["NetworkInterface"]
    assert len(made["PrivateIpAddresses"]) == most
    more = {"SubnetId": subnet, "SecondaryPrivateIpAddressCount": most}
    assert code(client.create_network_interface, **more) == "PrivateIpAddressLimitExceeded"


def test_the_number_of_an_entry_leaves_the_last_ones_to_ec2(client: Any) -> None:
    most = network_acls.RULE_NUMBER_MAX
    [acl] = client.describe_network_acls()["NetworkAcls"]

    def asked(number: int) -> dict[str, Any]:
        return {
            "NetworkAclId": acl["NetworkAclId"],
            "RuleNumber": number,
            "Protocol": "-1",
            "RuleAction": "deny",
            "Egress": True,
            "CidrBlock": "10.0.0.0/8",
        }

    client.create_network_acl_entry(**asked(most))
    assert code(client.create_network_acl_entry, **asked(most + 1)) == WRONG


@pytest.mark.parametrize("option", dhcp_values.VALUES_MAX)
def test_a_dhcp_option_has_as_many_values_as_ec2_takes(client: Any, option: str) -> None:
    most = dhcp_values.VALUES_MAX[option]

    def asked(count: int) -> list[dict[str, Any]]:
        values = [
            str(dhcp_values.LEASES[0]) if option.startswith("ipv6") else
            str(number) if option.endswith("type") else f"10.0.0.{number}"
            for number in range(1, count + 1)
        ]  # fmt: skip
        return [{"Key": option, "Values": values}]

    client.create_dhcp_options(DhcpConfigurations=asked(most))
    assert code(client.create_dhcp_options, DhcpConfigurations=asked(most + 1)) == WRONG


def test_a_domain_name_of_dhcp_options_has_253_characters_at_most(client: Any) -> None:
    most = dhcp_values.NAME_CHARACTERS_MAX

    def asked(count: int) -> list[dict[str, Any]]:
        return [{"Key": "domain-name", "Values": ["d" * count]}]

    client.create_dhcp_options(DhcpConfigurations=asked(most))
    assert code(client.create_dhcp_options, DhcpConfigurations=asked(most + 1)) == WRONG


def test_the_name_of_a_vpn_device_has_255_characters_at_most(client: Any) -> None:
    most = vpn_gateways._DEVICE_CHARACTERS_MAX
    asked = {"Type": "ipsec.1", "IpAddress": "198.51.100.9"}
    client.create_customer_gateway(**asked, DeviceName="d" * most)
    assert code(client.create_customer_gateway, **asked, DeviceName="d" * (most + 1)) == WRONG


def test_a_type_of_resource_is_tagged_once_in_a_request(client: Any) -> None:
    tags = {"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}
    asked = {"AvailabilityZone": "us-east-1a", "Size": 8}
    assert code(client.create_volume, **asked, TagSpecifications=[tags, tags]) == WRONG


def test_a_resource_has_fifty_tags_of_bounded_texts_at_most(client: Any) -> None:
    id = launch(client)["InstanceId"]
    key, value = (
        "k" * parameters.TAG_KEY_CHARACTERS_MAX,
        "v" * parameters.TAG_VALUE_CHARACTERS_MAX,
    )
    client.create_tags(Resources=[id], Tags=[{"Key": key, "Value": value}])
    for longer in ({"Key": key + "k", "Value": ""}, {"Key": "k", "Value": value + "v"}):
        assert code(client.create_tags, Resources=[id], Tags=[longer]) == WRONG
    others = [{"Key": f"{n}", "Value": ""} for n in range(parameters.TAGS_MAX)]
    client.create_tags(Resources=[id], Tags=others[1:])
    assert code(client.create_tags, Resources=[id], Tags=others[:1]) == "TagLimitExceeded"


def test_a_version_of_more_digits_than_there_are_versions_is_none(client: Any) -> None:
    made = client.create_launch_template(
        LaunchTemplateName="versions", LaunchTemplateData={"InstanceType": "t3.micro"}
    )["LaunchTemplate"]
    # Ask with more digits than Python turns into a number.
    asked = {"LaunchTemplateId": made["LaunchTemplateId"], "MinVersion": "9" * 5000}
    assert client.describe_launch_template_versions(**asked)["LaunchTemplateVersions"] == []


def test_a_launch_from_a_version_of_five_thousand_digits_is_refused(client: Any) -> None:
    made = client.create_launch_template(
        LaunchTemplateName="long-numbers", LaunchTemplateData={"InstanceType": "t3.micro"}
    )["LaunchTemplate"]
    template = {"LaunchTemplateId": made["LaunchTemplateId"]}
    expected = "InvalidLaunchTemplateId.VersionNotFound"
    long = "9" * 5000
    named = {**template, "Version": long}
    assert code(client.run_instances, MinCount=1, MaxCount=1, LaunchTemplate=named) == expected
    data = {"LaunchTemplateData": {"InstanceType": "t3.micro"}, "SourceVersion": long}
    assert code(client.create_launch_template_version, **template, **data) == expected
    assert code(client.delete_launch_template_versions, **template, Versions=[long]) == expected
