"""Counters that must not be oversold: instances per type and zone, vCPUs per account and Region.

A debit is one statement that adds only if the sum stays within the maximum, so two launches cannot
both take the last place. A counter's maximum is its own setting, otherwise its family's, otherwise
the default; `sametoken limits` sets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.store.dialects import upsert
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


_DEBIT = upsert(
    COUNTER,
    lambda given: {"used": COUNTER.c.used + given.used},
    where=lambda given: COUNTER.c.used + given.used <= sa.bindparam("maximum"),
    returning=[COUNTER.c.used],
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


def free(
    tx: Tx, names: Sequence[str], *, maxima_read: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return how much of each counter is left, without reserving any of it.

    `maxima_read` are their `maxima`, if the transaction has read them already.
    """
    used = {row.name: row.used for row in tx.execute(_USED, {"names": names})}
    most = maxima(tx, names) if maxima_read is None else maxima_read
    return {name: max(0, most[name] - used.get(name, 0)) for name in names}


def debit(
    tx: Tx, amounts: Mapping[str, int], *, maxima_read: Mapping[str, int] | None = None
) -> None:
    """Take an amount of each counter, in the order given. `maxima_read` as for `free`.

    Raises `Transient` if another transaction has taken it since `free` was called. Call this last
    in a transaction: from here to the commit, all other debits of these counters wait.
    """
    most = maxima(tx, list(amounts)) if maxima_read is None else maxima_read
    for name, amount in amounts.items():
        assert amount > 0, "a debit takes something"
        values = {"name": name, "used": amount, "maximum": most[name]}
        if amount > most[name] or tx.execute(_DEBIT, values).first() is None:
            raise Transient(f"{name}: another request took the last of it")


def credit(tx: Tx, name: str, amount: int) -> None:
    """Give back an amount that a debit took."""
    result = tx.execute(_CREDIT, {"c_name": name, "amount": amount})
    assert result.rowcount == 1, f"{name}: credited without a debit"


def find_maximum(tx: Tx, name: str) -> int | None:
    """Find the maximum that was set for `name` or, failing that, for one of its families."""
    names = _families(name)
    settings = {row.name: row.maximum for row in tx.execute(_LIMITS, {"names": names})}
    return next((settings[one] for one in names if one in settings), None)


def set_maximum(tx: Tx, name: str, maximum: int) -> None:
    """Set the maximum of one counter or family (`capacity/ZONE/TYPE`, `capacity/*/TYPE`,
    `capacity/*/*`, `vcpus/ACCOUNT/REGION`, `vcpus/ACCOUNT/*`, `vcpus/*/*`)."""
    tx.execute(_SET_LIMIT, {"name": name, "maximum": maximum})


def maxima_set(tx: Tx) -> list[tuple[str, int]]:
    return [(row.name, row.maximum) for row in tx.execute(_EVERY_LIMIT)]


def maxima(tx: Tx, names: Sequence[str]) -> dict[str, int]:
    """Return the maximum of each counter."""
    families = {name: _families(name) for name in names}
    asked = sorted({family for found in families.values() for family in found})
    settings = {row.name: row.maximum for row in tx.execute(_LIMITS, {"names": asked})}
    most = {}
    for name, candidates in families.items():
        default = CAPACITY_DEFAULT if name.startswith("capacity/") else VCPUS_DEFAULT
        most[name] = next((settings[c] for c in candidates if c in settings), default)
    return most


def _families(name: str) -> list[str]:
    """List the names under which a counter's maximum may be set, the most particular first."""
    what, first, second = name.split("/", 2)
    return [name, f"{what}/{first}/*", f"{what}/*/{second}", f"{what}/*/*"]
