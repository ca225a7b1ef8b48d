"""Security groups and their rules, which requests spell as permissions or by rule id."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from ec2.asking import by_filter, code, refusal, running, wait
from plane import Plane

_NAMES = count()

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
ANYWHERE = {"CidrIp": "0.0.0.0/0"}


@pytest.fixture
def ec2(plane: Plane) -> Iterator[Any]:
    """Yield a client of an account that only this test uses."""
    yield plane.client(keys=plane.account(f"groups-{next(_NAMES)}"))


@pytest.fixture
def group(ec2: Any) -> str:
    return new_group(ec2, "mine")


def new_group(ec2: Any, name: str, **more: Any) -> str:
    id: str = ec2.create_security_group(GroupName=name, Description=name, **more)["GroupId"]
    return id


def shown(ec2: Any, id: str) -> dict[str, Any]:
    [found] = ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"]
    group: dict[str, Any] = found
    return group


def rules(ec2: Any, group: str, *, egress: bool = False) -> list[dict[str, Any]]:
    answer = ec2.describe_security_group_rules(Filters=by_filter("group-id", group))
    return [one for one in answer["SecurityGroupRules"] if one["IsEgress"] is egress]


def authorize(ec2: Any, group: str, *permissions: Any, **more: Any) -> list[dict[str, Any]]:
    answer = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=list(permissions), **more
    )
    assert answer["Return"] is True
    made: list[dict[str, Any]] = answer["SecurityGroupRules"]
    return made


def test_a_group_lets_everything_out_and_nothing_in(ec2: Any) -> None:
    tags = [{"Key": "k", "Value": "v"}]
    made = ec2.create_security_group(
        GroupName="g", Description="d",
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )  # fmt: skip
    found = shown(ec2, made["GroupId"])
    assert found["Tags"] == made["Tags"] == tags
    assert found["SecurityGroupArn"] == made["SecurityGroupArn"]
    [default] = ec2.describe_vpcs()["Vpcs"]
    assert found["VpcId"] == default["VpcId"], "the default VPC when none is named"
    assert found["IpPermissions"] == []
    [outbound] = found["IpPermissionsEgress"]
    assert (outbound["IpProtocol"], outbound["IpRanges"]) == ("-1", [ANYWHERE])
    assert "FromPort" not in outbound


def test_a_repeat_is_refused_because_the_name_is_taken_in_the_vpc(ec2: Any, group: str) -> None:
    refused = refusal(ec2.create_security_group, GroupName="mine", Description="again")
    assert refused.code == "InvalidGroup.Duplicate"
    assert refused.message.startswith("The security group 'mine' already exists for VPC 'vpc-")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    new_group(ec2, "mine", VpcId=vpc)
    ec2.delete_security_group(GroupName="mine")
    assert code(ec2.delete_security_group, GroupId=group) == "InvalidGroup.NotFound"
    new_group(ec2, "mine")


@pytest.mark.parametrize("name", ["default", "sg-1", "tab\t", "ä", "x" * 256])
def test_names_no_group_can_have_are_refused(ec2: Any, name: str) -> None:
    refused = code(ec2.create_security_group, GroupName=name, Description="d")
    assert refused == "InvalidParameterValue"


def test_the_default_group_cannot_be_deleted(ec2: Any) -> None:
    [default] = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert code(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"


def test_a_group_stays_while_an_instance_or_a_rule_names_it(ec2: Any, group: str) -> None:
    other = new_group(ec2, "other")
    authorize(ec2, other, {**SSH, "UserIdGroupPairs": [{"GroupId": group}]})
    authorize(ec2, group, {**SSH, "UserIdGroupPairs": [{"GroupId": group}]})
    instance = running(ec2, SecurityGroupIds=[group])
    assert code(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", instance)
    assert code(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    ec2.delete_security_group(GroupId=other)
    ec2.delete_security_group(GroupId=group)
    assert rules(ec2, group) == []


def test_permissions_become_one_rule_a_peer_and_are_shown_together(ec2: Any, group: str) -> None:
    peer = new_group(ec2, "peer")
    tags = [{"Key": "k", "Value": "v"}]
    made = authorize(
        ec2,
        group,
        {
            **SSH,
            "IpRanges": [{"CidrIp": "10.1.2.3/8", "Description": "office"}, ANYWHERE],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "UserIdGroupPairs": [{"GroupId": peer}],
        },
        {"IpProtocol": "6", "FromPort": 80, "ToPort": 81, "IpRanges": [ANYWHERE]},
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
    )
    assert len(made) == 5
    assert {one["SecurityGroupRuleId"][:4] for one in made} == {"sgr-"}
    assert all(one["Tags"] == tags and one["IpProtocol"] == "tcp" for one in made)
    assert sorted(rules(ec2, group), key=str) == sorted(made, key=str)
    ssh, web = sorted(shown(ec2, group)["IpPermissions"], key=lambda one: one["FromPort"])
    assert sorted(one["CidrIp"] for one in ssh["IpRanges"]) == ["0.0.0.0/0", "10.0.0.0/8"]
    assert [one.get("Description") for one in ssh["IpRanges"] if one["CidrIp"][0] == "1"] == [
        "office"
    ]
    assert ssh["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    assert [one["GroupId"] for one in ssh["UserIdGroupPairs"]] == [peer]
    assert (web["IpProtocol"], web["FromPort"], web["ToPort"]) == ("tcp", 80, 81)


def test_a_repeated_authorize_is_refused_whole(ec2: Any, group: str) -> None:
    authorize(ec2, group, {**SSH, "IpRanges": [ANYWHERE]})
    new = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [ANYWHERE]}
    refused = refusal(
        ec2.authorize_security_group_ingress, GroupId=group,
        IpPermissions=[new, {**SSH, "IpRanges": [{**ANYWHERE, "Description": "other"}]}],
    )  # fmt: skip
    assert (refused.code, refused.message) == (
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already '
        "exists",
    )
    assert len(rules(ec2, group)) == 1, "nothing of a refused request is done"
    twice = code(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[new, new])
    assert twice == "InvalidParameterValue"


def test_the_older_flat_form_does_the_same(ec2: Any, group: str) -> None:
    ec2.authorize_security_group_ingress(GroupName="mine", **SSH, **ANYWHERE)
    same = code(
        ec2.authorize_security_group_ingress, GroupId=group,
        IpPermissions=[{**SSH, "IpRanges": [ANYWHERE]}],
    )  # fmt: skip
    assert same == "InvalidPermission.Duplicate"
    ec2.revoke_security_group_ingress(GroupName="mine", **SSH, **ANYWHERE)
    ec2.authorize_security_group_ingress(GroupId=group, SourceSecurityGroupName="default")
    found = shown(ec2, group)["IpPermissions"]
    assert sorted(one["IpProtocol"] for one in found) == ["icmp", "tcp", "udp"]


def test_rules_are_revoked_by_permission_or_by_id(ec2: Any, group: str) -> None:
    http = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [ANYWHERE]}
    made = authorize(ec2, group, {**SSH, "IpRanges": [ANYWHERE]}, http)
    revoke = ec2.revoke_security_group_ingress
    answer = revoke(GroupId=group, IpPermissions=[http])
    [revoked] = answer["RevokedSecurityGroupRules"]
    assert (revoked["FromPort"], revoked["CidrIpv4"]) == (80, "0.0.0.0/0")
    # "For a default VPC … no error is returned, and the output describes" the unknown rules.
    [unknown] = revoke(GroupId=group, IpPermissions=[http])["UnknownIpPermissions"]
    assert (unknown["FromPort"], unknown["IpRanges"]) == (80, [ANYWHERE])
    [ssh] = [one["SecurityGroupRuleId"] for one in made if one["FromPort"] == 22]
    as_egress = code(ec2.revoke_security_group_egress, GroupId=group, SecurityGroupRuleIds=[ssh])
    assert as_egress == "InvalidSecurityGroupRuleId.NotFound"
    revoke(GroupId=group, SecurityGroupRuleIds=[ssh])
    again = code(revoke, GroupId=group, SecurityGroupRuleIds=[ssh])
    assert again == "InvalidSecurityGroupRuleId.NotFound"
    described = code(ec2.describe_security_group_rules, SecurityGroupRuleIds=[ssh])
    assert described == "InvalidSecurityGroupRuleId.NotFound"
    everything = {"IpProtocol": "-1", "IpRanges": [ANYWHERE]}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    assert shown(ec2, group)["IpPermissionsEgress"] == []


def test_a_rule_is_modified_in_place(ec2: Any, group: str) -> None:
    peer = new_group(ec2, "peer")
    [made] = authorize(ec2, group, {**SSH, "UserIdGroupPairs": [{"GroupId": peer}]})
    id = made["SecurityGroupRuleId"]
    ec2.create_tags(Resources=[id], Tags=[{"Key": "k", "Value": "v"}])
    change = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 54, "CidrIpv4": "10.0.0.0/8"}
    ec2.modify_security_group_rules(
        GroupId=group,
        SecurityGroupRules=[{"SecurityGroupRuleId": id, "SecurityGroupRule": change}],
    )
    [found] = rules(ec2, group)
    assert found == {
        **{name: value for name, value in made.items() if name != "ReferencedGroupInfo"},
        **change,
        "Tags": [{"Key": "k", "Value": "v"}],
    }
    ec2.delete_security_group(GroupId=peer)
    [other] = authorize(ec2, group, {**SSH, "IpRanges": [ANYWHERE]})
    clash = {"SecurityGroupRuleId": other["SecurityGroupRuleId"], "SecurityGroupRule": change}
    refused = code(ec2.modify_security_group_rules, GroupId=group, SecurityGroupRules=[clash])
    assert refused == "InvalidPermission.Duplicate"


def test_descriptions_change_alone(ec2: Any, group: str) -> None:
    [made] = authorize(ec2, group, {**SSH, "IpRanges": [ANYWHERE]})
    update = ec2.update_security_group_rule_descriptions_ingress
    update(GroupId=group, IpPermissions=[{**SSH, "IpRanges": [{**ANYWHERE, "Description": "a"}]}])
    assert rules(ec2, group)[0]["Description"] == "a"
    named = {"SecurityGroupRuleId": made["SecurityGroupRuleId"]}
    update(GroupId=group, SecurityGroupRuleDescriptions=[{**named, "Description": "b"}])
    assert rules(ec2, group)[0]["Description"] == "b"
    update(GroupId=group, SecurityGroupRuleDescriptions=[named])
    assert rules(ec2, group) == [made]
    absent = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [ANYWHERE]}
    assert code(update, GroupId=group, IpPermissions=[absent]) == "InvalidPermission.NotFound"


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ({"IpRanges": [ANYWHERE]}, "MissingParameter"),
        (SSH, "MissingParameter"),
        ({**SSH, "IpRanges": [{"CidrIp": "10.0.0.1"}]}, "InvalidParameterValue"),
        ({**SSH, "Ipv6Ranges": [{"CidrIpv6": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**SSH, "ToPort": 21, "IpRanges": [ANYWHERE]}, "InvalidParameterValue"),
        ({**SSH, "ToPort": 65536, "IpRanges": [ANYWHERE]}, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "IpRanges": [ANYWHERE]}, "InvalidParameterValue"),
        ({**SSH, "IpProtocol": "256", "IpRanges": [ANYWHERE]}, "InvalidParameterValue"),
        ({**SSH, "IpProtocol": "tcpp", "IpRanges": [ANYWHERE]}, "InvalidParameterValue"),
        ({**SSH, "IpProtocol": "6" * 5000, "IpRanges": [ANYWHERE]}, "InvalidParameterValue"),
        ({**SSH, "IpProtocol": "\N{ARABIC-INDIC DIGIT SIX}", "IpRanges": [ANYWHERE]},
         "InvalidParameterValue"),
        ({**SSH, "UserIdGroupPairs": [{"GroupId": "sg-00000000"}]}, "InvalidGroup.NotFound"),
        ({**SSH, "UserIdGroupPairs": [{"GroupId": "sg-x"}]}, "InvalidGroupId.Malformed"),
        ({**SSH, "PrefixListIds": [{"PrefixListId": "pl-0"}]}, "InvalidPrefixListID.NotFound"),
    ],
)  # fmt: skip
def test_permissions_that_mean_nothing_are_refused(
    ec2: Any, group: str, permission: Any, expected: str
) -> None:
    refused = code(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission])
    assert refused == expected
    assert rules(ec2, group) == []


def test_a_protocol_is_shown_by_its_name_however_its_number_is_written(
    ec2: Any, group: str
) -> None:
    authorize(ec2, group, {**SSH, "IpProtocol": "006", "IpRanges": [ANYWHERE]})
    [rule] = rules(ec2, group)
    assert rule["IpProtocol"] == "tcp"


@pytest.mark.parametrize(
    "action",
    [
        "authorize_security_group_ingress",
        "revoke_security_group_ingress",
        "update_security_group_rule_descriptions_ingress",
    ],
)
def test_a_permission_that_is_given_twice_is_refused(ec2: Any, group: str, action: str) -> None:
    if not action.startswith("authorize"):
        authorize(ec2, group, {**SSH, "IpRanges": [ANYWHERE]})
    before = rules(ec2, group)
    twice = [{**SSH, "IpRanges": [ANYWHERE, ANYWHERE]}]
    refused = refusal(getattr(ec2, action), GroupId=group, IpPermissions=twice)
    assert (refused.code, refused.status) == ("InvalidParameterValue", 400)
    assert rules(ec2, group) == before


def test_a_group_has_at_most_sixty_rules_each_way(ec2: Any, group: str) -> None:
    ranges = [{"CidrIp": f"10.0.{number}.0/24"} for number in range(61)]
    authorize_all = ec2.authorize_security_group_ingress
    refused = code(authorize_all, GroupId=group, IpPermissions=[{**SSH, "IpRanges": ranges}])
    assert refused == "RulesPerSecurityGroupLimitExceeded"
    authorize(ec2, group, {**SSH, "IpRanges": ranges[:60]})
    refused = code(authorize_all, GroupId=group, IpPermissions=[{**SSH, "IpRanges": ranges[60:]}])
    assert refused == "RulesPerSecurityGroupLimitExceeded"


def test_a_rule_cannot_name_another_accounts_prefix_list(plane: Plane) -> None:
    asked = {"PrefixListName": "theirs", "AddressFamily": "IPv4", "MaxEntries": 1}
    stranger = plane.client(keys=plane.account("owner-of-the-list"))
    theirs = stranger.create_managed_prefix_list(**asked)["PrefixList"]["PrefixListId"]
    own = plane.client(keys=plane.account("owner-of-the-group"))
    group = own.create_security_group(GroupName="g", Description="d")["GroupId"]

    def rule(list_id: str) -> dict[str, Any]:
        permission = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": list_id}]}
        return {"GroupId": group, "IpPermissions": [permission]}

    told = refusal(own.authorize_security_group_ingress, **rule(theirs))
    assert told.code == "InvalidPrefixListID.NotFound"
    mine = own.create_managed_prefix_list(**asked)["PrefixList"]["PrefixListId"]
    own.authorize_security_group_ingress(**rule(mine))
