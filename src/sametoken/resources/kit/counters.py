"""Counters that must not be oversold: instances per type and zone, vCPUs per account and Region.

A debit is a statement that fails if the sum exceeds the maximum, so two launches cannot both take
the last place. The transaction knows before what is used: it fails only where another node has
debited meanwhile. A counter's maximum is its own setting, otherwise its family's, otherwise the
default; `sametoken limits` sets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.resources.kit import regions
from sametoken.resources.kit.regions import Place
from sametoken.store.dialects import Text, upsert
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


# The column takes no NULL.
_DEBIT = Text(
    "INSERT INTO counter (name, used) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET used ="
    " CASE WHEN counter.used + excluded.used <= ? THEN counter.used + excluded.used END"
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
    return {name: left if (left := most[name] - used[name]) > 0 else 0 for name in names}


@dataclass(slots=True)
class _Owed:
    """Debits of a shared transaction's functions, which are made together at its end."""

    taken: dict[str, int] = field(default_factory=dict)
    maxima: dict[str, int] = field(default_factory=dict)


def debit(tx: Tx, place: Place, amounts: Mapping[str, int]) -> None:
    """Take an amount of each counter, in the order given.

    Raises `Transient` if another transaction has taken it since `free` was called; on PostgreSQL
    only with the commit. Call this last in a transaction: from here to the commit, all other debits
    of these counters wait. In a shared transaction all are debited together, at its end.
    """
    most = maxima(tx, place, list(amounts))
    used = _used(tx, list(amounts))
    for name, amount in amounts.items():
        assert amount > 0, "a debit takes something"
        if used[name] + amount > most[name]:
            raise Transient(f"{name}: another request took the last of it")
    if tx.is_shared:
        _owe(tx, amounts, most)
    else:
        tx.write(_DEBIT, [(name, amount, most[name]) for name, amount in amounts.items()])
    for name, amount in amounts.items():
        used[name] += amount


def _owe(tx: Tx, amounts: Mapping[str, int], maxima: Mapping[str, int]) -> None:
    owed: _Owed | None = tx.written.get(_Owed)
    if owed is None:
        owed = tx.written[_Owed] = _Owed()
        tx.at_end(partial(_pay, tx, owed))
    for name, amount in amounts.items():
        owed.taken[name] = owed.taken.get(name, 0) + amount
        owed.maxima[name] = maxima[name]


def _pay(tx: Tx, owed: _Owed) -> None:
    """Debit in the order of names, in which every transaction locks the counters."""
    tx.write(_DEBIT, [(name, owed.taken[name], owed.maxima[name]) for name in sorted(owed.taken)])


def _used(tx: Tx, names: Sequence[str]) -> dict[str, int]:
    """Return how much is used of each counter, and perhaps of others, as the transaction knows."""
    used: dict[str, int] = tx.known.setdefault(COUNTER.name, {})
    unknown = [name for name in names if name not in used]
    if unknown:
        read = {row.name: row.used for row in tx.execute(_USED, {"names": unknown})}
        used |= {name: read.get(name, 0) for name in unknown}
    return used


def credit(tx: Tx, name: str, amount: int) -> None:
    """Give back an amount that a debit took."""
    tx.known.pop(COUNTER.name, None)
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

    def read() -> dict[str, int]:
        return {
            name: (CAPACITY_DEFAULT if name.startswith("capacity/") else VCPUS_DEFAULT)
            if maximum is None
            else maximum
            for name, maximum in _set_for(tx, names).items()
        }

    return tx.cached(place, (LIMIT.name, "maxima", *names), read)


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
