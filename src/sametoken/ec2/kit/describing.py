"""Describe actions of any kind: by id, by filter, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from sametoken import patience
from sametoken.ec2.kit import fragments, narrowing
from sametoken.ec2.kit.filters import compile_filters, tag_filters, tags_of_document
from sametoken.ec2.kit.paging import page_in_order, scope_of
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import PAGE_SIZES, PageSizes
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit import listings
from sametoken.resources.kit.kinds import Kind, L
from sametoken.resources.kit.listings import By, Wish
from sametoken.resources.kit.looks import WHOLE, Look
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx, WouldWait

# Given a page of rows, returns for each row, in their order, the members of its form that come from
# other rows.
Joins = Callable[[Tx, Sequence[Row]], list[Document]]


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
    parents: Collection[str] = (),
    joins: Joins | None = None,
    sizes: PageSizes = PAGE_SIZES,
) -> Document:
    """The result of a Describe: `member` is its list, `ids` the parameter that names resources.

    `filters` are paths into the shown form. The listing is narrowed by an index where filters
    allow it; `parents` are as for `narrowing.wishes`. `joins` adds members to the rows of a piece
    at once, so that a page costs as many queries as one row. An id that does not exist is an error,
    a filter that matches nothing is not.
    """
    params = request.params
    # Some actions call their filters Filter.
    given = params.get("Filters") or params.get("Filter")
    table = {**getters(filters), **tag_filters(_tags)}
    matches = compile_filters(given, table)
    columns = {**narrowing.COLUMNS, ids.removesuffix("s"): By.ID}
    wishes = narrowing.wishes(given, filters, kind, columns=columns, parents=parents)

    def found(after: str) -> Iterator[tuple[str, Document]]:
        for piece in pieces(tx, WHOLE, request, kind, params.get(ids), after, wishes):
            more: list[Document] = [{}] * len(piece) if joins is None else joins(tx, piece)
            shown = (
                (row.id, {**show(row), **added}) for row, added in zip(piece, more, strict=True)
            )
            yield from (one for one in shown if matches(one[1]))

    shown_page = page_in_order(
        found,
        lambda one: one[0],
        max_results=params.get("MaxResults"),
        next_token=params.get("NextToken"),
        scope=scope_of(request),
        minimum=sizes[0],
        maximum=sizes[1],
    )
    result: Document = {member: [document for _, document in shown_page.items]}
    # Not every action has pages, and the result of one without has no such member.
    if shown_page.next_token is not None:
        result["NextToken"] = shown_page.next_token
    return result


def pieces(
    tx: Tx,
    look: Look[L],
    request: Request,
    kind: Kind,
    ids: Sequence[str] | None,
    after: str,
    wishes: Sequence[Wish] = (),
) -> Iterator[list[L]]:
    """Yield the rows a Describe looks at, piece by piece, ordered by id, from above `after`.

    The rows are those of `ids`, which must exist, else all of the kind, narrowed as in
    `listings.walk`.
    A piece is read when it is asked for.
    """
    account, region = request.account, request.region
    if tx.hurried and ids and len(ids) > fragments.HURRIED_MAX:
        raise WouldWait
    if ids:
        for id in ids:
            kind.check_id(id)
        named = kind.shown_of(ids, look.by_ids(tx, ids), (account, region), tx.now)
        yield sorted((row for row in named if row.id > after), key=lambda row: row.id)
        return
    # The row past the page tells whether there is another page.
    at_once = max(request.params.get("MaxResults", listings.AT_ONCE_MAX), 0) + 1
    if tx.hurried:
        at_once = min(at_once, fragments.HURRIED_MAX + 1)
    listed = listings.walk(tx, look, kind, account, region, wishes, after=after, at_once=at_once)
    for number, piece in enumerate(listed):
        patience.check()
        if tx.hurried and number:
            raise WouldWait
        yield piece
