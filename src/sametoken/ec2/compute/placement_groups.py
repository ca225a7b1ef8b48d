"""Placement groups: named by their callers, so that a repeat is a duplicate."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import Noun, Parents, arn
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import endings, listings, rows
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.listings import By, Wish
from sametoken.resources.kit.looks import WHOLE
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

PLACEMENT_GROUP = Kind(
    "placement-group",
    "pg",
    "InvalidPlacementGroup",
    "placement group",
    malformed="InvalidPlacementGroupId.Malformed",
    missing="InvalidPlacementGroup.Unknown",
    quota=Quota(500, "PlacementGroupLimitExceeded"),
)
# Filters of DescribePlacementGroups whose names are not their paths.
PATHS = {
    "linked-group-id": "",
    "parent-group-id": "",
    "operator.managed": "=false",
    "operator.principal": "",
}
# EC2's number of partitions where the caller names none.
_PARTITIONS = 2


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    name = params.get("GroupName")
    if name is None:
        raise refusals.missing_parameter("GroupName")
    if rows.find_named(tx, PLACEMENT_GROUP, request.account, request.region, name) is not None:
        raise ServiceError(
            "InvalidPlacementGroup.Duplicate",
            f"The placement group '{name}' already exists.",
        )
    strategy = params.get("Strategy", "cluster")
    document = {"GroupName": name, "Strategy": strategy}
    if strategy == "partition":
        document["PartitionCount"] = params.get("PartitionCount", _PARTITIONS)
    if strategy == "spread":
        document["SpreadLevel"] = params.get("SpreadLevel", "rack")
    return document


def show(row: Row) -> Document:
    """EC2's PlacementGroup."""
    return {**row.doc, "GroupId": row.id, "GroupArn": arn(row), "State": row.state}


GROUPS = Noun(
    PLACEMENT_GROUP,
    spelled={"id": "GroupId"},
    paths=PATHS,
    accepts=dict.fromkeys(("GroupName", "PartitionCount", "SpreadLevel", "Strategy")),
    build=_build,
    show=show,
    name=lambda request, document: str(document["GroupName"]),
)


def require(tx: Tx, account: str, region: str, name: str) -> Row:
    """Return the group called `name`, or raise EC2's refusal."""
    found = rows.find_named(tx, PLACEMENT_GROUP, account, region, name)
    if found is None:
        raise ServiceError(
            "InvalidPlacementGroup.Unknown", f"The Placement Group '{name[:200]}' is unknown."
        )
    return found


def delete(tx: Tx, request: Request) -> Document:
    """Delete by name; refused while an instance is in the group."""
    name = request.params["GroupName"]
    row = require(tx, request.account, request.region, name)
    within = (Wish(By.TRAIT, (name,), "Placement.GroupName"),)
    for piece in listings.walk(tx, WHOLE, INSTANCE, request.account, request.region, within):
        for instance in piece:
            named = instance.doc["Placement"]["GroupName"]
            if named == name and instance.gone_at is None:
                raise ServiceError(
                    "InvalidPlacementGroup.InUse",
                    f"The placement group '{row.name}' is in use by {instance.id}.",
                )
    endings.end(tx, PLACEMENT_GROUP, row, cause="DeletePlacementGroup")
    return {}


def describe_groups(tx: Tx, request: Request) -> Document:
    names = request.params.get("GroupNames", [])
    for name in names:
        require(tx, request.account, request.region, name)
    listed = describe(
        tx, request, PLACEMENT_GROUP, show, GROUPS.many, GROUPS.filters, ids=GROUPS.ids
    )[GROUPS.many]
    return {GROUPS.many: [one for one in listed if not names or one["GroupName"] in names]}


ACTIONS: tuple[Action, ...] = (
    creating(
        GROUPS, "CreatePlacementGroup", repeats=conflicts("InvalidPlacementGroup.Duplicate", "ERR")
    ),
    Read("DescribePlacementGroups", describe_groups),
    Change(
        "DeletePlacementGroup", delete, repeats=conflicts("InvalidPlacementGroup.Unknown", "MEM")
    ),
)
