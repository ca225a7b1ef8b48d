"""Rows of all nouns, in one table: their state, document, parents and transitions.

A row stays when its resource ends: it becomes a tombstone, which replays still read, until the
sweep finds that no entry names it. Three checks apply to every writer: the kind's state table, the
version that was read (`Stale`), and the rows that stand under a row that ends (`endings`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from sametoken.idempotency.entries import Ledger
from sametoken.resources.kit import regions, traits, transitions
from sametoken.resources.kit.kinds import KINDS, Kind
from sametoken.resources.kit.regions import Place
from sametoken.resources.kit.written import written_by
from sametoken.store.codec import Encoded
from sametoken.store.columns import Moment
from sametoken.store.dialects import IndexWhere, among, inserting, plain
from sametoken.store.port import Stale, Tx

metadata = sa.MetaData()

# `doc` holds the members EC2 shows, in the model's spelling, and the others under "private".
# `name` is a natural key (key pair, group in its VPC), unique while the resource lives.
RESOURCE = sa.Table(
    "resource",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("account", sa.String(12), nullable=False),
    sa.Column("region", sa.String(32), nullable=False),
    sa.Column("zone", sa.String(32), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("name", sa.String(300)),
    sa.Column("client_token", sa.String(255)),
    sa.Column("doc", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("gone_at", Moment),
    # Optimistic lock: an UPDATE names the version it read, and adds one.
    sa.Column("version", sa.Integer, nullable=False),
    # Both have `gone_at`, so that a listing skips tombstones without reading their rows.
    sa.Index("resource_listing", "account", "region", "kind", "id", "gone_at"),
    IndexWhere(
        "resource_name", "account", "region", "kind", "name", unique=True, where="name IS NOT NULL"
    ),
    sa.Index("resource_state", "account", "region", "kind", "state", "id", "gone_at"),
    # Ends with `id`, so that the rows of a token come in the order of a listing.
    IndexWhere(
        "resource_client_token",
        "account",
        "region",
        "kind",
        "client_token",
        "id",
        where="client_token IS NOT NULL",
    ),
    IndexWhere("resource_tombstone", "gone_at", where="gone_at IS NOT NULL"),
)

# EDGE: the rows that stand under others, that is, are attached to, inside or listed by them.
EDGE = sa.Table(
    "resource_edge",
    metadata,
    sa.Column("parent", sa.String(64), primary_key=True),
    sa.Column("child", sa.String(64), primary_key=True),
    sa.Index("resource_edge_child", "child"),
    # The row is its key: without a rowid, SQLite keeps both in one tree.
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A resource as stored. `parents` has the ids that a new row stands under; not read back."""

    id: str
    kind: str
    account: str
    region: str
    state: str
    doc: dict[str, Any]
    created_at: datetime
    zone: str = ""
    name: str | None = None
    client_token: str | None = None
    gone_at: datetime | None = None
    version: int = 0
    parents: tuple[str, ...] = field(default=(), compare=False)

    @property
    def place(self) -> Place:
        return self.account, self.region

    @property
    def private(self) -> dict[str, Any]:
        """Members that EC2 does not show in a Describe."""
        found = self.doc.get("private", {})
        assert isinstance(found, dict), f"{self.id}: private is not a document"
        return found


# Columns in the order of the fields of `Row`, as `from_record` needs them.
_COLUMNS = [one.name for one in fields(Row) if one.name in RESOURCE.c]
_VALUES = attrgetter(*_COLUMNS)
_NOT_PLAIN = [_COLUMNS.index(name) for name in ("doc", "created_at", "gone_at")]
# The columns that every selection of rows begins with.
STORED = sa.select(*(RESOURCE.c[name] for name in _COLUMNS))
_IN_IDS = among(RESOURCE.c.id, "ids")
_BY_IDS = STORED.where(_IN_IDS).order_by(RESOURCE.c.id)
_EXISTING = sa.select(RESOURCE.c.id).where(_IN_IDS)
_LOCK_IDS = _BY_IDS.with_for_update()
_CHILDREN = (
    STORED.add_columns(EDGE.c.parent)
    .join(EDGE, EDGE.c.child == RESOURCE.c.id)
    .where(among(EDGE.c.parent, "parents"))
    .order_by(RESOURCE.c.id)
)
_CHILDREN_OF_KIND = _CHILDREN.where(RESOURCE.c.kind == sa.bindparam("kind"))
_BY_NAMES = STORED.where(
    RESOURCE.c.account == sa.bindparam("account"),
    RESOURCE.c.region == sa.bindparam("region"),
    RESOURCE.c.kind == sa.bindparam("kind"),
    RESOURCE.c.name.in_(sa.bindparam("names", expanding=True)),
)
_INSERT = inserting(RESOURCE, *_COLUMNS)
_LINK = inserting(EDGE, "parent", "child")
_UNLINK = sa.delete(EDGE).where(
    EDGE.c.parent == sa.bindparam("parent"), EDGE.c.child == sa.bindparam("child")
)
_UNDER_NOBODY = sa.delete(EDGE).where(EDGE.c.child == sa.bindparam("e_child"))

# A column that is set is written to each index that has it, whether it changes or not. Most changes
# leave the last two as they are.
_CHANGED = ("id", "doc", "version", "state", "gone_at", "name")
_CHANGE_ALL, _CHANGE_MOST = (
    sa.update(RESOURCE)
    .where(RESOURCE.c.id == sa.bindparam("r_id"), RESOURCE.c.version == sa.bindparam("r_read"))
    .values({name: sa.bindparam(f"r_{name}") for name in columns})
    for columns in (_CHANGED[1:], _CHANGED[1:-2])
)


def insert(tx: Tx, rows: Sequence[Row]) -> None:
    """Insert new rows with their traits, and put each under its parents."""
    stored = [_encoded(row) for row in rows]
    tx.write(_INSERT, [_written(row) for row in stored])
    traits.added(tx, stored)
    written = written_by(tx)
    written.rows |= {row.id: row for row in stored}
    written.inserted.update(row.id for row in stored)
    edges = [(parent, row.id) for row in rows for parent in row.parents]
    tx.write(_LINK, edges)
    for parent, child in edges:
        written.under[parent].add(child)
    for kind, place in {(row.kind, row.place) for row in stored}:
        if KINDS[kind].cached:
            regions.renew_stamp(tx, *place)


def _encoded(row: Row) -> Row:
    """Return a new row as it will be read back."""
    return row if type(row.doc) is Encoded else replace(row, doc=Encoded(row.doc), parents=())


def _written(row: Row) -> list[Any]:
    """Return the values of `_COLUMNS` as drivers take them."""
    values = list(_VALUES(row))
    for place in _NOT_PLAIN:
        values[place] = plain(values[place])
    return values


def by_ids(tx: Tx, ids: Iterable[str], *, lock: bool = False) -> dict[str, Row]:
    """Return the existing rows of `ids`, including tombstones. `lock` locks them in id order."""
    wanted = list(ids)
    written: dict[str, Row] = written_by(tx).rows
    rest = [id for id in wanted if id not in written] if written else wanted
    found: dict[str, Row] = {}
    if rest:
        locks = lock and not tx.only_reads
        if locks:
            tx.alone()
        records = tx.execute(_LOCK_IDS if locks else _BY_IDS, {"ids": rest})
        found = {record.id: from_record(record) for record in records}
    if len(rest) < len(wanted):
        found |= {id: written[id] for id in wanted if id in written}
        # In the order of ids, as one query returns them.
        found = dict(sorted(found.items()))
    return found


def find(tx: Tx, id: str, *, lock: bool = False) -> Row | None:
    """Return a row or tombstone; None if there never was one, or it is swept."""
    return by_ids(tx, [id], lock=lock).get(id)


def find_living(
    tx: Tx, kind: Kind, account: str, region: str, id: str, *, lock: bool = False
) -> Row | None:
    """Find the account's own resource of the kind in the Region; None if it has ended."""
    row = find(tx, id, lock=lock)
    if row is None or row.gone_at is not None:
        return None
    return row if (row.kind, row.account, row.region) == (kind.name, account, region) else None


def existing(tx: Tx, ids: Collection[str]) -> set[str]:
    """Return those of `ids` that have a row or tombstone."""
    return {row.id for row in tx.execute(_EXISTING, {"ids": list(ids)})} if ids else set()


def zone_of(tx: Tx, kind: Kind, account: str, region: str, id: str) -> str:
    """Return the zone of the account's resource, until its tombstone is swept; then ""."""
    row = _look_up(tx, kind, (account, region), [id]).get(id)
    if row is not None and row.gone_at is not None:
        # It may have been swept since it was kept: a sweep leaves the stamp as it is.
        row = find(tx, id)
    return row.zone if row is not None and row.account == account else ""


def _look_up(tx: Tx, kind: Kind, place: Place, ids: Sequence[str]) -> dict[str, Row]:
    """Like `by_ids` without a lock, for resources of one kind: a cached kind's may be kept."""
    if not kind.cached:
        return by_ids(tx, ids)
    return tx.cached(place, (kind.name, *ids), lambda: by_ids(tx, ids))


def find_named(tx: Tx, kind: Kind, account: str, region: str, name: str) -> Row | None:
    """Find the living resource with that natural key."""
    return next(iter(list_named(tx, kind, account, region, [name])), None)


def list_named(tx: Tx, kind: Kind, account: str, region: str, names: Sequence[str]) -> list[Row]:
    """List the living resources that have one of these natural keys, in no order."""
    key = {"account": account, "region": region, "kind": kind.name, "names": list(names)}

    def read() -> list[Row]:
        return [from_record(found) for found in tx.execute(_BY_NAMES, key)]

    if not kind.cached:
        return read()
    return tx.cached((account, region), (_BY_NAMES, kind.name, *names), read)


def get(
    tx: Tx, kind: Kind, account: str, region: str, ids: Sequence[str], *, lock: bool = False
) -> list[Row]:
    """Return the rows of the ids that a caller names, in the caller's order.

    Raises `Invalid….Malformed`, or `Invalid….NotFound` with all missing ids. Resources of another
    account or Region, or gone for longer than the kind lingers, count as missing.
    """
    for id in ids:
        kind.check_id(id)
    found = by_ids(tx, ids, lock=True) if lock else _look_up(tx, kind, (account, region), ids)
    return kind.shown_of(ids, found, (account, region), tx.now)


def children(tx: Tx, parents: Sequence[str], kind: Kind | None = None) -> dict[str, list[Row]]:
    """Return the living rows under each of `parents`, by id; only those of `kind`, if given."""
    found: dict[str, list[Row]] = {parent: [] for parent in parents}
    written = written_by(tx)
    for parent in found.keys() & written.inserted:
        below = by_ids(tx, written.under[parent]).values()
        found[parent] = [row for row in below if kind is None or row.kind == kind.name]
    rest = [parent for parent in found if parent not in written.inserted]
    if rest:
        values: dict[str, Any] = {"parents": rest}
        query = _CHILDREN
        if kind is not None:
            query, values["kind"] = _CHILDREN_OF_KIND, kind.name
        for record in tx.execute(query, values):
            found[record.parent].append(from_record(record))
    return found


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a row: members of its document, and its state; `state` None leaves the state.

    `renames`: its natural key is that of `row` from now on, not the one that was read.
    """

    row: Row
    doc: dict[str, Any]
    state: str | None = None
    cause: str = ""
    renames: bool = False

    @property
    def target(self) -> str:
        return self.row.state if self.state is None else self.state


def change(
    tx: Tx, kind: Kind, row: Row, *, state: str | None = None, cause: str = "", **doc: Any
) -> Row:
    """Write new members of the document and move to `state`; return the row as it is now.

    Asserts that the state table has the move, and that it does not end the row: use `endings` for
    that. Raises `Stale` if the stored row is not the version that was read, so that no change
    overwrites another's; the store then runs the whole function again.
    """
    return change_many(tx, kind, [Move(row, doc, state, cause)])[0]


def change_many(tx: Tx, kind: Kind, moves: Sequence[Move]) -> list[Row]:
    """Change several rows of a kind as `change` does one; return them as they are now."""
    for one in moves:
        assert one.target == one.row.state or one.target not in kind.ends | kind.leaving, (
            f"{one.row.id} is ended by `endings`"
        )
    return write(tx, kind, moves)


def write(tx: Tx, kind: Kind, moves: Sequence[Move]) -> list[Row]:
    """Store rows in their new states. Shared by `change` and `endings`, without their checks."""
    if not moves:
        return []
    changed = [_changed(tx, kind, one) for one in moves]
    whole = any(one.renames or _ends(kind, one) for one in moves)
    columns = _CHANGED if whole else _CHANGED[:-2]
    values = [
        {f"r_{name}": getattr(row, name) for name in columns} | {"r_read": one.row.version}
        for one, row in zip(moves, changed, strict=True)
    ]
    tx.alone()
    read = [(one.row.id, one.row.state, one.row.version) for one in moves[:5]]
    done = tx.execute(_CHANGE_ALL if whole else _CHANGE_MOST, values)
    tx.expect(done, len(moves), lambda: Stale(f"not as it was read (state, version): {read}"))
    written = written_by(tx)
    for one, row in zip(moves, changed, strict=True):
        written.rows[row.id] = row
        if _ends(kind, one) or not traits.members(kind.name).isdisjoint(one.doc):
            traits.changed(tx, one.row, row)
    moved = [one for one in moves if one.target != one.row.state]
    transitions.note(tx, [(one.row.id, one.row.state, one.target, one.cause) for one in moved])
    ended = [one.row.id for one in moves if _ends(kind, one)]
    if ended:
        # Keep its own children under it until each is released: an unwinding still needs them.
        tx.execute(_UNDER_NOBODY, [{"e_child": id} for id in ended])
        for below in written.under.values():
            below.difference_update(ended)
        Ledger().ended(tx, ended)
    if kind.cached:
        for place in sorted({row.place for row in changed}):
            regions.renew_stamp(tx, *place)
    return changed


def _ends(kind: Kind, move: Move) -> bool:
    return move.target in kind.ends and move.row.state not in kind.ends


def _changed(tx: Tx, kind: Kind, move: Move) -> Row:
    row, target = move.row, move.target
    assert target == row.state or target in kind.transitions[row.state], (
        f"{row.id}: no way from {row.state} to {target}"
    )
    ending = _ends(kind, move)
    doc = Encoded({**row.doc, **move.doc})
    return Row(
        row.id, row.kind, row.account, row.region, target, doc, row.created_at, row.zone,
        None if ending else row.name, row.client_token, tx.now if ending else row.gone_at,
        row.version + 1,
    )  # fmt: skip


def link(tx: Tx, parent: str, child: str) -> None:
    tx.write(_LINK, [(parent, child)])
    written_by(tx).under[parent].add(child)


def unlink(tx: Tx, parent: str, child: str) -> None:
    tx.execute(_UNLINK, {"parent": parent, "child": child})
    written_by(tx).under[parent].discard(child)


def from_record(found: Any) -> Row:
    """Make a `Row` of a record of `STORED`, ignoring columns that were added to it."""
    return Row(*found[: len(_COLUMNS)])
