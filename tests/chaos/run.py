"""A run: a cluster, a crowd, faults, and the rows at the end; all of it in a history."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from chaos.clients import Crowd, Load
from chaos.cluster import running_cluster
from chaos.ending import UNFINISHED, write_rows
from chaos.faults import Faults, Pace
from chaos.history import Writer

# ACCOUNTS: each account's Region is one lane, and fewer would make clients queue for each other.
ACCOUNTS = 8
# Limits that only a hang reaches: clients ending their calls, runners ending their work.
_FINISH_SECONDS = 90.0
_SETTLE_SECONDS = 120.0
# Parts of a run whose seconds are reported.
_PARTS = ("starting", "under load", "settling")


@dataclass(frozen=True)
class Asked:
    """The least that a run has to do."""

    seed: int
    pace: Pace
    faults: Mapping[str, int]

    def least(self) -> dict[str, int]:
        """The least numbers, by the names of `report.counts`."""
        found = {f"{name}s": count for name, count in self.faults.items()}
        # Each failover cancels at least one commit.
        cancelled = {"cancelled commits": self.faults.get("failover", 0)}
        return {"creates": self.pace.creates, **found, **cancelled}


def run(asked: Asked, folder: Path, file: Path) -> None:
    """Run in `folder` and write the history to `file`; raises when the run itself fails."""
    moments = [time.monotonic()]
    # Write line by line: the history of a killed run shows how far it came.
    with file.open("w", buffering=1) as lines:
        history = Writer(lines)
        history.write("start", seed=asked.seed, asked=asked.least())
        with running_cluster(folder, ACCOUNTS) as cluster:
            moments.append(time.monotonic())
            load = Load(asked.seed, history)
            crowd = Crowd(cluster, load)
            try:
                Faults(cluster, load, asked.faults, asked.pace).play()
                crowd.finish(_FINISH_SECONDS)
            finally:
                crowd.abort()
            moments.append(time.monotonic())
            cluster.settle(UNFINISHED, _SETTLE_SECONDS)
            write_rows(cluster.url, history)
            moments.append(time.monotonic())
        seconds = [later - earlier for earlier, later in pairwise(moments)]
        history.write("end", seconds=dict(zip(_PARTS, seconds, strict=True)))
