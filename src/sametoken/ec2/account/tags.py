"""CreateTags, DeleteTags and DescribeTags, on any resource the account has."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.filters import compile_filters, exact_values, tag_filters
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.parameters import TAGS_MAX, check_tags
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.account import tags
from sametoken.resources.compute.launch_templates import VERSION
from sametoken.resources.compute.placements import PLACEMENT
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import KINDS
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.elastic_addresses import ASSOCIATION
from sametoken.store.port import Tx

# Source: EC2 API reference, DescribeTags, "Filters". `tag:KEY` is made for each key asked for.
TAG_FILTERS = {
    "key": "Key",
    "resource-id": "ResourceId",
    "resource-type": "ResourceType",
    "value": "Value",
}


def _as_tags(shown: Document) -> dict[str, str]:
    return {shown["Key"]: shown["Value"]}


# A placement is a kind of our own, unknown to callers; EC2 tags neither associations nor the
# versions of a template.
_UNTAGGED = frozenset({PLACEMENT.name, ASSOCIATION.name, VERSION.name})

_FILTERS = {**getters(TAG_FILTERS), **tag_filters(_as_tags)}


def validate_create(request: Request) -> None:
    if not request.params["Resources"]:
        raise refusals.missing_parameter("resourceIdSet")
    check_tags(request.params["Tags"])


def create_tags(tx: Tx, request: Request) -> Document:
    """Add or overwrite tags: idempotent by nature."""
    given = {tag["Key"]: tag.get("Value", "") for tag in request.params["Tags"]}
    for row in _lock(tx, request):
        merged = {**tags.of(row), **given}
        if len(merged) > TAGS_MAX:
            raise ServiceError(
                "TagLimitExceeded",
                f"{row.id} would have {len(merged)} tags; {TAGS_MAX} are allowed.",
            )
        tags.set_all(tx, row, merged)
    return {}


def validate_delete(request: Request) -> None:
    """Refuse a tag without a key: a value alone names no tag to remove."""
    if any("Key" not in tag for tag in request.params.get("Tags", ())):
        raise refusals.missing_parameter("Tag.Key")


def delete_tags(tx: Tx, request: Request) -> Document:
    """Remove the named tags (with that value, if one is given), or all tags when none is named."""
    named = request.params.get("Tags")
    for row in _lock(tx, request):
        kept = tags.of(row)
        for tag in named if named is not None else [{"Key": key} for key in kept]:
            if tag.get("Value", kept.get(tag["Key"])) == kept.get(tag["Key"]):
                kept = {key: value for key, value in kept.items() if key != tag["Key"]}
        tags.set_all(tx, row, kept)
    return {}


def describe_tags(tx: Tx, request: Request) -> Document:
    """Every tag of the account's living resources, by resource and key."""
    given = request.params.get("Filters")
    found = tags.tagged(
        tx,
        request.account,
        request.region,
        ids=exact_values(given, "resource-id"),
        kinds=exact_values(given, "resource-type"),
        keys=exact_values(given, "key"),
    )
    shown = [
        {"ResourceId": row.id, "ResourceType": row.kind, "Key": key, "Value": value}
        for row in found
        for key, value in tags.of(row).items()
    ]
    matches = compile_filters(given, _FILTERS)
    listed = page(
        (one for one in shown if matches(one)),
        _order,
        max_results=request.params.get("MaxResults"),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=5,
        maximum=1000,
    )
    return {"Tags": listed.items, "NextToken": listed.next_token}


def _order(shown: Document) -> str:
    return f"{shown['ResourceId']}/{shown['Key']}"


def _lock(tx: Tx, request: Request) -> list[Row]:
    """Lock the living resources that the request names.

    Raises `InvalidID` for text that cannot be an id, and the kind's own `NotFound` for an id that
    the account does not have.
    """
    ids = request.params["Resources"]
    found = rows.by_ids(tx, ids, lock=True)
    for id in ids:
        row = found.get(id)
        owner = None if row is None else (row.account, row.region)
        if row is None or row.gone_at is not None or owner != (request.account, request.region):
            raise _missing(id)
        if row.kind in _UNTAGGED:
            raise _invalid_id(id)
    return [found[id] for id in dict.fromkeys(ids)]


def _missing(id: str) -> ServiceError:
    prefix = id.rpartition("-")[0]
    kind = next((one for one in KINDS.values() if one.prefix == prefix), None)
    if kind is None or kind.name in _UNTAGGED:
        return _invalid_id(id)
    try:
        kind.check_id(id)
    except ServiceError:
        return _invalid_id(id)
    return kind.not_found([id])


def _invalid_id(id: str) -> ServiceError:
    return ServiceError("InvalidID", f"The ID '{id[:200]}' is not valid")


ACTIONS: tuple[Action, ...] = (
    Change("CreateTags", create_tags, validate=validate_create, repeats=same("MOD")),
    Change("DeleteTags", delete_tags, validate=validate_delete, repeats=same("DER")),
    Read("DescribeTags", describe_tags),
)
