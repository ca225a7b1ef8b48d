"""Exercises of rules for traffic: security groups, route tables, network ACLs."""

from __future__ import annotations

from exercises.exercise import (
    Document,
    Exercise,
    Ground,
    Live,
    Way,
    after,
    in_vpc,
    nothing_more,
    tagged,
)
from exercises.gateways import default_gateway

_ANYWHERE = "0.0.0.0/0"
_SSH: Document = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
INBOUND: Document = {"IpPermissions": [{**_SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]}
# The rule of every new group, which lets all traffic out.
OUTBOUND: Document = {"IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": _ANYWHERE}]}]}


def _group(ground: Ground) -> Document:
    vpc = ground.own("vpc") if ground.has("vpc") else ground.vpc()
    name = ground.name("web", "db", "queue")
    return {"GroupName": name, "Description": "what it is for", "VpcId": vpc}


def _group_in(ground: Live, *, default: bool = False) -> str:
    """Make a security group that lets port 22 in: in the default VPC, or in one of the caller's."""
    vpc = ground.vpc() if default else ground.own("vpc")
    asked = {"VpcId": vpc, "GroupName": "mine", "Description": "of mine"}
    id = str(ground.call("CreateSecurityGroup", **asked)["GroupId"])
    ground.call("AuthorizeSecurityGroupIngress", GroupId=id, **INBOUND)
    return id


def _rules(ground: Live, group: str, *, outbound: bool) -> list[str]:
    filters = [{"Name": "group-id", "Values": [group]}]
    shown = ground.call("DescribeSecurityGroupRules", Filters=filters)["SecurityGroupRules"]
    return [one["SecurityGroupRuleId"] for one in shown if one["IsEgress"] is outbound]


def _rule(ground: Ground) -> Document:
    # Few ports, so that some requests meet a rule that is there already.
    port = 21 + ground.number(3)
    ports = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    return {
        "GroupName": "default",
        "IpPermissions": [{**ports, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    }


def _permission(permissions: Document, *, default: bool = False) -> Way:
    return lambda ground: {"GroupId": _group_in(ground, default=default), **permissions}


def _by_rule(*, outbound: bool) -> Way:
    def ask(ground: Live) -> Document:
        group = _group_in(ground)
        return {
            "GroupId": group,
            "SecurityGroupRuleIds": _rules(ground, group, outbound=outbound),
        }

    return ask


def _modified_rules(ground: Live) -> Document:
    group = _group_in(ground)
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv4": _ANYWHERE}
    return {
        "GroupId": group,
        "SecurityGroupRules": [
            {"SecurityGroupRuleId": id, "SecurityGroupRule": rule}
            for id in _rules(ground, group, outbound=False)
        ],
    }


def _with_reason(permissions: Document) -> Document:
    [one] = permissions["IpPermissions"]
    described = [{**block, "Description": "why"} for block in one["IpRanges"]]
    return {"IpPermissions": [{**one, "IpRanges": described}]}


_OTHER: Document = {"IpPermissions": [{**_SSH, "IpRanges": [{"CidrIp": "192.168.0.0/16"}]}]}
_RULES: dict[str, Way] = {
    "AuthorizeSecurityGroupEgress": _permission(_OTHER),
    "ModifySecurityGroupRules": _modified_rules,
    "RevokeSecurityGroupEgress": _permission(OUTBOUND),
    "RevokeSecurityGroupEgress by rule id": _by_rule(outbound=True),
    "RevokeSecurityGroupEgress in the default VPC": _permission(OUTBOUND, default=True),
    "RevokeSecurityGroupIngress": _permission(INBOUND),
    "RevokeSecurityGroupIngress in the default VPC": _permission(INBOUND, default=True),
    "UpdateSecurityGroupRuleDescriptionsEgress": _permission(_with_reason(OUTBOUND)),
    "UpdateSecurityGroupRuleDescriptionsIngress": _permission(_with_reason(INBOUND)),
}


def _associating(ground: Ground) -> Document:
    return {"RouteTableId": ground.own("route-table"), "SubnetId": ground.subnet()}


_associated = after("AssociateRouteTable", _associating, "AssociationId")


def _route(ground: Ground) -> Document:
    return {
        "RouteTableId": ground.own("route-table"),
        "DestinationCidrBlock": f"203.0.113.{ground.number(3)}/32",
        "NetworkInterfaceId": ground.own("network-interface"),
    }


_routed = after("CreateRoute", _route, "RouteTableId", "DestinationCidrBlock")


def _entry(ground: Ground) -> Document:
    named = {"NetworkAclId": ground.own("network-acl"), "RuleNumber": ground.number(3)}
    rule = {"Protocol": "-1", "RuleAction": "allow", "CidrBlock": "10.0.0.0/8"}
    return {**named, **rule, "Egress": False}


_entered = after("CreateNetworkAclEntry", _entry)


def _acl_association(ground: Live) -> Document:
    [default] = ground.call("DescribeNetworkAcls")["NetworkAcls"]
    association = default["Associations"][0]["NetworkAclAssociationId"]
    return {"AssociationId": association, "NetworkAclId": ground.own("network-acl")}


EXERCISES = (
    Exercise(
        kind="security-group",
        make="CreateSecurityGroup",
        ask=_group,
        end="DeleteSecurityGroup",
        id="GroupId",
        brought_by="vpc",
        lists={"DescribeSecurityGroupRules": nothing_more},
    ),
    Exercise(
        kind="security-group-rule",
        make="AuthorizeSecurityGroupIngress",
        ask=_rule,
        end="RevokeSecurityGroupIngress by rule id",
        end_with={"GroupName": "default"},
        id="SecurityGroupRuleId",
        brought_by="security-group",
        changes=_RULES,
    ),
    Exercise(
        kind="route-table",
        make="CreateRouteTable",
        ask=in_vpc,
        other=tagged("route-table"),
        end="DeleteRouteTable",
        brought_by="vpc",
        changes={
            "AssociateRouteTable": _associating,
            "DisassociateRouteTable": _associated,
            "ReplaceRouteTableAssociation": lambda ground: {
                **_associated(ground),
                "RouteTableId": ground.own("route-table"),
            },
        },
    ),
    Exercise(
        kind="route",
        make="CreateRoute",
        ask=_route,
        changes={
            "DeleteRoute": _routed,
            "ReplaceRoute": lambda ground: {
                **_routed(ground),
                "GatewayId": default_gateway(ground),
            },
        },
        unmixed="it is a part of its route table, without an id",
    ),
    Exercise(
        kind="network-acl",
        make="CreateNetworkAcl",
        ask=in_vpc,
        other=tagged("network-acl"),
        end="DeleteNetworkAcl",
        brought_by="vpc",
        changes={"ReplaceNetworkAclAssociation": _acl_association},
    ),
    Exercise(
        kind="network-acl-entry",
        make="CreateNetworkAclEntry",
        ask=_entry,
        changes={
            "DeleteNetworkAclEntry": after(
                "CreateNetworkAclEntry", _entry, "NetworkAclId", "RuleNumber", "Egress"
            ),
            "ReplaceNetworkAclEntry": lambda ground: {**_entered(ground), "RuleAction": "deny"},
        },
        unmixed="it is a part of its ACL, without an id",
    ),
)
