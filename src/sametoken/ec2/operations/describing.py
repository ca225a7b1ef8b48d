"""Describe for any kind: by id, by filter, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sametoken.ec2.filters import compile_filters, exact_values, tag_filters, tags_of_document
from sametoken.ec2.paging import page, scope_of
from sametoken.ec2.paths import getters
from sametoken.ec2.request import Document, Request
from sametoken.resources import rows
from sametoken.resources.kinds import Kind
from sametoken.resources.rows import Row
from sametoken.store.port import Tx

# What most Describe actions allow for MaxResults.
PAGE_MINIMUM, PAGE_MAXIMUM = 5, 1000


def _tags(document: Document) -> dict[str, str]:
    # NetworkInterface alone calls its tags TagSet.
    return tags_of_document({"Tags": document.get("Tags", document.get("TagSet", ()))})


def describe(
    tx: Tx,
    request: Request,
    kind: Kind,
    show: Callable[[Row], Document],
    member: str,
    filters: Mapping[str, str],
    *,
    ids: str,
    parent_filter: str | None = None,
) -> Document:
    """The result of a Describe: `member` is its list, `ids` the parameter that names resources.

    `filters` are paths into the shown form. With `parent_filter`, an exact value of that filter
    narrows the listing by index. An id that does not exist is an error, a filter that matches
    nothing is not.
    """
    params = request.params
    table = {**getters(filters), **tag_filters(_tags)}
    matches = compile_filters(params.get("Filters"), table)
    if params.get(ids):
        found = rows.get(tx, kind, request.account, request.region, params[ids])
    else:
        parents = exact_values(params.get("Filters"), parent_filter) if parent_filter else None
        parent = parents[0] if parents is not None and len(parents) == 1 else None
        found = rows.listing(tx, kind, request.account, request.region, parent=parent)
    shown = [(row.id, show(row)) for row in found]
    shown_page = page(
        [one for one in shown if matches(one[1])],
        lambda one: one[0],
        max_results=params.get("MaxResults"),
        next_token=params.get("NextToken"),
        scope=scope_of(request),
        minimum=PAGE_MINIMUM,
        maximum=PAGE_MAXIMUM,
    )
    listed = [document for _, document in shown_page.items]
    return {member: listed, "NextToken": shown_page.next_token}
