"""Condition of a node, as a look at its database tells: schema, backlog and clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.migrations.upgrade import check, current
from sametoken.server.probes import NotReady
from sametoken.store import clock
from sametoken.store.port import Tx
from sametoken.workflow import turns
from sametoken.workflow.turns import Standing

# A node whose clock is wrong by more refuses signatures of callers whose clocks are right, or soon
# will: it allows 15 minutes, of which they have a share.
OFFSET_SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Condition:
    """The schema's revision, the due work, and the clocks.

    `offset_seconds` is by how much the store's clock is ahead of this process's, `host_seconds` by
    how much that of the database's host is; it is 0 for a file.
    """

    revision: str | None
    standing: Standing
    oldest_seconds: float
    offset_seconds: float
    host_seconds: float
    now: str

    def facts(self) -> dict[str, Any]:
        """Return it as the probes show it."""
        return {
            "schema": self.revision,
            "backlog": {
                "due": self.standing.due,
                "leased": self.standing.leased,
                "oldest_seconds": round(self.oldest_seconds, 3),
            },
            "clock": {"now": self.now, "offset_seconds": round(self.offset_seconds, 3)},
        }


def condition(tx: Tx) -> Condition:
    """Look at the database. Reads only."""
    standing = turns.standing(tx)
    return Condition(
        current(tx.connection),
        standing,
        standing.oldest_seconds(tx.now),
        (tx.now - tx.world.now()).total_seconds(),
        clock.host_offset(tx).total_seconds(),
        tx.now.isoformat(),
    )


def readiness(tx: Tx) -> dict[str, Any]:
    """Return the facts of a node that can serve; raises `NotReady` for one that cannot."""
    found = condition(tx)
    try:
        check(tx.connection)
    except Misconfigured as outdated:
        raise NotReady(str(outdated)) from outdated
    if abs(found.host_seconds) > OFFSET_SECONDS_MAX:
        where = "behind" if found.host_seconds > 0 else "ahead of"
        raise NotReady(
            f"the clock of this host is {abs(found.host_seconds):.0f} s {where} that of the "
            "database's, so that signatures are refused; set it"
        )
    return found.facts()
