"""Rules of security groups, in both of EC2's forms: IpPermissions, and rules with ids.

EC2 takes no client token for any of these: a repeated Authorize is refused as a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, arn, requested_tags
from sametoken.ec2.kit.parameters import check_tag_specifications
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import describing
from sametoken.ec2.network import prefix_lists
from sametoken.ec2.network.prefix_lists import PREFIX_LIST
from sametoken.ec2.network.rule_forms import (
    asked_permissions,
    checked_description,
    from_rule_request,
    identity,
    spoken,
    to_permissions,
    to_rules,
)
from sametoken.ec2.network.security_groups import find_group, named_group
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import quotas, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import security_groups
from sametoken.resources.network.security_groups import PEERS, RULE
from sametoken.resources.network.vpcs import SECURITY_GROUP
from sametoken.store.port import Tx

_Run = Callable[[Tx, Request], Document]


def _show(row: Row) -> Document:
    form = RULES.generic(row)
    # Drop None: a modified rule has it in the member of its earlier peer.
    shown = {name: value for name, value in form.items() if value is not None}
    return {**shown, "SecurityGroupRuleArn": arn(row)}


RULES = Noun(
    RULE,
    show=_show,
    under=frozenset({"GroupId"}),
)


def _validate_authorize(request: Request) -> None:
    check_tag_specifications(request.params, (RULE.name,))
    _asked(request, is_egress=False)


def _asked(request: Request, *, is_egress: bool) -> list[Document]:
    """The rules that a request describes by permissions: at least one."""
    permissions = asked_permissions(request.params)
    asked = [rule for one in permissions for rule in to_rules(one, is_egress=is_egress)]
    if not asked:
        raise refusals.missing_parameter("ipPermissions")
    return asked


def _authorizing(*, is_egress: bool) -> _Run:
    def run(tx: Tx, request: Request) -> Document:
        group = find_group(tx, request)
        existing = security_groups.rules_of(tx, [group.id])[group.id]
        asked = _resolved_all(tx, group, _asked(request, is_egress=is_egress))
        _refuse_existing(asked, existing)
        _check_quota(tx, group, existing, asked, is_egress=is_egress)
        tags = requested_tags(request, RULE)
        made = [security_groups.rule(tx, group, one, tags) for one in asked]
        rows.insert(tx, made)
        return {"Return": True, "SecurityGroupRules": [_show(row) for row in made]}

    return run


def _resolved_all(tx: Tx, group: Row, rules: Sequence[Document]) -> list[Document]:
    """The rules with their peers looked up. Refuses a rule that is given twice, in any spelling."""
    found = [_resolved(tx, group, one) for one in rules]
    if len({identity(rule) for rule in found}) < len(found):
        raise ServiceError(
            "InvalidParameterValue", "The same permission must not appear multiple times"
        )
    return found


def _resolved(tx: Tx, group: Row, rule: Document) -> Document:
    """The rule with its peer looked up: a group of the same VPC by id, a prefix list there is."""
    if "PrefixListId" in rule:
        id = rule["PrefixListId"]
        if not prefix_lists.is_known(tx, group.account, group.region, id):
            raise PREFIX_LIST.not_found([id[:200]])
    if "ReferencedGroupInfo" not in rule:
        return rule
    peer = _peer_group(tx, group, rule["ReferencedGroupInfo"])
    return {**rule, "ReferencedGroupInfo": {"GroupId": peer.id, "UserId": peer.account}}


def _peer_group(tx: Tx, group: Row, pair: Document) -> Row:
    if pair.get("UserId", group.account) != group.account:
        raise ServiceError(
            "InvalidGroup.NotFound",
            f"The security group of account '{pair['UserId'][:200]}' is not in a connected VPC.",
        )
    for name in ("VpcPeeringConnectionId", "PeeringStatus"):
        if name in pair:
            raise refusals.unsupported(f"IpPermissions.UserIdGroupPairs.{name}")
    vpc = group.doc["VpcId"]
    if "GroupId" not in pair:
        if not pair.get("GroupName"):
            raise refusals.missing_parameter("groupId")
        return named_group(tx, group.account, group.region, vpc, pair["GroupName"])
    found = rows.get(tx, SECURITY_GROUP, group.account, group.region, [pair["GroupId"]])[0]
    if found.doc["VpcId"] != vpc:
        raise ServiceError(
            "InvalidGroup.NotFound",
            "You have specified two resources that belong to different networks.",
        )
    return found


def _refuse_existing(asked: Sequence[Document], existing: Sequence[Row]) -> None:
    known = {identity(row.doc) for row in existing}
    for rule in asked:
        if identity(rule) in known:
            raise ServiceError(
                "InvalidPermission.Duplicate",
                f'the specified rule "{spoken(rule)}" already exists',
            )


def _check_quota(
    tx: Tx, group: Row, existing: Sequence[Row], asked: Sequence[Document], *, is_egress: bool
) -> None:
    """Check the quota of rules, inbound and outbound apart."""
    count = sum(row.doc["IsEgress"] is is_egress for row in existing) + len(asked)
    quotas.refuse_beyond(tx, RULE.name, group.account, group.region, count)


def _revoking(*, is_egress: bool) -> _Run:
    def run(tx: Tx, request: Request) -> Document:
        group = find_group(tx, request)
        unwanted, unknown = _chosen(tx, request, group, is_egress=is_egress)
        # EC2 does not refuse this for the default VPC's groups: "For a default VPC … no error is
        # returned" (API reference, RevokeSecurityGroup…).
        if unknown and not _vpc_of(tx, group).doc["IsDefault"]:
            raise _no_such_rule()
        security_groups.remove_rules(tx, unwanted, cause=request.action)
        revoked = [_revoked(row) for row in unwanted]
        result: Document = {"Return": True, "RevokedSecurityGroupRules": revoked}
        return {**result, "UnknownIpPermissions": to_permissions(unknown)} if unknown else result

    return run


def _vpc_of(tx: Tx, group: Row) -> Row:
    vpc: str = group.doc["VpcId"]
    return rows.by_ids(tx, [vpc])[vpc]


def _chosen(
    tx: Tx, request: Request, group: Row, *, is_egress: bool
) -> tuple[list[Row], list[Document]]:
    """The group's rules that a request names, by id or by permission; and the rules it lacks.

    Rules named by id all exist, or `InvalidSecurityGroupRuleId.NotFound` is raised.
    """
    existing = security_groups.rules_of(tx, [group.id])[group.id]
    if "SecurityGroupRuleIds" in request.params:
        return _by_ids(group, existing, request.params["SecurityGroupRuleIds"], is_egress), []
    known = {identity(row.doc): row for row in existing}
    asked = _resolved_all(tx, group, _asked(request, is_egress=is_egress))
    chosen = [known[identity(one)] for one in asked if identity(one) in known]
    return chosen, [one for one in asked if identity(one) not in known]


def _matching(known: dict[tuple[object, ...], Row], rule: Document) -> Row:
    found = known.get(identity(rule))
    if found is None:
        raise _no_such_rule()
    return found


def _no_such_rule() -> ServiceError:
    return ServiceError(
        "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
    )


def _by_ids(
    group: Row, existing: Sequence[Row], ids: Sequence[str], is_egress: bool | None
) -> list[Row]:
    """The group's rules with these ids, of that direction unless it is None."""
    for id in ids:
        RULE.check_id(id)
    here = {row.id: row for row in existing if is_egress in (None, row.doc["IsEgress"])}
    missing = [id for id in ids if id not in here]
    if missing:
        raise RULE.not_found(missing)
    return [here[id] for id in dict.fromkeys(ids)]


def _revoked(row: Row) -> Document:
    """EC2's RevokedSecurityGroupRule, which spells the peer group unlike SecurityGroupRule."""
    form = _show(row)
    peer = form.pop("ReferencedGroupInfo", None)
    for name in ("GroupOwnerId", "Tags", "SecurityGroupRuleArn"):
        del form[name]
    return form if peer is None else {**form, "ReferencedGroupId": peer["GroupId"]}


def modify_rules(tx: Tx, request: Request) -> Document:
    """Change the contents of rules; ids, tags and directions stay."""
    group = find_group(tx, request)
    existing = security_groups.rules_of(tx, [group.id])[group.id]
    changes = request.params["SecurityGroupRules"]
    chosen = _by_ids(group, existing, [one["SecurityGroupRuleId"] for one in changes], None)
    if len(chosen) < len(changes):
        raise refusals.invalid_value("SecurityGroupRules", "", "A rule is named twice.")
    asked = [
        from_rule_request(change.get("SecurityGroupRule", {}), is_egress=row.doc["IsEgress"])
        for row, change in zip(chosen, changes, strict=True)
    ]
    wanted = _resolved_all(tx, group, asked)
    ids = {row.id for row in chosen}
    _refuse_existing(wanted, [row for row in existing if row.id not in ids])
    for row, rule in zip(chosen, wanted, strict=True):
        _rewrite(tx, row, rule)
    return {"Return": True}


def _rewrite(tx: Tx, row: Row, rule: Document) -> None:
    before = {row.doc["GroupId"], *security_groups.refers_to(_present(row.doc))}
    after = {row.doc["GroupId"], *security_groups.refers_to(rule)}
    for parent in before - after:
        rows.unlink(tx, parent, row.id)
    for parent in after - before:
        rows.link(tx, parent, row.id)
    blank: Document = dict.fromkeys((*PEERS, "Description"))
    rows.change(tx, RULE, row, **{**blank, **rule})


def _present(doc: Document) -> Document:
    return {name: value for name, value in doc.items() if value is not None}


def _describing_rules(*, is_egress: bool) -> _Run:
    def run(tx: Tx, request: Request) -> Document:
        group = find_group(tx, request)
        existing = security_groups.rules_of(tx, [group.id])[group.id]
        given = request.params.get("SecurityGroupRuleDescriptions")
        if given:
            ids = [one.get("SecurityGroupRuleId", "") for one in given]
            texts = {id: one.get("Description") for id, one in zip(ids, given, strict=True)}
            described = [(row, checked_description(texts[row.id]))
                         for row in _by_ids(group, existing, ids, is_egress)]  # fmt: skip
        else:
            by_identity = {identity(row.doc): row for row in existing}
            asked = _resolved_all(tx, group, _asked(request, is_egress=is_egress))
            described = [(_matching(by_identity, rule), rule) for rule in asked]
        for row, rule in described:
            rows.change(tx, RULE, row, Description=rule.get("Description"))
        return {"Return": True}

    return run


ACTIONS: tuple[Action, ...] = (
    Change(
        "AuthorizeSecurityGroupIngress",
        _authorizing(is_egress=False),
        _validate_authorize,
        repeats=conflicts("InvalidPermission.Duplicate", "ERR"),
    ),
    Change(
        "AuthorizeSecurityGroupEgress",
        _authorizing(is_egress=True),
        _validate_authorize,
        repeats=conflicts("InvalidPermission.Duplicate", "ERR"),
    ),
    Change(
        "RevokeSecurityGroupIngress",
        _revoking(is_egress=False),
        repeats=same("MOD", way="in the default VPC")
        + conflicts("InvalidPermission.NotFound", "MOD")
        + conflicts("InvalidSecurityGroupRuleId.NotFound", "ERR", way="by rule id"),
    ),
    Change(
        "RevokeSecurityGroupEgress",
        _revoking(is_egress=True),
        repeats=same("MOD", way="in the default VPC")
        + conflicts("InvalidPermission.NotFound", "MOD")
        + conflicts("InvalidSecurityGroupRuleId.NotFound", "ERR", way="by rule id"),
    ),
    Change("ModifySecurityGroupRules", modify_rules, repeats=same("DER")),
    Change(
        "UpdateSecurityGroupRuleDescriptionsIngress",
        _describing_rules(is_egress=False),
        repeats=same("DER"),
    ),
    Change(
        "UpdateSecurityGroupRuleDescriptionsEgress",
        _describing_rules(is_egress=True),
        repeats=same("DER"),
    ),
    describing(RULES),
)
