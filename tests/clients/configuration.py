"""The configuration that Terraform's tests share, and the account's resources by its Describes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from botocore import xform_name

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Read

# ACCOUNT has thirty-odd resources, three of them machines.
ACCOUNT = Path(__file__).parent / "account"
# Variables of a first apply, and of one that changes each resource in place: tags, user data and an
# instance type.
FIRST = {"owner": "first", "script": "one", "size": "t3.micro"}
SECOND = {"owner": "second", "script": "two", "size": "t3.small"}

Document = dict[str, Any]
# MADE is what the configuration adds to an account, by the action that lists it. A VPC brings a
# main route table, a network ACL and a security group with two rules; a NAT gateway and an instance
# bring an interface. Tags are two of each owned resource, one by the template and two that name it.
MADE = Counter(
    {
        "DescribeAddresses": 3,
        "DescribeAddressesAttribute": 3,
        "DescribeDhcpOptions": 1,
        "DescribeInstanceCreditSpecifications": 3,
        "DescribeInstanceStatus": 3,
        "DescribeInstances": 3,
        "DescribeInternetGateways": 1,
        "DescribeKeyPairs": 1,
        "DescribeLaunchTemplates": 1,
        "DescribeNatGateways": 1,
        "DescribeNetworkAcls": 4,
        "DescribeNetworkInterfaces": 5,
        "DescribeRouteTables": 4,
        "DescribeSecurityGroupRules": 13,
        "DescribeSecurityGroups": 4,
        "DescribeSubnets": 3,
        "DescribeTags": 41,
        "DescribeVolumeStatus": 5,
        "DescribeVolumes": 5,
        "DescribeVpcs": 2,
    }
)
# Lists that are the same for every account, and one that needs the name of a template.
_NOT_LISTED = frozenset(
    {
        "DescribeAccountAttributes",
        "DescribeAvailabilityZones",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "DescribeLaunchTemplateVersions",
        "DescribeManagedPrefixLists",
        "DescribePrefixLists",
        "DescribeRegions",
        "DescribeVpcEndpointServices",
    }
)
# Lists that show other accounts' resources unless a parameter asks for the account's own.
_OWN = {"DescribeImages": {"Owners": ["self"]}, "DescribeSnapshots": {"OwnerIds": ["self"]}}
# States that are shown for a while after a resource's end.
_GONE = frozenset({"deleted", "terminated"})
# Members that are the id of a resource which is shown so, or name it elsewhere.
_IDS = ("CustomerGatewayId", "InstanceId", "NatGatewayId", "ResourceId", "VpnGatewayId")


def standing(ec2: Any) -> dict[str, list[Document]]:
    """Everything the account holds and has not ended, by the action that lists it."""
    found = {name: _listed(ec2, name) for name in _lists(ec2)}
    gone = {id for many in found.values() for one in many if _is_gone(one) for id in _ids(one)}
    return {name: [one for one in many if not gone & _ids(one)] for name, many in found.items()}


def counts(held: dict[str, list[Document]]) -> Counter[str]:
    """The number of resources in each list."""
    return Counter({name: len(many) for name, many in held.items()})


def _lists(ec2: Any) -> list[str]:
    """Every served action that lists an account's resources."""
    model = ec2.meta.service_model
    return [
        name
        for name, action in ACTIONS.items()
        if name.startswith("Describe") and isinstance(action, Read) and name not in _NOT_LISTED
        and not model.operation_model(name).input_shape.required_members
    ]  # fmt: skip


def _listed(ec2: Any, name: str) -> list[Document]:
    answer = getattr(ec2, xform_name(name))(**_OWN.get(name, {}))
    [many] = [value for value in answer.values() if isinstance(value, list)]
    if name == "DescribeInstances":
        return [one for reservation in many for one in reservation["Instances"]]
    found: list[Document] = many
    return found


def _is_gone(one: Document) -> bool:
    state = one.get("State")
    return (state.get("Name") if isinstance(state, dict) else state) in _GONE


def _ids(one: Document) -> set[str]:
    """Ids by which a document is a gone resource itself, or refers to one."""
    return {one[name] for name in _IDS if one.get(name)}
