"""An overview of a database that is served: what there is, what waits, and what the clock says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sametoken.idempotency import entries
from sametoken.idempotency.entries import Listed
from sametoken.operate.opened import Opened
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import listings
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store import clock
from sametoken.store.port import Tx
from sametoken.store.reading import Reads
from sametoken.workflow.load import load


@dataclass(frozen=True, slots=True)
class Waiting:
    """The work of launches at `now`: how much is under way, how much of it is due.

    `oldest` is how long the oldest that is due has waited. `moves` is another text once any of it
    has moved on. `stands` is True while the clock is frozen.
    """

    now: datetime
    stands: bool
    under_way: int
    due: int
    oldest: timedelta
    moves: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The work of launches, the number of living instances by their states, the newest tokens."""

    waiting: Waiting
    instances: Mapping[str, int]
    newest: Sequence[Listed]


def waiting(here: Opened[Reads]) -> Waiting:
    """Tell what waits."""
    return here.store.read(_waiting)


def look(here: Opened[Reads], *, newest: int) -> Overview:
    """Tell what there is in all accounts, and what waits; so many of the newest tokens at most."""

    def read(tx: Tx) -> Overview:
        states = listings.count_by_state(tx, INSTANCE)
        listed = entries.list_entries(tx, account=None, hidden=INTERNAL_ACCOUNT, limit=newest)
        return Overview(_waiting(tx), states, listed)

    return here.store.read(read)


def _waiting(tx: Tx) -> Waiting:
    found = load(tx)
    oldest = tx.now - found.oldest_at if found.oldest_at is not None and found.due else timedelta(0)
    moves = f"{found.count}/{found.due}/{found.moves}"
    return Waiting(tx.now, clock.stands(tx), found.count, found.due, oldest, moves)
