"""The cost of a RunInstances in a store with a million entries and 100,000 instances.

Both stores lie on the same disk and are measured in turns. The sweep is measured as well: it runs
in the same writer thread, and a batch of it is the longest that a request has to wait for it.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import crowd
import sqlalchemy as sa
from measure import Run, Stopwatch, interleave, rates, spread, table
from stores import ACCOUNT, Plane, opened, submit_all

from sametoken.idempotency.tables import ENTRY
from sametoken.services.housekeeping import sweep
from sametoken.store import clock
from sametoken.store.port import Tx

# RATIO_MAX is the promise: the crowd "changes the cost of a RunInstances by less than 20 %".
RATIO_MAX = 1.2
ACCOUNTS = 50
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-2")
# Entries of a crowd's clones: a launch and its four steps; for an ended one also a termination's
# four releases.
_ENTRIES_LIVING, _ENTRIES_ENDED = 5, 9
SWEPT_ENTRIES_MAX, SWEEP_SECONDS_MAX = 10_000, 10.0


def measure(
    folder: Path, *, rounds: int, operations: int, threads: int, entries: int, instances: int
) -> bool:
    """Print the tables. True when the crowd costs no more than promised."""
    crowded = folder / "crowded.db"
    with opened(crowded):
        pass
    accounts = [f"{number:012d}" for number in range(int(ACCOUNT), int(ACCOUNT) + ACCOUNTS)]
    watch = Stopwatch()
    ended = max(0, math.ceil((entries - _ENTRIES_LIVING * instances) / _ENTRIES_ENDED))
    crowd.seed(
        crowded,
        places=[(account, region) for account in accounts for region in REGIONS],
        living=instances,
        ended=ended,
    )
    seeding_seconds = watch.seconds
    with opened(folder / "empty.db") as empty, opened(crowded) as full:
        print(
            f"\n## Crowded: {_count(full):,} token entries, {instances:,} running and {ended:,} "
            f"terminated instances\n\nA file of {crowded.stat().st_size / 1e9:.1f} GB, seeded in "
            f"{seeding_seconds:.0f} s. {threads} threads, {rounds} rounds of {operations}.\n"
        )
        ratio = _compare(empty, full, rounds=rounds, operations=operations, threads=threads)
        _sweep(full)
    return ratio <= RATIO_MAX


def _compare(empty: Plane, full: Plane, *, rounds: int, operations: int, threads: int) -> float:
    """Print both stores' figures side by side; return the median ratio of a new create's costs."""
    tokens: dict[str, list[str]] = {"empty": [], "crowded": []}
    subjects: dict[str, Callable[[], Run]] = {}
    for name, plane in (("empty", empty), ("crowded", full)):
        subjects[f"new, {name}"] = partial(_new, plane, tokens[name], operations, threads)
        subjects[f"replay, {name}"] = partial(_replay, plane, tokens[name], threads)
    runs = interleave(rounds, subjects)
    ratios = {
        kind: spread(
            [
                crowded.seconds / alone.seconds
                for crowded, alone in zip(
                    runs[f"{kind}, crowded"], runs[f"{kind}, empty"], strict=True
                )
            ]
        )
        for kind in ("new", "replay")
    }
    print(
        table(
            ("subject", "per second: median (low–high)", "CPU ms each", "cost, empty = 1"),
            [
                (
                    name,
                    f"{rates(found):,.0f}",
                    f"{spread([run.cpu_ms_each for run in found]).median:.2f}",
                    f"{ratios[name.partition(',')[0]]:.2f}" if "crowded" in name else "1",
                )
                for name, found in runs.items()
            ],
        )
    )
    ratio = ratios["new"].median
    verdict = "kept" if ratio <= RATIO_MAX else "BROKEN"
    print(
        f"\nPromise: a RunInstances costs at most {RATIO_MAX} times as much. {verdict}: {ratio:.2f}"
    )
    return ratio


def _new(plane: Plane, tokens: list[str], operations: int, threads: int) -> Run:
    """Launch under new tokens, which the next replay repeats."""
    tokens[:] = [uuid.uuid4().hex for _ in range(operations)]
    return _replay(plane, tokens, threads)


def _replay(plane: Plane, tokens: Sequence[str], threads: int) -> Run:
    return submit_all(plane.store, [plane.launch(token) for token in tokens], threads=threads)


def _count(plane: Plane) -> int:
    query = sa.select(sa.func.count()).select_from(ENTRY)
    return plane.store.read(lambda tx: int(tx.execute(query).scalar_one()))


def _sweep(plane: Plane) -> None:
    """Let a part of the crowd expire, sweep it, and print the cost."""

    def let_expire(tx: Tx) -> None:
        clock.advance(tx.connection, timedelta(hours=3))

    plane.store.run(let_expire)
    before, began = _count(plane), time.perf_counter()
    batches: list[float] = []
    swept = 1
    while swept and before - _count(plane) < SWEPT_ENTRIES_MAX:
        batch = Stopwatch()
        swept = plane.store.run(lambda tx: sweep(tx, plane.engine))
        batches.append(batch.seconds)
        if time.perf_counter() - began > SWEEP_SECONDS_MAX:
            break
    forgotten = before - _count(plane)
    print(
        f"\nSweep: {forgotten:,} expired entries, and the tombstones only they had kept, in "
        f"{len(batches)} transactions: {1e6 * sum(batches) / max(1, forgotten):,.0f} ms per 1,000 "
        f"entries; a transaction takes {1000 * spread(batches).median:.0f} ms, at most "
        f"{1000 * max(batches):.0f} ms."
    )
