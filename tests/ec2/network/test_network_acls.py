"""Network ACLs: their entries, and the subnets that they filter."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import by_filter, code
from plane import Plane

ALLOW = {"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": False}


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


@pytest.fixture
def vpc(ec2: Any) -> str:
    return str(ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])


def new_acl(ec2: Any, vpc: str) -> str:
    return str(ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"])


def entries(ec2: Any, acl: str) -> list[dict[str, Any]]:
    """Return the entries of an ACL that are its caller's."""
    [found] = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    return [one for one in found["Entries"] if one["RuleNumber"] < 32767]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "nonsense"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.1"}, "InvalidParameterValue"),
        ({"CidrBlock": "2001:db8::/32"}, "InvalidParameterValue"),
        ({"Ipv6CidrBlock": "10.0.0.0/8"}, "InvalidParameterValue"),
        (
            {"CidrBlock": "10.0.0.0/8", "Ipv6CidrBlock": "2001:db8::/32"},
            "InvalidParameterCombination",
        ),
    ],
)
@pytest.mark.parametrize("action", ["create_network_acl_entry", "replace_network_acl_entry"])
def test_an_entry_has_one_block(
    ec2: Any, vpc: str, action: str, blocks: dict[str, str], expected: str
) -> None:
    acl = new_acl(ec2, vpc)
    if action.startswith("replace"):
        ec2.create_network_acl_entry(NetworkAclId=acl, CidrBlock="10.0.0.0/8", **ALLOW)
    before = entries(ec2, acl)
    assert code(getattr(ec2, action), NetworkAclId=acl, **ALLOW, **blocks) == expected
    assert entries(ec2, acl) == before


@pytest.mark.parametrize(
    ("traffic", "expected"),
    [
        ({"Protocol": "bogus"}, "InvalidParameterValue"),
        ({"Protocol": "256"}, "InvalidParameterValue"),
        ({"Protocol": "6"}, "MissingParameter"),
        ({"Protocol": "17", "PortRange": {"From": 1}}, "MissingParameter"),
        ({"Protocol": "6", "PortRange": {"From": 9, "To": 2}}, "InvalidParameterValue"),
        ({"Protocol": "6", "PortRange": {"From": 9, "To": 65536}}, "InvalidParameterValue"),
        ({"Protocol": "1"}, "MissingParameter"),
        ({"Protocol": "1", "IcmpTypeCode": {"Code": -1}}, "MissingParameter"),
        ({"Protocol": "1", "IcmpTypeCode": {"Type": 256, "Code": 0}}, "InvalidParameterValue"),
    ],
)
def test_an_entry_has_the_ports_or_the_type_of_its_protocol(
    ec2: Any, vpc: str, traffic: dict[str, Any], expected: str
) -> None:
    acl = new_acl(ec2, vpc)
    asked = {**ALLOW, "CidrBlock": "10.0.0.0/8", **traffic}
    assert code(ec2.create_network_acl_entry, NetworkAclId=acl, **asked) == expected
    assert entries(ec2, acl) == []


def test_an_entry_keeps_the_number_of_its_protocol_and_what_that_has(ec2: Any, vpc: str) -> None:
    acl = new_acl(ec2, vpc)
    ports = {"From": 80, "To": 443}
    echo = {"Type": 8, "Code": -1}
    for number, protocol in enumerate(("tcp", "icmp", "-1", "047"), start=1):
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=number, Protocol=protocol, RuleAction="deny", Egress=True,
            CidrBlock="0.0.0.0/0", PortRange=ports, IcmpTypeCode=echo,
        )  # fmt: skip
    shown = [
        (one["Protocol"], one.get("PortRange"), one.get("IcmpTypeCode"))
        for one in entries(ec2, acl)
    ]
    assert shown == [
        ("6", ports, None), ("1", None, echo), ("-1", None, None), ("47", None, None),
    ]  # fmt: skip


def test_the_block_of_an_entry_is_kept_without_host_bits(ec2: Any, vpc: str) -> None:
    acl = new_acl(ec2, vpc)
    ec2.create_network_acl_entry(NetworkAclId=acl, CidrBlock="10.1.2.3/8", **ALLOW)
    [entry] = entries(ec2, acl)
    assert entry["CidrBlock"] == "10.0.0.0/8"


def test_the_equal_entry_again_succeeds_and_another_of_its_number_is_refused(
    ec2: Any, vpc: str
) -> None:
    acl = new_acl(ec2, vpc)
    for _ in range(2):
        ec2.create_network_acl_entry(NetworkAclId=acl, CidrBlock="10.0.0.0/8", **ALLOW)
    assert len(entries(ec2, acl)) == 1
    other = {**ALLOW, "CidrBlock": "10.0.0.0/9"}
    refused = code(ec2.create_network_acl_entry, NetworkAclId=acl, **other)
    assert refused == "NetworkAclEntryAlreadyExists"


def test_a_subnet_moves_only_to_an_acl_of_its_vpc(ec2: Any, vpc: str) -> None:
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")
    [default] = ec2.describe_network_acls(Filters=by_filter("vpc-id", vpc))["NetworkAcls"]
    [association] = default["Associations"]
    move = ec2.replace_network_acl_association
    id = association["NetworkAclAssociationId"]
    stranger = new_acl(ec2, ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"])
    refused = code(move, AssociationId=id, NetworkAclId=stranger)
    assert refused == "InvalidParameterValue"
    [stayed] = ec2.describe_network_acls(Filters=by_filter("vpc-id", vpc))["NetworkAcls"]
    assert stayed["Associations"] == [association]
