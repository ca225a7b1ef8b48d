"""Prefix lists: managed ones, which are versions of a list of blocks, and those of AWS itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.ec2.kit.actions import Action, Read
from sametoken.ec2.kit.filters import Getter, compile_filters, tag_filters, tags_of_document
from sametoken.ec2.kit.nouns import Noun, Parents, arn, named, shown_members
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.parameters import asked_block
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import PAGE_SIZES, PageSizes
from sametoken.ec2.kit.verbs import changing, creating, deleting
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.idempotency import TokenGrammar
from sametoken.resources.catalogues import prefix_lists as service_lists
from sametoken.resources.catalogues.prefix_lists import ServiceList
from sametoken.resources.kit import listings, rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.vpcs import ROUTE_TABLE
from sametoken.store.port import Tx

PREFIX_LIST = Kind(
    "prefix-list",
    "pl",
    "InvalidPrefixListID",
    "prefix list",
    malformed="InvalidPrefixListId.Malformed",
    transitions=states(create_complete="modify-complete deleted", modify_complete="deleted",
                       deleted=""),
    quota=Quota(100),
)  # fmt: skip
SERVICE_PREFIX = "com.amazonaws"
_NETWORKS: Mapping[str, type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network]] = {
    "IPv4": ipaddress.IPv4Network,
    "IPv6": ipaddress.IPv6Network,
}
# Source: EC2 API reference, DescribePrefixLists, "Filters".
SERVICE_FILTERS = {"prefix-list-id": "PrefixListId", "prefix-list-name": "PrefixListName"}
# Least and most entries of a page.
PAGES = (1, 100)
# CreateManagedPrefixList documents up to 255 characters; here they are ASCII, as in every action.
GRAMMAR = TokenGrammar(characters_max=255)


def _validate(request: Request) -> None:
    params = request.params
    if params["AddressFamily"] not in _NETWORKS:
        raise refusals.invalid_value("AddressFamily", params["AddressFamily"], "IPv4 or IPv6.")
    _check_name(params["PrefixListName"])
    if len(params.get("Entries", [])) > params["MaxEntries"]:
        raise refusals.invalid_combination("There are more Entries than MaxEntries allows")
    _asked_entries(params["AddressFamily"], params.get("Entries", []))


def _check_name(name: str) -> None:
    """Refuse the names that AWS keeps: "Cannot start with com.amazonaws" (EC2 API reference)."""
    if name.startswith(SERVICE_PREFIX):
        raise refusals.invalid_value(
            "PrefixListName", name, f"A name cannot start with {SERVICE_PREFIX}."
        )


def _asked_entries(family: str, entries: Sequence[Document]) -> list[Document]:
    """Return entries with their blocks as EC2 stores them: a block is the entry's name.

    Raises if a block is malformed, of another family, or given twice.
    """
    network = _NETWORKS[family]
    found = [{**one, "Cidr": str(asked_block("Cidr", network, one["Cidr"]))} for one in entries]
    blocks = [one["Cidr"] for one in found]
    for block in blocks:
        if blocks.count(block) > 1:
            raise refusals.invalid_value("Cidr", block, "It is given twice.")
    return found


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    return {
        **{name: params[name] for name in ("PrefixListName", "AddressFamily", "MaxEntries")},
        "Version": 1,
        "private": {"entries": _asked_entries(params["AddressFamily"], params.get("Entries", []))},
    }


def show(row: Row) -> Document:
    """EC2's ManagedPrefixList."""
    return {
        **shown_members(row),
        "PrefixListId": row.id,
        "PrefixListArn": arn(row),
        "OwnerId": row.account,
        "State": row.state,
    }


LISTS = Noun(
    PREFIX_LIST,
    stem="ManagedPrefixList",
    spelled={"id": "PrefixListId"},
    accepts={
        **dict.fromkeys(("AddressFamily", "MaxEntries", "PrefixListName")),
        "Entries": {"Cidr": None, "Description": None},
    },
    build=_build,
    show=show,
    initial="create-complete",
)


def _modify(tx: Tx, request: Request, row: Row) -> Row:
    """Change name, size or entries. `CurrentVersion` guards against a change in between."""
    params = request.params
    version = row.doc["Version"]
    if params.get("CurrentVersion", version) != version:
        raise ServiceError("PrefixListVersionMismatch", f"{row.id} is at version {version} by now.")
    family = row.doc["AddressFamily"]
    removed = {one["Cidr"] for one in _asked_entries(family, params.get("RemoveEntries", []))}
    added = _asked_entries(family, params.get("AddEntries", []))
    replaced = removed | {one["Cidr"] for one in added}
    kept = [one for one in row.private["entries"] if one["Cidr"] not in replaced]
    entries = [*kept, *added]
    most = params.get("MaxEntries", row.doc["MaxEntries"])
    if len(entries) > most:
        raise ServiceError(
            "PrefixListMaxEntriesExceeded", f"{len(entries)} entries are more than {most}."
        )
    changes: dict[str, Any] = {"MaxEntries": most, "private": {"entries": entries}}
    if "PrefixListName" in params:
        _check_name(params["PrefixListName"])
        changes["PrefixListName"] = params["PrefixListName"]
    if removed or added:
        changes["Version"] = version + 1
    return rows.change(tx, PREFIX_LIST, row, state="modify-complete", cause="modified", **changes)


def _refuse_routed(tx: Tx, row: Row) -> None:
    """Refuse to delete a list that is the destination of a route: a route keeps no edge to it."""
    for table in listings.every(tx, ROUTE_TABLE, row.account, row.region):
        if any(one.get("DestinationPrefixListId") == row.id for one in table.doc["Routes"]):
            raise ServiceError(
                "DependencyViolation",
                PREFIX_LIST.in_use.format(noun=PREFIX_LIST.noun, id=row.id),
            )


def is_known(tx: Tx, account: str, region: str, id: str) -> bool:
    """Tell whether the account may name the list: its own, or one of AWS's."""
    if service_lists.find(region, id) is not None:
        return True
    return rows.find_living(tx, PREFIX_LIST, account, region, id) is not None


def describe_managed(tx: Tx, request: Request) -> Document:
    """Return the account's lists and those of AWS, which have neither versions nor a maximum."""
    params = request.params
    own = listings.every(tx, PREFIX_LIST, *request.place)
    known = {one.id: show(one) for one in own}
    known |= {one.id: _show_service(one) for one in service_lists.lists_of(request.region)}
    for id in params.get("PrefixListIds", ()):
        PREFIX_LIST.check_id(id)
        if id not in known:
            raise PREFIX_LIST.not_found([id])
    return _listed(request, known, LISTS.filters, PAGES, tag_filters(tags_of_document))


def describe_of_services(tx: Tx, request: Request) -> Document:
    """Return AWS's lists, with their blocks."""
    lists = service_lists.lists_of(request.region)
    known: dict[str, Document] = {
        one.id: {"PrefixListId": one.id, "PrefixListName": one.name, "Cidrs": list(one.blocks)}
        for one in lists
    }
    for id in request.params.get("PrefixListIds", ()):
        PREFIX_LIST.check_id(id)
        if id not in known:
            raise PREFIX_LIST.not_found([id])
    return _listed(request, known, SERVICE_FILTERS, PAGE_SIZES, {})


def _listed(
    request: Request,
    known: Mapping[str, Document],
    filters: Mapping[str, str],
    sizes: PageSizes,
    more: Mapping[str, Getter[Document]],
) -> Document:
    params = request.params
    matches = compile_filters(params.get("Filters"), {**getters(filters), **more})
    wanted = params.get("PrefixListIds") or known
    listed = page(
        (known[id] for id in dict.fromkeys(wanted) if matches(known[id])),
        lambda one: str(one["PrefixListId"]),
        max_results=params.get("MaxResults"),
        next_token=params.get("NextToken"),
        scope=scope_of(request),
        minimum=sizes[0],
        maximum=sizes[1],
    )
    return {"PrefixLists": listed.items, "NextToken": listed.next_token}


def _show_service(one: ServiceList) -> Document:
    """EC2's ManagedPrefixList of a list of AWS."""
    return {
        "PrefixListId": one.id,
        "PrefixListArn": f"arn:aws:ec2:{one.name.split('.')[2]}:aws:prefix-list/{one.id}",
        "PrefixListName": one.name,
        "AddressFamily": "IPv4",
        "OwnerId": "AWS",
        "State": "create-complete",
        "Tags": [],
    }


def get_entries(tx: Tx, request: Request) -> Document:
    of_service = service_lists.find(request.region, request.params["PrefixListId"])
    if of_service is not None:
        entries: list[Document] = [{"Cidr": block} for block in of_service.blocks]
    else:
        row = named(tx, request, PREFIX_LIST, "PrefixListId")
        if request.params.get("TargetVersion", row.doc["Version"]) != row.doc["Version"]:
            raise refusals.unsupported("TargetVersion of an earlier version")
        entries = row.private["entries"]
    listed = page(
        entries,
        lambda one: str(one["Cidr"]),
        max_results=request.params.get("MaxResults"),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=PAGES[0],
        maximum=PAGES[1],
    )
    return {"Entries": listed.items, "NextToken": listed.next_token}


ACTIONS: tuple[Action, ...] = (
    creating(LISTS, "CreateManagedPrefixList", grammar=GRAMMAR, validate=_validate),
    Read(LISTS.describe, describe_managed),
    Read("DescribePrefixLists", describe_of_services),
    deleting(LISTS, "DeleteManagedPrefixList", check=_refuse_routed),
    changing(
        LISTS,
        "ModifyManagedPrefixList",
        _modify,
        repeats=same("DER")
        + conflicts("PrefixListVersionMismatch", "FLD", way="of the current version"),
    ),
    Read("GetManagedPrefixListEntries", get_entries),
)
