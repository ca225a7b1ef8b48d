"""Rules of security groups: a row each, so that each has an id and tags of its own.

A rule stands under its group, and under the group or prefix list it refers to; neither can be
deleted before it. This module does not know how requests spell rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

RULE = Kind(
    "security-group-rule",
    "sgr",
    "InvalidSecurityGroupRuleId",
    "security group rule",
    quota=Quota(60, "RulesPerSecurityGroupLimitExceeded", per="GroupId"),
    goes_with={"security-group": lambda row, group: row.doc["GroupId"] == group.id},
)
# PEERS are the sources or destinations of a rule's traffic: a rule has exactly one of these
# members.
PEERS = ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupInfo")


def rule(tx: Tx, group: Row, spec: Mapping[str, Any], tags: Sequence[Any] = ()) -> Row:
    """The row of a new rule of `group`, to be inserted.

    `spec` has the members of EC2's SecurityGroupRule: IsEgress, IpProtocol, FromPort, ToPort, one
    of `PEERS`, perhaps Description.
    """
    doc = {**spec, "GroupId": group.id, "GroupOwnerId": group.account, "Tags": list(tags)}
    return Row(
        mint(tx, RULE.prefix), RULE.name, group.account, group.region, "available", doc, tx.now,
        parents=tuple(dict.fromkeys([group.id, *refers_to(spec)])),
    )  # fmt: skip


def refers_to(spec: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the resources that cannot be deleted while the rule stands."""
    if "ReferencedGroupInfo" in spec:
        yield spec["ReferencedGroupInfo"]["GroupId"]
    if "PrefixListId" in spec:
        yield spec["PrefixListId"]


def outbound_rule() -> dict[str, Any]:
    """The rule of every new group that lets its members reach everything."""
    return _everything(IsEgress=True, CidrIpv4="0.0.0.0/0")


def ipv6_outbound_rule() -> dict[str, Any]:
    """The same for IPv6, in VPCs that have it."""
    return _everything(IsEgress=True, CidrIpv6="::/0")


def members_rule(group: Row) -> dict[str, Any]:
    """The rule of a VPC's default group that lets its members reach each other."""
    peer = {"GroupId": group.id, "UserId": group.account}
    return _everything(IsEgress=False, ReferencedGroupInfo=peer)


def _everything(**members: Any) -> dict[str, Any]:
    return {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1, **members}


def rules_of(tx: Tx, groups: Sequence[str]) -> dict[str, list[Row]]:
    """The rules of each group, oldest first: one query for all of them."""
    # Filter by group: rules of other groups that refer to one of these stand under it as well.
    return {
        group: sorted(
            (row for row in found if row.doc["GroupId"] == group),
            key=lambda row: (row.created_at, row.id),
        )
        for group, found in rows.children(tx, groups, RULE).items()
    }


def remove_rules(tx: Tx, unwanted: Sequence[Row], *, cause: str) -> None:
    """End these rules. Their group's row must be locked."""
    for row in unwanted:
        endings.end(tx, RULE, row, cause=cause)
