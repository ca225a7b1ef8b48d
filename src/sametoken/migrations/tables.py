"""All tables of the control plane, for migrations and for tests. The one module that sees them."""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.idempotency import tables as idempotency
from sametoken.migrations import history
from sametoken.resources.account import accounts
from sametoken.resources.kit import counters, regions, ripening, rows, traits, transitions
from sametoken.resources.network import addresses, public_addresses
from sametoken.services import fence, simulated_machines
from sametoken.store import clock, leaps, nodes
from sametoken.workflow import work

METADATA: tuple[sa.MetaData, ...] = (
    history.metadata,
    clock.metadata,
    leaps.metadata,
    nodes.metadata,
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
    work.metadata,
    fence.metadata,
    simulated_machines.metadata,
)
