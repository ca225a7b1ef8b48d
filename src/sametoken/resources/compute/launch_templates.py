"""Launch templates and their versions.

A version is a row of its own under its template, named by the template's id and its number. It
never changes, so a launch keeps meaning the version that it resolved to.
"""

from __future__ import annotations

from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources.kit import quotas, rows
from sametoken.resources.kit.kinds import Kind, Quota, always
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

TEMPLATE = Kind(
    "launch-template",
    "lt",
    "InvalidLaunchTemplateId",
    "launch template",
    quota=Quota(5_000, "MaxTemplateLimitExceeded"),
)
VERSION = Kind(
    "launch-template-version",
    "ltv",
    "InvalidLaunchTemplateId",
    "version",
    missing="InvalidLaunchTemplateId.VersionNotFound",
    quota=Quota(10_000, "MaxTemplateVersionLimitExceeded", per="LaunchTemplateId"),
    goes_with={TEMPLATE.name: always},
)
# A text of more digits than this is the number of no version, and costs much to read as one.
NUMBER_DIGITS_MAX = 18


def find(
    tx: Tx, account: str, region: str, *, id: str | None, name: str | None, lock: bool = False
) -> Row:
    """Find the template by id or by name. Raises a different EC2 refusal for each."""
    if (id is None) == (name is None):
        raise ServiceError(
            "InvalidParameterCombination" if id is not None else "MissingParameter",
            "Name the launch template by either its id or its name.",
        )
    if id is not None:
        TEMPLATE.check_id(id)
        row = rows.find(tx, id, lock=lock)
        if row is None or row.gone_at is not None or (row.account, row.region) != (account, region):
            raise ServiceError(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {id}, does not exist.",
            )
        return row
    assert name is not None, "one of the two is given"
    found = rows.find_named(tx, TEMPLATE, account, region, name)
    if found is None:
        raise ServiceError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name[:200]}, does not exist.",
        )
    return rows.by_ids(tx, [found.id], lock=True)[found.id] if lock else found


def version_id(template: str, number: int) -> str:
    return f"{template}:{number}"


def add_version(tx: Tx, template: Row, number: int, data: dict[str, Any], note: str | None) -> Row:
    """Add version `number`, the template's latest from now on. Raises its quota's refusal."""
    doc = {"VersionNumber": number, "LaunchTemplateData": data, "VersionDescription": note}
    row = Row(
        version_id(template.id, number), VERSION.name, template.account, template.region,
        "available", doc, tx.now, parents=(template.id,),
    )  # fmt: skip
    quotas.check(tx, row, parent=template.id)
    rows.insert(tx, [row])
    return row


def versions(tx: Tx, template: Row) -> list[Row]:
    """The template's versions, the newest first, as EC2 lists them."""
    found = rows.children(tx, [template.id])[template.id]
    return sorted(found, key=lambda row: -int(row.doc["VersionNumber"]))


def last_number(template: Row) -> int:
    """The highest number that a version has had, also of those that are deleted."""
    return int(template.private.get("last", template.doc["LatestVersionNumber"]))


def number_of(template: Row, wanted: str | None) -> int:
    """The number of a wanted version: `$Latest`, `$Default`, a number; None is the default."""
    match wanted:
        case None | "$Default":
            return int(template.doc["DefaultVersionNumber"])
        case "$Latest":
            return int(template.doc["LatestVersionNumber"])
        case digits if _is_number(digits):
            return int(digits)
        case other:
            raise ServiceError(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"The version {other[:64]!r} is neither a version's number nor $Latest or "
                "$Default.",
            )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX


def find_version(tx: Tx, template: Row, number: int) -> Row | None:
    """The template's version of that number, if it has one."""
    row = rows.find(tx, version_id(template.id, number))
    return None if row is None or row.gone_at is not None else row


def version(tx: Tx, template: Row, wanted: str | None) -> Row:
    """Return a version of the template, or raise `…VersionNotFound`."""
    number = number_of(template, wanted)
    row = find_version(tx, template, number)
    if row is None:
        raise ServiceError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {number} for the launch template with ID "
            f"{template.id}.",
        )
    return row
