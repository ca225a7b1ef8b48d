"""Kills without warning: acknowledged effects are there, and a retry makes no second effect."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sametoken.faults import Point
from store.creating import Caller, call
from store.processes import THREADS, next_line, process, rest
from store.stores import HANG_SECONDS, SqliteDatabase
from store.worlds import SetWorld

TOKENS = 400

# Crash at each point of the first create, and at the commit's points amid the load, where effects
# that were acknowledged before could be lost.
CRASHES = [
    *((point, 1) for point in Point if point.value.startswith(("engine.", "store."))),
    *((point, 30) for point in Point if point.value.startswith("store.")),
]


def ahead(known: dict[str, str]) -> list[int]:
    """List the next creates of each thread after its last acknowledged one: some may be there."""
    numbers = [int(token[1:]) for token in known]
    asked = []
    for thread in range(THREADS):
        own = [number for number in numbers if number % THREADS == thread]
        following = max(own, default=thread - THREADS) + THREADS
        asked += [following, following + THREADS]
    return asked


def judge(file: SqliteDatabase, acknowledged: list[str]) -> None:
    """Open the file as a restart does, and repeat all creates."""
    known = dict(line.split() for line in acknowledged)
    with file.open(SetWorld()) as store:
        caller = Caller(store)
        assert set(known.values()) <= set(caller.notes())
        made = {
            f"t{number}": caller.create(call(f"t{number}", P=number)) for number in ahead(known)
        }
        for token, id in known.items():
            assert made.get(token, id) == id
            assert caller.create(call(token, P=int(token[1:]))) == id
        notes = caller.notes()
        assert len(notes) == len({*made, *known})
        assert caller.rows_kept()["idempotency_entry"] == len(notes)


@pytest.mark.parametrize("after", [1, 100])
def test_nothing_acknowledged_is_lost_by_kill_9_and_a_retry_makes_nothing_twice(
    tmp_path: Path, after: int
) -> None:
    file = SqliteDatabase(tmp_path)
    with process("create", file.path, TOKENS) as victim:
        acknowledged = [next_line(victim) for _ in range(after)]
        victim.kill()
        acknowledged += rest(victim)
        assert victim.wait(HANG_SECONDS) == -signal.SIGKILL
    judge(file, acknowledged)


@pytest.mark.parametrize(("point", "count"), CRASHES)
def test_a_crash_at_any_point_loses_nothing_acknowledged_and_makes_nothing_twice(
    tmp_path: Path, point: Point, count: int
) -> None:
    file = SqliteDatabase(tmp_path)
    with process("create", file.path, TOKENS, point, count) as victim:
        acknowledged = rest(victim)
        assert victim.wait(HANG_SECONDS) == -signal.SIGKILL
    judge(file, acknowledged)
