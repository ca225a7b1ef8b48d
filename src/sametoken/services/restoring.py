"""Restoring: a saved state takes the place of the present one, with its launches under way.

Owners of the present state, who hold generations, may be at work while that happens. All that is
restored gets a higher one, at every service, so that these are former owners from then on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import sqlalchemy as sa

from sametoken.resources.kit import regions, ripening
from sametoken.resources.network import default_vpc
from sametoken.services import fence, simulated_machines
from sametoken.store import clock, saved
from sametoken.store.clock import CLOCK
from sametoken.store.port import Tx
from sametoken.workflow import work
from sametoken.workflow.work import WORK

_EVERY = sa.select(WORK.c.instance).order_by(WORK.c.instance)
_HIGHEST = sa.select(sa.func.coalesce(sa.func.max(WORK.c.generation), 0))
_SUCCEED = sa.update(WORK).values(generation=sa.bindparam("above"), lease_until=None, owner=None)


def restore(tx: Tx, state: sqlite3.Connection, tables: Sequence[sa.Table]) -> None:
    """Put back all rows of `tables`, which has each after those that it refers to, and the clock.

    Regions that are in use now, and were not then, get their default VPC: nodes remember that they
    have one.
    """
    seeded = regions.seeded(tx, None)
    before, above = {*_instances(tx), *simulated_machines.refused(tx)}, _highest(tx)
    saved.put_back(tx, state, tables)
    after, above = _instances(tx), max(above, _highest(tx)) + 1
    tx.execute(_SUCCEED, {"above": above})
    fence.succeed(tx, after, above)
    simulated_machines.succeed(tx, after, above)
    simulated_machines.refuse_all(tx, sorted(before - set(after)))
    for place in seeded:
        default_vpc.seed(tx, *place)
    tx.stamps.clear()
    clock.put_back(tx, saved.row_of(state, CLOCK))
    tx.wake(work.CHANNEL)
    tx.wake(ripening.CHANNEL)


def _instances(tx: Tx) -> list[str]:
    return [row.instance for row in tx.execute(_EVERY)]


def _highest(tx: Tx) -> int:
    found: int = tx.execute(_HIGHEST).scalar_one()
    return found
