"""Listings of rows, by id, in pieces; narrowed by an index where the caller knows what to look for.

A narrowed listing yields every shown row that a whole listing would, and that has the wanted
values. It may yield others: of many wishes one is looked up and only some are tested, so the caller
tests what it gets. The cost of a listing depends on what it finds, not on what is stored.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import islice
from typing import Any

import sqlalchemy as sa

from sametoken.resources.kit import traits
from sametoken.resources.kit.kinds import Kind, L
from sametoken.resources.kit.looks import WHOLE, Look
from sametoken.resources.kit.rows import EDGE, RESOURCE, STORED, Row, from_record
from sametoken.resources.kit.traits import TRAIT
from sametoken.store.port import Tx

# A listing is read in pieces of at most this many rows: one of EC2's largest pages is two of them.
AT_ONCE_MAX = 500
# To choose among wishes, only this many index entries of each are counted: reading as many rows
# takes longer than any later choice could save.
COUNTED_MAX = 1000
# At most so many traits and parents beside the one that is looked up are tested in a statement.
# Each number of them is a statement of its own.
TESTED_MAX = 2

_LIVING = STORED.where(
    RESOURCE.c.account == sa.bindparam("account"), RESOURCE.c.gone_at.is_(None)
).order_by(RESOURCE.c.kind, RESOURCE.c.id)


_BY_STATE = (
    sa.select(RESOURCE.c.state, sa.func.count().label("number"))
    .where(RESOURCE.c.kind == sa.bindparam("kind"), RESOURCE.c.gone_at.is_(None))
    .group_by(RESOURCE.c.state)
    .order_by(RESOURCE.c.state)
)


class By(StrEnum):
    """The subject of a wish. A zone is only tested: a Region has a few, so no index would help."""

    ID = "id"
    CLIENT_TOKEN = "client_token"  # noqa: S105 - the name of a column
    TRAIT = "trait"
    PARENT = "parent"
    STATE = "state"
    ZONE = "zone"
    # No wish: the whole listing.
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Wish:
    """Rows that have one of `values`. `name` is a trait's.

    With `below` they have one of the rows of that kind under the rows whose ids are `values`.
    """

    by: By
    values: tuple[str, ...]
    name: str = ""
    below: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a statement: what is looked up, and what is tested beside it."""

    by: By = By.NOTHING
    state: bool = False
    zone: bool = False
    traits: int = 0
    parents: int = 0


def living(tx: Tx, account: str) -> list[Row]:
    """List all that an account has, in every Region, whole: for a look at few. By kind and id."""
    return [from_record(found) for found in tx.execute(_LIVING, {"account": account})]


def count_by_state(tx: Tx, kind: Kind) -> dict[str, int]:
    """Count the living resources of a kind by their states, those of all accounts."""
    return {row.state: row.number for row in tx.execute(_BY_STATE, {"kind": kind.name})}


def every(tx: Tx, kind: Kind, account: str, region: str, *, parent: str | None = None) -> list[Row]:
    """List all shown resources of a kind, by id; only those under `parent`, if given."""
    wishes = () if parent is None else (Wish(By.PARENT, (parent,)),)
    return [row for piece in walk(tx, WHOLE, kind, account, region, wishes) for row in piece]


def walk(
    tx: Tx,
    look: Look[L],
    kind: Kind,
    account: str,
    region: str,
    wishes: Sequence[Wish] = (),
    *,
    after: str = "",
    at_once: int = AT_ONCE_MAX,
) -> Iterator[list[L]]:
    """Yield the shown resources of a kind whose ids come after `after`, by id, in pieces.

    Each piece is read when it is asked for: the first has `at_once` rows, each later one up to
    twice as many as the one before. Rows that do not meet one of the `wishes` may be left out.
    """
    wishes = [_reached(tx, wish) if wish.below else wish for wish in wishes]
    if not all(wish.values for wish in wishes):
        return
    values: dict[str, Any] = {"account": account, "region": region, "kind": kind.name}
    values["hidden"] = tx.now - kind.lingers
    size = min(at_once, AT_ONCE_MAX)
    chosen = _choose(tx, values, wishes)
    if chosen is not None and chosen.by is By.ID:
        yield from _of_ids(tx, look, values, chosen.values, after)
        return
    form = _add_tests(values, wishes, chosen)
    if chosen is None:
        yield from _pieces(tx, look, form, values, after, size)
        return
    sought = [_sought(chosen, value) for value in dict.fromkeys(chosen.values)]
    # Read of each value its share at first, since all of them fill one page.
    share = -(-size // len(sought))
    found = [_pieces(tx, look, form, values | one, after, share) for one in sought]
    yield from found[0] if len(found) == 1 else _merged(found, size)


def _reached(tx: Tx, wish: Wish) -> Wish:
    """Return the wish for the rows below those that are wished for."""
    found = tx.execute(BELOW, {"parents": list(wish.values), "below": wish.below})
    return replace(wish, values=tuple(row.child for row in found), below="")


def _of_ids(
    tx: Tx, look: Look[L], values: dict[str, Any], ids: Sequence[str], after: str
) -> Iterator[list[L]]:
    owner = (values["kind"], values["account"], values["region"])
    wanted = sorted(id for id in set(ids) if id > after)
    for start in range(0, len(wanted), AT_ONCE_MAX):
        found = look.by_ids(tx, wanted[start : start + AT_ONCE_MAX])
        yield [
            row
            for _, row in sorted(found.items())
            if (row.kind, row.account, row.region) == owner
            and (row.gone_at is None or row.gone_at > values["hidden"])
        ]


def _choose(tx: Tx, values: dict[str, Any], wishes: Sequence[Wish]) -> Wish | None:
    """Return the wish to look up: the one that the fewest rows meet. None: there is no such."""
    for by in (By.ID, By.CLIENT_TOKEN):
        for wish in wishes:
            if wish.by is by:
                return wish
    rest = [wish for wish in wishes if wish.by in (By.TRAIT, By.PARENT, By.STATE)]
    if len(rest) < 2:
        return rest[0] if rest else None
    return min(rest, key=lambda wish: _count(tx, values, wish))


def _count(tx: Tx, values: dict[str, Any], wish: Wish) -> int:
    sought = {**_sought(wish, ""), "sought": [_indexed(wish, value) for value in wish.values]}
    found: int = tx.execute(count(wish.by), {**values, **sought}).scalar_one()
    return found


def _sought(wish: Wish, value: str) -> dict[str, Any]:
    named = {"trait": wish.name} if wish.by is By.TRAIT else {}
    return {**named, "sought": _indexed(wish, value)}


def _indexed(wish: Wish, value: str) -> str:
    return traits.indexed(value) if wish.by is By.TRAIT else value


def _add_tests(values: dict[str, Any], wishes: Sequence[Wish], chosen: Wish | None) -> Form:
    """Put what the statement tests beside `chosen` into `values`, and return its form."""
    if chosen is not None and len(wishes) == 1:
        return Form(chosen.by)
    tested: dict[By, list[Wish]] = {by: [] for by in By}
    for wish in wishes:
        if wish is not chosen:
            tested[wish.by].append(wish)
    for by in (By.STATE, By.ZONE):
        for wish in tested[by][:1]:
            values[by.value] = list(wish.values)
    for at, wish in enumerate(tested[By.TRAIT][:TESTED_MAX]):
        values[f"trait_{at}"] = wish.name
        values[f"values_{at}"] = [_indexed(wish, value) for value in wish.values]
    for at, wish in enumerate(tested[By.PARENT][:TESTED_MAX]):
        values[f"parents_{at}"] = list(wish.values)
    return Form(
        By.NOTHING if chosen is None else chosen.by,
        bool(tested[By.STATE]),
        bool(tested[By.ZONE]),
        min(len(tested[By.TRAIT]), TESTED_MAX),
        min(len(tested[By.PARENT]), TESTED_MAX),
    )


def _pieces(
    tx: Tx, look: Look[L], form: Form, values: dict[str, Any], after: str, size: int
) -> Iterator[list[L]]:
    query = statement(form, look)
    while True:
        found = tx.execute(query, {**values, "after": after, "at_once": size})
        piece = [look.make(row) for row in found]
        if piece:
            yield piece
        if len(piece) < size:
            return
        after, size = piece[-1].id, min(2 * size, AT_ONCE_MAX)


def _merged(found: Sequence[Iterator[list[L]]], size: int) -> Iterator[list[L]]:
    """Merge listings, leaving out what one before has had: a row may have several of the values."""
    each = [(row for piece in pieces for row in piece) for pieces in found]
    merged = _distinct(heapq.merge(*each, key=lambda row: row.id))
    while piece := list(islice(merged, size)):
        yield piece
        size = min(2 * size, AT_ONCE_MAX)


def _distinct(ordered: Iterator[L]) -> Iterator[L]:
    last = ""
    for row in ordered:
        if row.id != last:
            yield row
        last = row.id


# -- statements -----------------------------------------------------------------------------------

_OF_PLACE = (
    RESOURCE.c.account == sa.bindparam("account"),
    RESOURCE.c.region == sa.bindparam("region"),
    RESOURCE.c.kind == sa.bindparam("kind"),
)
_TRAITS_OF_PLACE = (
    TRAIT.c.account == sa.bindparam("account"),
    TRAIT.c.region == sa.bindparam("region"),
    TRAIT.c.kind == sa.bindparam("kind"),
)


BELOW = (
    sa.select(EDGE.c.child)
    .join(RESOURCE, RESOURCE.c.id == EDGE.c.child)
    .where(EDGE.c.parent.in_(sa.bindparam("parents", expanding=True)))
    .where(RESOURCE.c.kind == sa.bindparam("below"))
)


@cache
def statement(form: Form, look: Look[Any] = WHOLE) -> sa.Select[Any]:
    """Return the statement of that form: one piece of a listing, in the order of the ids."""
    id, found = _looked_up(form.by, look.selected)
    gone_at = TRAIT.c.gone_at if form.by is By.TRAIT else RESOURCE.c.gone_at
    shown = sa.or_(gone_at.is_(None), gone_at > sa.bindparam("hidden"))
    tests: list[sa.ColumnElement[bool]] = [
        RESOURCE.c[by.value].in_(sa.bindparam(by.value, expanding=True))
        for by, tested in ((By.STATE, form.state), (By.ZONE, form.zone))
        if tested
    ]
    tests += [_has_trait(at) for at in range(form.traits)]
    tests += [_has_parent(at) for at in range(form.parents)]
    return (
        found.where(id > sa.bindparam("after"), shown, *tests)
        .order_by(id)
        .limit(sa.bindparam("at_once"))
    )


def _looked_up(by: By, selected: sa.Select[Any]) -> tuple[sa.Column[Any], sa.Select[Any]]:
    """Return the column that has the ids in order, and the selection of the rows."""
    sought: sa.BindParameter[str] = sa.bindparam("sought")
    if by is By.TRAIT:
        joined = selected.join(TRAIT, TRAIT.c.resource_id == RESOURCE.c.id)
        named = TRAIT.c.name == sa.bindparam("trait")
        return TRAIT.c.resource_id, joined.where(*_TRAITS_OF_PLACE, named, TRAIT.c.value == sought)
    if by is By.PARENT:
        joined = selected.join(EDGE, EDGE.c.child == RESOURCE.c.id)
        return EDGE.c.child, joined.where(*_OF_PLACE, EDGE.c.parent == sought)
    found = selected.where(*_OF_PLACE)
    return RESOURCE.c.id, found if by is By.NOTHING else found.where(RESOURCE.c[by] == sought)


def _has_trait(at: int) -> sa.ColumnElement[bool]:
    other = TRAIT.alias()
    return (
        sa.exists()
        .where(
            *(other.c[column] == sa.bindparam(column) for column in ("account", "region", "kind"))
        )
        .where(other.c.name == sa.bindparam(f"trait_{at}"))
        .where(other.c.value.in_(sa.bindparam(f"values_{at}", expanding=True)))
        .where(other.c.resource_id == RESOURCE.c.id)
    )


def _has_parent(at: int) -> sa.ColumnElement[bool]:
    other = EDGE.alias()
    return sa.exists().where(
        other.c.parent.in_(sa.bindparam(f"parents_{at}", expanding=True)),
        other.c.child == RESOURCE.c.id,
    )


@cache
def count(by: By) -> sa.Select[Any]:
    """Return the statement that counts entries of an index, at most `COUNTED_MAX`."""
    sought: sa.BindParameter[str] = sa.bindparam("sought", expanding=True)
    one: sa.Select[Any] = sa.select(sa.literal_column("1"))
    if by is By.TRAIT:
        named = TRAIT.c.name == sa.bindparam("trait")
        found = one.select_from(TRAIT).where(*_TRAITS_OF_PLACE, named, TRAIT.c.value.in_(sought))
    elif by is By.PARENT:
        found = one.select_from(EDGE).where(EDGE.c.parent.in_(sought))
    else:
        found = one.select_from(RESOURCE).where(*_OF_PLACE, RESOURCE.c[by].in_(sought))
    return sa.select(sa.func.count()).select_from(found.limit(COUNTED_MAX).subquery())
