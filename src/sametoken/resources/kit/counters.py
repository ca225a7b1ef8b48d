"""Counters that must not be oversold: instances per type and zone, vCPUs per account and Region.

A debit is one statement that adds only when the sum stays within the maximum, so two launches
cannot both take the last place. The maximum of a counter is its own setting, else its family's,
else the default; `sametoken limits` sets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sametoken.errors import Transient
from sametoken.store.port import Tx

metadata = sa.MetaData()

# How much of each counter is taken. Rows appear with their first debit.
COUNTER = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.CheckConstraint("used >= 0", name="never_below_nothing"),
)

# Maxima that an operator set, by counter name or by family.
LIMIT = sa.Table(
    "counter_limit",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("maximum", sa.BigInteger, nullable=False),
)

# Defaults large enough that nobody meets them by accident; those who want to meet them set them.
CAPACITY_DEFAULT = 10_000
VCPUS_DEFAULT = 100_000


def capacity_name(zone: str, instance_type: str) -> str:
    return f"capacity/{zone}/{instance_type}"


def vcpus_name(account: str, region: str) -> str:
    return f"vcpus/{account}/{region}"


_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def _debit_statement(insert: Any) -> sa.Executable:
    statement = insert(COUNTER).values(name=sa.bindparam("c_name"), used=sa.bindparam("amount"))
    total = COUNTER.c.used + statement.excluded.used
    found: sa.Executable = statement.on_conflict_do_update(
        index_elements=["name"], set_={"used": total}, where=total <= sa.bindparam("maximum")
    ).returning(COUNTER.c.used)
    return found


_DEBITS = {name: _debit_statement(insert) for name, insert in _INSERTS.items()}
_CREDIT = (
    sa.update(COUNTER)
    .where(COUNTER.c.name == sa.bindparam("c_name"))
    .values(used=COUNTER.c.used - sa.bindparam("amount"))
)
_USED = sa.select(COUNTER).where(COUNTER.c.name.in_(sa.bindparam("names", expanding=True)))
_LIMITS = sa.select(LIMIT).where(LIMIT.c.name.in_(sa.bindparam("names", expanding=True)))


def free(tx: Tx, names: list[str]) -> dict[str, int]:
    """How much of each counter is left; nothing is held by asking."""
    used = {row.name: row.used for row in tx.execute(_USED, {"names": names})}
    maxima = _maxima(tx, names)
    return {name: max(0, maxima[name] - used.get(name, 0)) for name in names}


def debit(tx: Tx, amounts: Mapping[str, int]) -> None:
    """Take an amount of each counter, in their order.

    Raises `Transient` when somebody else took it since `free` was asked. Called last in a
    transaction: from here to the commit every other debit of them waits.
    """
    statement = _DEBITS[tx.connection.dialect.name]
    for name, maximum in _maxima(tx, list(amounts)).items():
        amount = amounts[name]
        assert amount > 0, "a debit takes something"
        values = {"c_name": name, "amount": amount, "maximum": maximum}
        if amount > maximum or tx.execute(statement, values).first() is None:
            raise Transient(f"{name}: another request took the last of it")


def credit(tx: Tx, name: str, amount: int) -> None:
    """Give back what a debit took."""
    result = tx.execute(_CREDIT, {"c_name": name, "amount": amount})
    assert result.rowcount == 1, f"{name}: credited without a debit"


def find_maximum(tx: Tx, name: str) -> int | None:
    """The maximum that was set for `name`, else for a family of it."""
    names = _families(name)
    settings = {row.name: row.maximum for row in tx.execute(_LIMITS, {"names": names})}
    return next((settings[one] for one in names if one in settings), None)


def set_maximum(tx: Tx, name: str, maximum: int) -> None:
    """Set the maximum of one counter or family (`capacity/ZONE/TYPE`, `capacity/*/TYPE`,
    `capacity/*/*`, `vcpus/ACCOUNT/REGION`, `vcpus/ACCOUNT/*`, `vcpus/*/*`)."""
    tx.execute(sa.delete(LIMIT).where(LIMIT.c.name == name))
    tx.execute(sa.insert(LIMIT), {"name": name, "maximum": maximum})


def maxima_set(tx: Tx) -> list[tuple[str, int]]:
    return [(row.name, row.maximum) for row in tx.execute(sa.select(LIMIT).order_by(LIMIT.c.name))]


def _families(name: str) -> list[str]:
    """Where to look for a counter's maximum, the most particular first."""
    what, first, second = name.split("/", 2)
    return [name, f"{what}/{first}/*", f"{what}/*/{second}", f"{what}/*/*"]


def _maxima(tx: Tx, names: list[str]) -> dict[str, int]:
    families = {name: _families(name) for name in names}
    asked = sorted({family for found in families.values() for family in found})
    settings = {row.name: row.maximum for row in tx.execute(_LIMITS, {"names": asked})}
    maxima = {}
    for name, candidates in families.items():
        default = CAPACITY_DEFAULT if name.startswith("capacity/") else VCPUS_DEFAULT
        maxima[name] = next((settings[c] for c in candidates if c in settings), default)
    return maxima
