"""Fairness of leases: no account gets a second row while another that has due work gets none."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sametoken.store.columns import to_microseconds
from sametoken.store.port import Tx
from sametoken.workflow.runner import Runner
from sametoken.workflow.work import Work
from simulation.promises import require

# Accounts with work that is due and free, by the judge's own SQL.
_DUE = """
    SELECT DISTINCT account FROM work
    WHERE due_at <= {now} AND (lease_until IS NULL OR lease_until <= {now})
"""


class WatchedRunner(Runner):
    """The program's runner, whose every lease is judged in its own transaction."""

    __slots__ = ()

    def lease(self, tx: Tx) -> tuple[datetime, list[Work]]:
        found = tx.connection.exec_driver_sql(_DUE.format(now=to_microseconds(tx.now)))
        waiting = {account for (account,) in found}
        now, leased = Runner.lease(self, tx)
        shares = Counter(work.account for work in leased)
        left_out = sorted(waiting - shares.keys())
        require(leased or not waiting, "LIVE", "{} has due work, and nothing is leased", waiting)
        fair = not left_out or max(shares.values(), default=0) <= 1
        require(fair, "LIVE", "{} got work done, and {} none", shares, left_out)
        return now, leased
