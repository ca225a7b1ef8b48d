"""EC2's quotas: how many of a kind an account may have in a Region, a zone, or under one parent.

`QUOTAS` has the quotas that the kinds declare (`Kind.quota`). Creates check them; replays do not,
because they make no resource. `sametoken limits` sets other maxima.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.resources.kit import counters
from sametoken.resources.kit.kinds import KINDS, ZONE, Quota
from sametoken.resources.kit.rows import EDGE, RESOURCE, Row
from sametoken.store.port import Tx


class _Declared(Mapping[str, Quota]):
    """The quotas of all kinds that were declared, and of the entries in their documents."""

    def __getitem__(self, name: str) -> Quota:
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> dict[str, Quota]:
        found: dict[str, Quota] = {}
        for kind in KINDS.values():
            found |= kind.part_quotas
            if kind.quota is not None:
                found[kind.name] = kind.quota
        return dict(sorted(found.items()))


QUOTAS = _Declared()

_LIVING = sa.select(RESOURCE.c.id).where(
    RESOURCE.c.account == sa.bindparam("account"),
    RESOURCE.c.region == sa.bindparam("region"),
    RESOURCE.c.kind == sa.bindparam("kind"),
    RESOURCE.c.gone_at.is_(None),
)
_WITHIN: sa.BindParameter[Any] = sa.bindparam("within")


def _counting(living: sa.Select[Any]) -> sa.Select[Any]:
    """Make the query that counts `living`, but stops at `most`."""
    some = living.limit(sa.bindparam("most")).subquery()
    return sa.select(sa.func.count()).select_from(some)


_IN_REGION = _counting(_LIVING)
_IN_ZONE = _counting(_LIVING.where(RESOURCE.c.zone == _WITHIN))
_UNDER_PARENT = _counting(
    _LIVING.join_from(RESOURCE, EDGE, EDGE.c.child == RESOURCE.c.id).where(EDGE.c.parent == _WITHIN)
)


def name_of(what: str, account: str, region: str) -> str:
    """Return the name in `sametoken limits` of the quota of `what`, a key of `QUOTAS`."""
    return f"{what}/{account}/{region}"


def maximum(tx: Tx, what: str, account: str, region: str) -> int | None:
    """Return the maximum that was set, otherwise EC2's own; None for no limit."""
    found = counters.find_maximum(tx, (account, region), name_of(what, account, region))
    return _quota(what).maximum if found is None else found


def refuse_beyond(tx: Tx, what: str, account: str, region: str, count: int) -> None:
    """Raise the quota's refusal if `count` of `what` would exceed the maximum."""
    refuse_above(maximum(tx, what, account, region), what, account, region, count)


def refuse_above(most: int | None, what: str, account: str, region: str, count: int) -> None:
    """Raise the quota's refusal if `count` of `what` exceeds `most` (None: no limit)."""
    if most is not None and count > most:
        raise ServiceError(
            _quota(what).code,
            f"The maximum number of resources of the kind {what} has been reached ({most}). Delete "
            f"one, or raise it with `sametoken limits set {name_of(what, account, region)} N`.",
        )


def check(tx: Tx, row: Row, *, parent: str = "") -> None:
    """Raise the quota's refusal if inserting `row` would exceed the quota of its kind.

    `parent` is the id of the parent that the quota counts under, if no member of the row has it.
    """
    most = maximum(tx, row.kind, row.account, row.region)
    if most is None:
        return
    per = _quota(row.kind).per
    query = _IN_REGION if per == "" else _IN_ZONE if per == ZONE else _UNDER_PARENT
    values = {"account": row.account, "region": row.region, "kind": row.kind, "most": most}
    if per:
        values["within"] = row.zone if per == ZONE else parent or row.doc[per]
    counted = int(tx.execute(query, values).scalar_one())
    refuse_above(most, row.kind, row.account, row.region, counted + 1)


def _quota(what: str) -> Quota:
    """Return `QUOTAS[what]`. For a kind, skip building the whole table: every create calls this."""
    kind = KINDS.get(what)
    return kind.quota if kind is not None and kind.quota is not None else QUOTAS[what]
