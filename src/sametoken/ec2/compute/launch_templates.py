"""Launch templates: create, versions, default version, and their data in a launch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sametoken.ec2.compute.launch_parameters import check_hops, check_user_data
from sametoken.ec2.kit.actions import Action, Change, Read, Tokened
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.filters import compile_filters
from sametoken.ec2.kit.nouns import requested_tags, shown_members
from sametoken.ec2.kit.packing import packed, unpacked
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.parameters import check_tag_specifications
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.repeats import conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.idempotency import Identities, Made, TokenGrammar
from sametoken.resources.catalogues import images
from sametoken.resources.compute import launch_templates as stored
from sametoken.resources.compute.launch_templates import NUMBER_DIGITS_MAX, TEMPLATE, VERSION
from sametoken.resources.kit import endings, listings, quotas, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

# The model documents 128 characters for these three actions.
GRAMMAR = TokenGrammar(characters_max=128)
# EC2 refuses even an identical repeat in this way, once versions were added (captured).
USED = "Client token already used before."
# Source: EC2 API reference, "Filters" of DescribeLaunchTemplates.
FILTERS = {"create-time": "CreateTime", "launch-template-name": "LaunchTemplateName"}
# Source: EC2 API reference, "Filters" of DescribeLaunchTemplateVersions.
VERSION_FILTERS = {
    "create-time": "CreateTime",
    "ebs-optimized": "LaunchTemplateData.EbsOptimized",
    "host-resource-group-arn": "LaunchTemplateData.Placement.HostResourceGroupArn",
    "http-endpoint": "LaunchTemplateData.MetadataOptions.HttpEndpoint",
    "http-protocol-ipv4": "",
    "http-tokens": "LaunchTemplateData.MetadataOptions.HttpTokens",
    "iam-instance-profile": "LaunchTemplateData.IamInstanceProfile.Arn",
    "image-id": "LaunchTemplateData.ImageId",
    "instance-type": "LaunchTemplateData.InstanceType",
    "is-default-version": "DefaultVersion",
    "kernel-id": "LaunchTemplateData.KernelId",
    "license-configuration-arn": (
        "LaunchTemplateData.LicenseSpecifications[].LicenseConfigurationArn"
    ),
    "network-card-index": "LaunchTemplateData.NetworkInterfaces[].NetworkCardIndex",
    "ram-disk-id": "LaunchTemplateData.RamDiskId",
}
_VERSION_MAX = 10**NUMBER_DIGITS_MAX - 1
# Names that stand for a version of any template.
_STANDING_FOR = {"$Latest", "$Default"}
_NO_SUCH_VERSION = {
    "Code": "launchTemplateVersionDoesNotExist",
    "Message": "The launch template version does not exist.",
}
# Least and most items of a page, of templates and of versions.
_PAGES = (1, 200)


def validate(request: Request) -> None:
    check_tag_specifications(request.params, (TEMPLATE.name,))
    refuse_operator(request)
    check_data(request)


def check_data(request: Request) -> None:
    """Refuse data that no launch could use, as far as EC2 looks at it before one."""
    data = request.params["LaunchTemplateData"]
    check_user_data(data.get("UserData"))
    check_hops(data)


def refuse_operator(request: Request) -> None:
    if "Operator" in request.params:
        raise refusals.unsupported("Operator")


def perform_create(tx: Tx, request: Request) -> Made:
    params = request.params
    name = params["LaunchTemplateName"]
    if rows.find_named(tx, TEMPLATE, request.account, request.region, name) is not None:
        raise ServiceError(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            f"Launch template name already in use: {name}",
        )
    doc = {
        "LaunchTemplateName": name,
        "CreatedBy": f"arn:aws:iam::{request.account}:root",
        "DefaultVersionNumber": 1,
        "LatestVersionNumber": 1,
        "Tags": requested_tags(request, TEMPLATE),
    }
    row = Row(
        mint(tx, TEMPLATE.prefix), TEMPLATE.name, request.account, request.region, "available",
        doc, tx.now, name=name, client_token=params.get("ClientToken"),
    )  # fmt: skip
    quotas.check(tx, row)
    rows.insert(tx, [row])
    data = packed(params["LaunchTemplateData"])
    stored.add_version(tx, row, 1, data, params.get("VersionDescription"))
    return Made({"id": row.id}, resources=[row.id])


def view_create(tx: Tx, request: Request, identities: Identities) -> Document:
    row = _living(tx, identities["id"])
    if stored.last_number(row) != 1:
        raise ServiceError("IdempotentParameterMismatch", USED)
    return {"LaunchTemplate": show(row)}


def _living(tx: Tx, id: str) -> Row:
    row = rows.find(tx, id)
    if row is None or row.gone_at is not None:
        raise ServiceError("IdempotentParameterMismatch", USED)
    return row


def show(row: Row) -> Document:
    """EC2's LaunchTemplate."""
    return {**shown_members(row), "LaunchTemplateId": row.id, "CreateTime": row.created_at}


def show_version(template: Row, row: Row, request: Request) -> Document:
    """EC2's LaunchTemplateVersion. `ResolveAlias` has it show an image that an alias stands for."""
    data = unpacked(row.doc["LaunchTemplateData"])
    image = str(data.get("ImageId", ""))
    if request.params.get("ResolveAlias") and image.startswith("resolve:ssm:"):
        data["ImageId"] = images.resolve_parameter(request.region, image) or image
    document: Document = {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.doc["LaunchTemplateName"],
        "VersionNumber": row.doc["VersionNumber"],
        "CreateTime": row.created_at,
        "CreatedBy": template.doc["CreatedBy"],
        "DefaultVersion": row.doc["VersionNumber"] == template.doc["DefaultVersionNumber"],
        "LaunchTemplateData": data,
    }
    if row.doc["VersionDescription"] is not None:
        document["VersionDescription"] = row.doc["VersionDescription"]
    return document


def perform_version(tx: Tx, request: Request) -> Made:
    params = request.params
    template = _template(tx, request, lock=True)
    data: dict[str, Any] = packed(params["LaunchTemplateData"])
    if "SourceVersion" in params:
        source = stored.version(tx, template, params["SourceVersion"])
        data = {**source.doc["LaunchTemplateData"], **data}
    number = stored.last_number(template) + 1
    row = stored.add_version(tx, template, number, data, params.get("VersionDescription"))
    rows.change(
        tx, TEMPLATE, template, LatestVersionNumber=number,
        private={**template.private, "last": number},
    )  # fmt: skip
    return Made({"template": template.id, "version": row.id}, resources=[row.id])


def view_version(tx: Tx, request: Request, identities: Identities) -> Document:
    template, row = _living(tx, identities["template"]), _living(tx, identities["version"])
    return {"LaunchTemplateVersion": show_version(template, row, request)}


def perform_modify(tx: Tx, request: Request) -> Made:
    template = _template(tx, request, lock=True)
    wanted = request.params.get("DefaultVersion")
    if wanted is not None:
        number = stored.version(tx, template, wanted).doc["VersionNumber"]
        rows.change(tx, TEMPLATE, template, DefaultVersionNumber=number)
    return Made({"id": template.id})


def view_modify(tx: Tx, request: Request, identities: Identities) -> Document:
    return {"LaunchTemplate": show(_living(tx, identities["id"]))}


def delete(tx: Tx, request: Request) -> Document:
    """Delete a template with all its versions. Instances launched from it stay."""
    template = _template(tx, request, lock=True)
    endings.end(tx, TEMPLATE, template, cause="DeleteLaunchTemplate")
    return {"LaunchTemplate": show(template)}


def delete_versions(tx: Tx, request: Request) -> Document:
    """Delete versions; return those that are gone beside those that were not there.

    All are refused if the default version is among them (captured).
    """
    template = _template(tx, request, lock=True)
    numbers = [stored.number_of(template, wanted) for wanted in request.params["Versions"]]
    if template.doc["DefaultVersionNumber"] in numbers:
        raise ServiceError(
            "InvalidParameterValue",
            "The default version cannot be deleted. Either specify another version as default or "
            "delete the launch template.",
        )
    gone: list[Document] = []
    kept: list[Document] = []
    for number in numbers:
        named: Document = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.doc["LaunchTemplateName"],
            "VersionNumber": number,
        }
        row = stored.find_version(tx, template, number)
        if row is None:
            kept.append({**named, "ResponseError": _NO_SUCH_VERSION})
        else:
            endings.end(tx, VERSION, row, cause="DeleteLaunchTemplateVersions")
            gone.append(named)
    if gone:
        left = stored.versions(tx, template)[0].doc["VersionNumber"]
        rows.change(tx, TEMPLATE, template, LatestVersionNumber=left)
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": gone,
        "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
    }


def describe_templates(tx: Tx, request: Request) -> Document:
    """Return the templates that are named, by id or by name, that pass the filters."""
    params, place = request.params, request.place
    found = [
        stored.find(tx, *place, id=id, name=None) for id in params.get("LaunchTemplateIds", ())
    ]
    for name in params.get("LaunchTemplateNames", ()):
        found.append(stored.find(tx, *place, id=None, name=name))
    if found:
        request = request.with_params(LaunchTemplateIds=[row.id for row in found])
    return describe(
        tx, request, TEMPLATE, show, "LaunchTemplates", FILTERS, ids="LaunchTemplateIds",
        sizes=_PAGES,
    )  # fmt: skip


def describe_versions(tx: Tx, request: Request) -> Document:
    """Return versions of one template: the named ones, a range, or all.

    Without a template return the latest or the default version of each, or both: "You cannot
    specify numbers" (EC2 API reference).
    """
    params = request.params
    matches = compile_filters(params.get("Filters"), getters(VERSION_FILTERS))
    least, most = _bound(params, "MinVersion", 1), _bound(params, "MaxVersion", None)
    shown = [
        show_version(template, row, request)
        for template, row in _chosen(tx, request)
        if (least is None or row.doc["VersionNumber"] >= least)
        and (most is None or row.doc["VersionNumber"] <= most)
    ]
    listed = page(
        (one for one in shown if matches(one)),
        # Sort by template, then the newest version first, as EC2 lists them.
        lambda one: (
            f"{one['LaunchTemplateId']}:{_VERSION_MAX - one['VersionNumber']:0{NUMBER_DIGITS_MAX}}"
        ),
        max_results=params.get("MaxResults"),
        next_token=params.get("NextToken"),
        scope=scope_of(request),
        minimum=_PAGES[0],
        maximum=_PAGES[1],
    )
    return {"LaunchTemplateVersions": listed.items, "NextToken": listed.next_token}


def _chosen(tx: Tx, request: Request) -> Iterator[tuple[Row, Row]]:
    """Yield the versions that a request names, each with its template."""
    named = request.params.get("Versions", [])
    names_template = {"LaunchTemplateId", "LaunchTemplateName"} & request.params.keys()
    if not names_template and named and set(named) <= _STANDING_FOR:
        for template in listings.every(tx, TEMPLATE, request.account, request.region):
            for number in {stored.number_of(template, one) for one in named}:
                row = stored.find_version(tx, template, number)
                if row is not None:
                    yield template, row
        return
    template = _template(tx, request)
    wanted = {stored.version(tx, template, one).id for one in named}
    for row in stored.versions(tx, template):
        if not wanted or row.id in wanted:
            yield template, row


def _bound(params: Mapping[str, Any], name: str, default: int | None) -> int | None:
    """A bound of a range of versions, which the model has as text."""
    given = params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit()):
        raise refusals.invalid_value(name, given[:200], "Give the number of a version.")
    # No version has a number of more digits, so that a longer bound is cut to so many.
    return int(given[:NUMBER_DIGITS_MAX])


def _template(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    return stored.find(
        tx, request.account, request.region,
        id=request.params.get("LaunchTemplateId"), name=request.params.get("LaunchTemplateName"),
        lock=lock,
    )  # fmt: skip


def laid_under(tx: Tx, request: Request) -> tuple[Request, list[Document]]:
    """Lay the template's data under the request's own parameters; return the origin tags too.

    `$Latest` and `$Default` are resolved here, at the first run; a replay never comes here. By the
    origin tags EC2 marks the instances with the template and its version.
    """
    specification = request.params.get("LaunchTemplate")
    if specification is None:
        return request, []
    template = stored.find(
        tx, request.account, request.region,
        id=specification.get("LaunchTemplateId"), name=specification.get("LaunchTemplateName"),
    )  # fmt: skip
    version = stored.version(tx, template, specification.get("Version"))
    data = unpacked(version.doc["LaunchTemplateData"])
    own = {name: value for name, value in request.params.items() if name != "LaunchTemplate"}
    tags = _together(data.get("TagSpecifications", []), own.get("TagSpecifications", []))
    if tags:
        own["TagSpecifications"] = tags
    origin = [
        {"Key": "aws:ec2launchtemplate:id", "Value": template.id},
        {"Key": "aws:ec2launchtemplate:version", "Value": str(version.doc["VersionNumber"])},
    ]
    return replace(request, params={**data, **own}), origin


def _together(under: list[Document], over: list[Document]) -> list[Document]:
    """Merge specifications by type of resource: of two tags with one key, that of `over` counts."""
    merged: dict[str, dict[str, Document]] = {}
    for specification in (*under, *over):
        tags = merged.setdefault(specification["ResourceType"], {})
        tags |= {tag["Key"]: tag for tag in specification.get("Tags", ())}
    return [{"ResourceType": one, "Tags": list(tags.values())} for one, tags in merged.items()]


ACTIONS: tuple[Action, ...] = (
    Tokened(
        "CreateLaunchTemplate",
        perform_create,
        view_create,
        validate=validate,
        grammar=GRAMMAR,
        mismatch=USED,
        deleted=USED,
        repeats=conflicts("InvalidLaunchTemplateName.AlreadyExistsException", "ERR"),
    ),
    Tokened(
        "CreateLaunchTemplateVersion",
        perform_version,
        view_version,
        validate=check_data,
        grammar=GRAMMAR,
        mismatch=USED,
        deleted=USED,
        repeats=doubles("DER"),
    ),
    Tokened(
        "ModifyLaunchTemplate",
        perform_modify,
        view_modify,
        grammar=GRAMMAR,
        mismatch=USED,
        deleted=USED,
        repeats=same("DER"),
    ),
    Change(
        "DeleteLaunchTemplate", delete, repeats=conflicts("InvalidLaunchTemplateId.NotFound", "MEM")
    ),
    Change(
        "DeleteLaunchTemplateVersions",
        delete_versions,
        repeats=conflicts("launchTemplateVersionDoesNotExist", "FLD"),
    ),
    Read("DescribeLaunchTemplates", describe_templates),
    Read("DescribeLaunchTemplateVersions", describe_versions),
)
