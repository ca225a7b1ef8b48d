"""Counters that must not be oversold: instances per type and zone, vCPUs per account and Region.

A debit is one statement that adds only if the sum stays within the maximum, so two launches cannot
both take the last place. A counter's maximum is its own setting, otherwise its family's, otherwise
the default; `sametoken limits` sets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.resources.kit import regions
from sametoken.resources.kit.regions import Place
from sametoken.store.dialects import Text, locks_rows, upsert
from sametoken.store.port import Tx

metadata = sa.MetaData()

# COUNTER holds how much of each counter is taken. The first debit of a counter inserts its row.
COUNTER = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.CheckConstraint("used >= 0", name="never_below_nothing"),
)

# LIMIT holds the maxima that an operator has set, by counter name or by family.
LIMIT = sa.Table(
    "counter_limit",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("maximum", sa.BigInteger, nullable=False),
)

# Defaults that are in effect unlimited. Lower them with `sametoken limits set` to test exhaustion.
CAPACITY_DEFAULT = 10_000
VCPUS_DEFAULT = 100_000


def capacity_name(zone: str, instance_type: str) -> str:
    return f"capacity/{zone}/{instance_type}"


def vcpus_name(account: str, region: str) -> str:
    return f"vcpus/{account}/{region}"


# Insert the counter, or add to it unless that exceeds the maximum: then SQLite returns no row. On
# PostgreSQL, where nobody waits for the answer before the commit, the statement itself fails.
_DEBIT = Text(
    "INSERT INTO counter (name, used) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET used = counter.used + excluded.used"
    " WHERE counter.used + excluded.used <= ? RETURNING used",
    "WITH given (name, used, maximum) AS MATERIALIZED"
    " (SELECT CAST(? AS text), CAST(? AS bigint), CAST(? AS bigint)),"
    " taken AS (INSERT INTO counter (name, used) SELECT name, used FROM given"
    " ON CONFLICT (name) DO UPDATE SET used = counter.used + excluded.used"
    " WHERE counter.used + excluded.used <= (SELECT maximum FROM given) RETURNING 1)"
    " SELECT CAST(name || ', another request took the last of it' AS integer) FROM given"
    " WHERE NOT EXISTS (SELECT 1 FROM taken)",
)
_CREDIT = (
    sa.update(COUNTER)
    .where(COUNTER.c.name == sa.bindparam("c_name"))
    .values(used=COUNTER.c.used - sa.bindparam("amount"))
)
_USED = sa.select(COUNTER).where(COUNTER.c.name.in_(sa.bindparam("names", expanding=True)))
_LIMITS = sa.select(LIMIT).where(LIMIT.c.name.in_(sa.bindparam("names", expanding=True)))
_EVERY_LIMIT = sa.select(LIMIT).order_by(LIMIT.c.name)
_SET_LIMIT = upsert(LIMIT)
_UNSET_LIMIT = sa.delete(LIMIT).where(LIMIT.c.name == sa.bindparam("named")).returning(LIMIT.c.name)


def free(tx: Tx, place: Place, names: Sequence[str]) -> dict[str, int]:
    """Return how much of each counter is left, without reserving any of it."""
    used = _used(tx, names)
    most = maxima(tx, place, names)
    return {name: max(0, most[name] - used[name]) for name in names}


@dataclass(slots=True)
class _Shared:
    """The counters as the functions of a shared transaction have read and will debit them."""

    used: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    maxima: dict[str, int] = field(default_factory=dict)


def _shared(tx: Tx) -> _Shared:
    found: _Shared | None = tx.written.get(_Shared)
    if found is None:
        found = tx.written[_Shared] = _Shared()
    return found


def _used(tx: Tx, names: Sequence[str]) -> dict[str, int]:
    shared = _shared(tx) if tx.is_shared else _Shared()
    unread = [name for name in names if name not in shared.used]
    if unread:
        shared.used |= dict.fromkeys(unread, 0)
        shared.used |= {row.name: row.used for row in tx.execute(_USED, {"names": unread})}
    return {name: shared.used[name] + shared.taken.get(name, 0) for name in names}


def debit(tx: Tx, place: Place, amounts: Mapping[str, int]) -> None:
    """Take an amount of each counter, in the order given.

    Raises `Transient` if another transaction has taken it since `free` was called; on PostgreSQL
    only with the commit. Call this last in a transaction: from here to the commit, all other debits
    of these counters wait. In a shared transaction all are debited together, at its end.
    """
    most = maxima(tx, place, list(amounts))
    for name, amount in amounts.items():
        assert amount > 0, "a debit takes something"
        if tx.is_shared:
            _take_at_end(tx, name, amount, most[name])
        else:
            _take(tx, name, amount, most[name])


def _take_at_end(tx: Tx, name: str, amount: int, maximum: int) -> None:
    shared = _shared(tx)
    if not shared.taken:
        tx.at_end(lambda: _take_all(tx, shared))
    shared.taken[name] = shared.taken.get(name, 0) + amount
    shared.maxima[name] = maximum


def _take_all(tx: Tx, shared: _Shared) -> None:
    """Debit in the order of names, in which every transaction locks the counters."""
    for name in sorted(shared.taken):
        _take(tx, name, shared.taken[name], shared.maxima[name])


def _take(tx: Tx, name: str, amount: int, maximum: int) -> None:
    """Debit one counter. To take more than the maximum from one that is new is refused as well."""
    fits = amount <= maximum
    if fits:
        taken = tx.send(_DEBIT, (name, amount, maximum))
        fits = locks_rows(tx.connection.dialect.name) or bool(taken)
    if not fits:
        raise Transient(f"{name}: another request took the last of it")


def credit(tx: Tx, name: str, amount: int) -> None:
    """Give back an amount that a debit took."""
    result = tx.execute(_CREDIT, {"c_name": name, "amount": amount})
    assert result.rowcount == 1, f"{name}: credited without a debit"


def find_maximum(tx: Tx, place: Place, name: str) -> int | None:
    """Find the maximum that was set for `name` or, failing that, for one of its families."""
    return tx.cached(place, (LIMIT.name, name), lambda: _set_for(tx, [name])[name])


def set_maximum(tx: Tx, name: str, maximum: int) -> None:
    """Set the maximum of one counter or family (`capacity/ZONE/TYPE`, `capacity/*/TYPE`,
    `capacity/*/*`, `vcpus/ACCOUNT/REGION`, `vcpus/ACCOUNT/*`, `vcpus/*/*`)."""
    tx.execute(_SET_LIMIT, {"name": name, "maximum": maximum})
    regions.renew_every_stamp(tx)


def unset_maximum(tx: Tx, name: str) -> bool:
    """Hold the counter or family to the default again. Returns False if nothing was set."""
    was_set = tx.execute(_UNSET_LIMIT, {"named": name}).first() is not None
    if was_set:
        regions.renew_every_stamp(tx)
    return was_set


def maxima_set(tx: Tx) -> list[tuple[str, int]]:
    return [(row.name, row.maximum) for row in tx.execute(_EVERY_LIMIT)]


def maxima(tx: Tx, place: Place, names: Sequence[str]) -> dict[str, int]:
    """Return the maximum of each counter: the one that was set, otherwise the default."""
    found = tx.cached(place, (LIMIT.name, *names), lambda: _set_for(tx, names))
    return {
        name: (CAPACITY_DEFAULT if name.startswith("capacity/") else VCPUS_DEFAULT)
        if maximum is None
        else maximum
        for name, maximum in found.items()
    }


def _set_for(tx: Tx, names: Sequence[str]) -> dict[str, int | None]:
    """Read the maximum that was set for each counter, or for its nearest family."""
    families = {name: _families(name) for name in names}
    asked = sorted({family for found in families.values() for family in found})
    settings = {row.name: row.maximum for row in tx.execute(_LIMITS, {"names": asked})}
    return {
        name: next((settings[one] for one in found if one in settings), None)
        for name, found in families.items()
    }


def _families(name: str) -> list[str]:
    """List the names under which a counter's maximum may be set, the most particular first."""
    what, first, second = name.split("/", 2)
    return [name, f"{what}/{first}/*", f"{what}/*/{second}", f"{what}/*/*"]
