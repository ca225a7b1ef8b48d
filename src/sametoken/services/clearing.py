"""Clearing: everything that an account's callers have made is gone, as if it had never been.

A transaction, so each request is before it or after it. Accounts, their keys and the maxima that
were set stay, and the clock. A Region that was in use has a fresh default VPC in the end, since
nodes remember where they have made one; and a new stamp, under which they look everything up anew.

A runner may hold a step that it took before, and call its driver after. The driver is told of a
generation that no runner has, so that it refuses: the machine would be nobody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa

from sametoken.idempotency.tables import ATTEMPT, ENTRY, OTHER_ZONE, RETAINED
from sametoken.resources.account.attempts import ATTEMPTS
from sametoken.resources.compute.capacity_reservations import RESERVATION
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import counters, regions, rows
from sametoken.resources.kit.counters import COUNTER
from sametoken.resources.kit.ripening import RIPENING
from sametoken.resources.kit.rows import EDGE, RESOURCE, Row
from sametoken.resources.kit.traits import TRAIT
from sametoken.resources.kit.transitions import TRANSITION
from sametoken.resources.network import default_vpc
from sametoken.resources.network.addresses import ADDRESS
from sametoken.resources.network.public_addresses import PUBLIC_ADDRESS
from sametoken.services import simulated_machines
from sametoken.services.fence import FENCE
from sametoken.services.simulated_machines import MACHINE
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store.dialects import Text
from sametoken.store.port import Tx
from sametoken.workflow.work import WORK

# Characters of an instance's id, with which a step's token begins.
_ID_CHARACTERS = 19

_MINE: sa.BindParameter[str] = sa.bindparam("account")
_RESOURCES = sa.select(RESOURCE.c.id).where(RESOURCE.c.account == _MINE)
_INSTANCES = sa.select(WORK.c.instance).where(WORK.c.account == _MINE)
_ENTRIES = sa.select(ENTRY.c.id).where(
    sa.or_(
        ENTRY.c.account == _MINE,
        sa.and_(
            ENTRY.c.account == INTERNAL_ACCOUNT,
            sa.func.substr(ENTRY.c.client_token, 1, _ID_CHARACTERS).in_(_INSTANCES),
        ),
    )
)
# CLEARED says of each table which rows are an account's. In this order: those that others are found
# by, and that foreign keys lead to, come last.
CLEARED: dict[sa.Table, sa.ColumnElement[bool]] = {
    ATTEMPTS: ATTEMPTS.c.account == _MINE,
    ATTEMPT: ATTEMPT.c.entry_id.in_(_ENTRIES),
    OTHER_ZONE: OTHER_ZONE.c.entry_id.in_(_ENTRIES),
    RETAINED: RETAINED.c.entry_id.in_(_ENTRIES),
    ENTRY: ENTRY.c.id.in_(_ENTRIES),
    FENCE: FENCE.c.instance.in_(_INSTANCES),
    MACHINE: MACHINE.c.instance.in_(_INSTANCES),
    WORK: WORK.c.account == _MINE,
    RIPENING: RIPENING.c.resource.in_(_RESOURCES),
    ADDRESS: ADDRESS.c.subnet.in_(_RESOURCES),
    PUBLIC_ADDRESS: PUBLIC_ADDRESS.c.holder.in_(_RESOURCES),
    TRANSITION: TRANSITION.c.resource_id.in_(_RESOURCES),
    EDGE: sa.or_(EDGE.c.parent.in_(_RESOURCES), EDGE.c.child.in_(_RESOURCES)),
    TRAIT: TRAIT.c.account == _MINE,
    RESOURCE: RESOURCE.c.account == _MINE,
    # All accounts share the counters of capacity: what is held of these is given back.
    COUNTER: sa.func.substr(COUNTER.c.name, 1, 19) == sa.literal("vcpus/") + _MINE + "/",
}
_CLEAR = [sa.delete(table).where(mine) for table, mine in CLEARED.items()]
_CLEAR_ALL = [sa.delete(table) for table in CLEARED]
# On PostgreSQL nobody else is in a transaction that has looked at any of this, from here on.
_ALONE = Text(
    "SELECT 1",
    f"LOCK TABLE {', '.join(one.name for one in (regions.SEED, *CLEARED))}"
    " IN ACCESS EXCLUSIVE MODE",
)
_UNDER_WAY = sa.select(WORK.c.instance).where(WORK.c.due_at.is_not(None)).order_by(WORK.c.instance)
_UNDER_WAY_THERE = _UNDER_WAY.where(WORK.c.account == _MINE)
_HOLDERS = rows.STORED.where(
    RESOURCE.c.account == _MINE, RESOURCE.c.kind.in_([INSTANCE.name, RESERVATION.name])
)


def clear(tx: Tx, account: str) -> None:
    """Remove what the account has, in all Regions; nothing if it has nothing."""
    mine = {"account": account}
    tx.lock(_ALONE, ())
    under_way = [row.instance for row in tx.execute(_UNDER_WAY_THERE, mine)]
    held = _capacity_held(rows.from_record(row) for row in tx.execute(_HOLDERS, mine))
    for statement in _CLEAR:
        tx.execute(statement, mine)
    for name in sorted(held):
        counters.credit(tx, name, held[name])
    _begin_anew(tx, under_way, account)


def clear_all(tx: Tx) -> None:
    """Remove what all accounts have."""
    tx.lock(_ALONE, ())
    under_way = [row.instance for row in tx.execute(_UNDER_WAY)]
    for statement in _CLEAR_ALL:
        tx.execute(statement)
    _begin_anew(tx, under_way, None)


def _begin_anew(tx: Tx, under_way: list[str], account: str | None) -> None:
    # Transactions that share this commit have read what is not there any more.
    tx.written.clear()
    tx.known.clear()
    simulated_machines.refuse_all(tx, under_way)
    for place in regions.seeded(tx, account):
        regions.renew_stamp(tx, *place)
        default_vpc.make(tx, *place)
    tx.stamps.clear()


def _capacity_held(holders: Iterable[Row]) -> Counter[str]:
    """Count the capacity that instances and reservations hold, by counter."""
    every = list(holders)
    active = {row.id: row for row in every if row.kind == RESERVATION.name and row.gone_at is None}
    held = Counter[str]()
    for row in active.values():
        name = counters.capacity_name(row.zone, row.doc["InstanceType"])
        held[name] += row.doc["TotalInstanceCount"]
    for row in every:
        held_by = row.private.get("held") if row.kind == INSTANCE.name else None
        # An instance in a reservation has a part of the reservation's capacity.
        if held_by is not None and held_by.get("reservation") not in active:
            held[held_by["capacity"]] += 1
    return held
