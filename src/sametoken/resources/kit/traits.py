"""Traits: names and values of rows, in an index of their own, by which a listing is narrowed.

The traits of a row are its tags and the members that its kind declares (`Kind.traits`). All follow
from the row alone (`of`), and `rows` writes them with the row, in the same transaction. A row keeps
its traits for as long as a listing may show it or its tombstone is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from sametoken.resources.kit.kinds import KINDS
from sametoken.store.columns import Moment
from sametoken.store.dialects import inserting, plain
from sametoken.store.port import Tx

metadata = sa.MetaData()

# `gone_at` is the row's, so that a listing skips tombstones without reading their rows.
TRAIT = sa.Table(
    "resource_trait",
    metadata,
    sa.Column("account", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(48), primary_key=True),
    sa.Column("name", sa.String(160), primary_key=True),
    sa.Column("value", sa.String(256), primary_key=True),
    sa.Column("resource_id", sa.String(64), primary_key=True),
    sa.Column("gone_at", Moment),
    # The row is hardly more than its key: without a rowid, SQLite keeps both in one tree.
    sqlite_with_rowid=False,
)

# The trait of each key of a tag. The tag itself is a trait as well, called "tag:" and the key.
TAG_KEY = "tag-key"
TAG = "tag:"
# A listing tests again what a trait has found, so a longer value may be cut.
VALUE_CHARACTERS_MAX = 256

_COLUMNS = ("account", "region", "kind", "name", "value", "resource_id", "gone_at")
_INSERT = inserting(TRAIT, *_COLUMNS)
_KEY = _COLUMNS[:-1]
_REMOVE = sa.delete(TRAIT).where(*(TRAIT.c[name] == sa.bindparam(f"t_{name}") for name in _KEY))


class Trait(NamedTuple):
    name: str
    value: str
    gone_at: datetime | None


class Stored(Protocol):
    """The members of a row that traits follow from."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def doc(self) -> dict[str, Any]: ...
    @property
    def gone_at(self) -> datetime | None: ...


def of(row: Stored) -> frozenset[Trait]:
    """Return the traits that a row has in the table; none once no listing shows it."""
    return frozenset(Trait(name, value, row.gone_at) for name, value in _pairs(row))


def _pairs(row: Stored) -> set[tuple[str, str]]:
    """Return the names and values of a row's traits."""
    kind = KINDS[row.kind]
    if row.gone_at is not None and not kind.lingers:
        return set()
    doc = row.doc
    pairs: set[tuple[str, str]] = set()
    for tag in doc.get("Tags") or ():
        pairs.add((TAG_KEY, indexed(tag["Key"])))
        pairs.add((indexed(TAG + tag["Key"]), indexed(tag.get("Value", ""))))
    for name, first, rest in _paths(kind.name):
        found = doc.get(first)
        # Most rows have an empty member alike: it would find too much to be of use.
        if not found:
            continue
        if type(found) is str:
            pairs.add((name, indexed(found)))
        else:
            pairs.update([(name, indexed(value)) for value in _reach(found, rest) if value])
    return pairs


def indexed(value: str) -> str:
    """Return a value as the index has it: PostgreSQL keeps no NUL in a text."""
    if len(value) <= VALUE_CHARACTERS_MAX and "\0" not in value:
        return value
    return value.replace("\0", "\ufffd")[:VALUE_CHARACTERS_MAX]


@cache
def _paths(kind: str) -> list[tuple[str, str, list[str]]]:
    """Return the traits of a kind, each with the names on a path to its values."""
    paths = [(name, path) for name, paths in KINDS[kind].traits.items() for path in paths]
    split = [(name, path.split(".")) for name, path in paths]
    return [(name, first, rest) for name, (first, *rest) in split]


def _reach(value: Any, steps: Sequence[str]) -> Sequence[str]:
    """Return the texts at the end of a path; every element of a list is followed."""
    taken = 0
    for step in steps:
        if not isinstance(value, dict):
            break
        value = value.get(step)
        taken += 1
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        rest = steps[taken:]
        return [found for one in value for found in _reach(one, rest)]
    return ()


@cache
def members(kind: str) -> frozenset[str]:
    """Return the members of a kind's documents from which traits follow."""
    paths = (path for declared in KINDS[kind].traits.values() for path in declared)
    return frozenset({"Tags", *(path.partition(".")[0] for path in paths)})


def added(tx: Tx, rows: Iterable[Stored]) -> None:
    """Write the traits of new rows."""
    values: list[Sequence[Any]] = []
    for row in rows:
        place, gone_us = (row.account, row.region, row.kind), plain(row.gone_at)
        values += [(*place, name, value, row.id, gone_us) for name, value in _pairs(row)]
    tx.write(_INSERT, values)


def changed(tx: Tx, old: Stored, new: Stored) -> None:
    """Write the traits of a row that has changed from `old` to `new`."""
    before, after = of(old), of(new)
    _remove(tx, old, before - after)
    tx.write(_INSERT, [_values(new, trait) for trait in after - before])


def removed(tx: Tx, rows: Iterable[Stored]) -> None:
    """Remove the traits of rows that are removed."""
    for row in rows:
        _remove(tx, row, of(row))


def _remove(tx: Tx, row: Stored, traits: Iterable[Trait]) -> None:
    unwanted = [
        {f"t_{name}": value for name, value in zip(_KEY, _values(row, trait), strict=False)}
        for trait in traits
    ]
    if unwanted:
        tx.execute(_REMOVE, unwanted)


def _values(row: Stored, trait: Trait) -> tuple[Any, ...]:
    """Return the values of `_COLUMNS`, of which the first are the key."""
    gone_us = plain(trait.gone_at)
    return row.account, row.region, row.kind, trait.name, trait.value, row.id, gone_us
