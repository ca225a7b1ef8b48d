"""All tables of the control plane, for migrations and for tests. The one module that sees them."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.idempotency import tables as idempotency
from sametoken.migrations import history
from sametoken.resources.account import accounts, attempts
from sametoken.resources.kit import counters, regions, ripening, rows, traits, transitions
from sametoken.resources.network import addresses, public_addresses
from sametoken.services import fence, simulated_machines
from sametoken.store import buckets, clock, leaps, nodes
from sametoken.workflow import work

METADATA: tuple[sa.MetaData, ...] = (
    history.metadata,
    clock.metadata,
    leaps.metadata,
    nodes.metadata,
    buckets.metadata,
    idempotency.metadata,
    rows.metadata,
    transitions.metadata,
    traits.metadata,
    addresses.metadata,
    public_addresses.metadata,
    counters.metadata,
    regions.metadata,
    ripening.metadata,
    accounts.metadata,
    attempts.metadata,
    work.metadata,
    fence.metadata,
    simulated_machines.metadata,
)

# A saved state has all rows but these: of the schema, of nodes and what they have spent, which are
# the present ones; of
# secrets, which are sealed with the present key; and the clock's, which is set by itself.
_APART = {history.APPLIED, nodes.NODE, buckets.BUCKET, accounts.SEALED, clock.CLOCK}
# Each table comes after those that it refers to.
STATE: tuple[sa.Table, ...] = tuple(
    table for one in METADATA for table in one.sorted_tables if table not in _APART
)
