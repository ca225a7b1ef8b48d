"""Security groups. Their rules are in `security_group_rules.py`.

CreateSecurityGroup takes no client token: a repeat is refused, because the name is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import Noun, Parents, arn
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.network.rule_forms import to_permissions
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import endings, listings, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, security_groups, vpcs
from sametoken.resources.network.vpcs import SECURITY_GROUP, VPC
from sametoken.store.port import Tx

_PERMISSION = {
    "cidr": "IpRanges[].CidrIp",
    "from-port": "FromPort",
    "group-id": "UserIdGroupPairs[].GroupId",
    "group-name": "UserIdGroupPairs[].GroupName",
    "ipv6-cidr": "Ipv6Ranges[].CidrIpv6",
    "prefix-list-id": "PrefixListIds[].PrefixListId",
    "protocol": "IpProtocol",
    "to-port": "ToPort",
    "user-id": "UserIdGroupPairs[].UserId",
}
# Source: EC2 API reference, DescribeSecurityGroups, "Filters".
SECURITY_GROUP_PATHS = {
    "description": "Description",
    **{f"egress.ip-permission.{name}": f"IpPermissionsEgress[].{path}"
       for name, path in _PERMISSION.items()},
    "group-id": "GroupId",
    "group-name": "GroupName",
    **{f"ip-permission.{name}": f"IpPermissions[].{path}" for name, path in _PERMISSION.items()},
    "owner-id": "OwnerId",
    "vpc-id": "VpcId",
}  # fmt: skip
# Source of length and characters: EC2 API reference, CreateSecurityGroup.
TEXT_CHARACTERS_MAX = 255
_TEXT = re.compile(rf"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{{}}!$*]{{1,{TEXT_CHARACTERS_MAX}}}\Z")
# Characters that a filter does not take literally.
_WILDCARD = re.compile(r"[\\*?]")


def _validate(request: Request) -> None:
    params = request.params
    for name in ("GroupName", "Description"):
        if not _TEXT.match(params[name]):
            raise refusals.invalid_value(
                name, params[name][:TEXT_CHARACTERS_MAX],
                f"Use 1 to {TEXT_CHARACTERS_MAX} characters of a-z, A-Z, 0-9, spaces and "
                "._-:/()#,@[]+=&;{}!$*",
            )  # fmt: skip
    if params["GroupName"] == vpcs.DEFAULT_GROUP:
        raise ServiceError(
            "InvalidParameterValue", "Cannot use reserved security group name: default"
        )
    if params["GroupName"].startswith("sg-"):
        raise refusals.invalid_value("GroupName", params["GroupName"], "It cannot start with sg-.")
    if "VpcId" in params:
        VPC.check_id(params["VpcId"])


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params, account, region = request.params, request.account, request.region
    if "VpcId" in params:
        vpc = rows.get(tx, VPC, account, region, [params["VpcId"]], lock=True)[0].id
    else:
        vpc = _default_vpc(tx, request)
        # Lock the VPC, so that of two equal names asked for at once the second sees the first.
        rows.by_ids(tx, [vpc], lock=True)
    name = params["GroupName"]
    if rows.find_named(tx, SECURITY_GROUP, account, region, f"{vpc}/{name}") is not None:
        raise ServiceError(
            "InvalidGroup.Duplicate",
            f"The security group '{name}' already exists for VPC '{vpc}'",
        )
    return {"GroupName": name, "Description": params["Description"], "VpcId": vpc}


def _default_vpc(tx: Tx, request: Request) -> str:
    found = default_vpc.find(tx, request.account, request.region)
    if found is None:
        raise ServiceError("VPCIdNotSpecified", "No default VPC for this user. Specify a VPC.")
    return found.id


def _furnish(tx: Tx, group: Row) -> None:
    vpc = group.doc["VpcId"]
    rows.link(tx, vpc, group.id)
    outbound = vpcs.outbound_rules(rows.by_ids(tx, [vpc])[vpc])
    rows.insert(tx, [security_groups.rule(tx, group, one) for one in outbound])


def _show(row: Row) -> Document:
    form = SECURITY_GROUPS.generic(row)
    return {**form, "SecurityGroupArn": arn(row)}


def _permissions(tx: Tx, page: Sequence[Row]) -> list[Document]:
    found = security_groups.rules_of(tx, [row.id for row in page])
    return [
        {
            member: to_permissions(one.doc for one in found[row.id] if one.doc["IsEgress"] is way)
            for member, way in (("IpPermissions", False), ("IpPermissionsEgress", True))
        }
        for row in page
    ]


SECURITY_GROUPS = Noun(
    SECURITY_GROUP,
    spelled={"id": "GroupId", "one": None},
    paths=SECURITY_GROUP_PATHS,
    accepts={"GroupName": None, "Description": None, "VpcId": None},
    build=_build,
    show=_show,
    joins=_permissions,
    under=frozenset({"VpcId"}),
    created=_furnish,
    name=lambda request, document: f"{document['VpcId']}/{document['GroupName']}",
)


def _made(tx: Tx, row: Row) -> Document:
    form = _show(row)
    told = ("GroupId", "Tags", "SecurityGroupArn")
    return {name: form[name] for name in told if name in form}


def find_group(tx: Tx, request: Request) -> Row:
    """Find the group that the request names, by id or, in the default VPC, by name; lock it."""
    params, account, region = request.params, request.account, request.region
    if "GroupId" in params:
        return rows.get(tx, SECURITY_GROUP, account, region, [params["GroupId"]], lock=True)[0]
    if "GroupName" not in params:
        raise refusals.missing_parameter("groupName or groupId")
    named = named_group(tx, account, region, _default_vpc(tx, request), params["GroupName"])
    return rows.by_ids(tx, [named.id], lock=True)[named.id]


def named_group(tx: Tx, account: str, region: str, vpc: str, name: str) -> Row:
    """Return the VPC's group of that name, or raise EC2's refusal."""
    found = rows.find_named(tx, SECURITY_GROUP, account, region, f"{vpc}/{name}")
    if found is None:
        raise ServiceError(
            "InvalidGroup.NotFound",
            f"The security group '{name[:200]}' does not exist in VPC '{vpc}'",
        )
    return found


def delete_security_group(tx: Tx, request: Request) -> Document:
    """Delete a group and its rules. Refused while interfaces or other groups' rules name it."""
    group = find_group(tx, request)
    if group.doc["GroupName"] == vpcs.DEFAULT_GROUP:
        raise ServiceError(
            "CannotDelete",
            f'the specified group: "{group.id}" name: "default" cannot be deleted by a user',
        )
    endings.end(tx, SECURITY_GROUP, group, cause=request.action)
    return {"Return": True, "GroupId": group.id}


def describe_security_groups(tx: Tx, request: Request) -> Document:
    names = request.params.get("GroupNames")
    if names:
        request = _with_name_filter(tx, request, names)
    return describe(
        tx, request, SECURITY_GROUP, _show, "SecurityGroups", SECURITY_GROUPS.filters,
        ids="GroupIds", parents=SECURITY_GROUPS.shown_parents, joins=_permissions,
    )  # fmt: skip


def _with_name_filter(tx: Tx, request: Request, names: list[str]) -> Request:
    """Add the names, which must exist, to the request as a filter."""
    every = listings.every(tx, SECURITY_GROUP, request.account, request.region)
    known = {row.doc["GroupName"] for row in every}
    for name in names:
        if name not in known:
            raise ServiceError(
                "InvalidGroup.NotFound", f"The security group '{name[:200]}' does not exist"
            )
    values = [_WILDCARD.sub(r"\\\g<0>", name) for name in names]
    filters = [*request.params.get("Filters", []), {"Name": "group-name", "Values": values}]
    return request.with_params(Filters=filters)


ACTIONS: tuple[Action, ...] = (
    creating(
        SECURITY_GROUPS,
        "CreateSecurityGroup",
        validate=_validate,
        result=_made,
        repeats=conflicts("InvalidGroup.Duplicate", "ERR"),
    ),
    Change(
        "DeleteSecurityGroup",
        delete_security_group,
        repeats=conflicts("InvalidGroup.NotFound", "MEM"),
    ),
    Read("DescribeSecurityGroups", describe_security_groups),
)
