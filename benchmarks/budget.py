"""Where the time of a transaction goes: shares of the writer's thread by package, by a profiler.

A profiler makes Python's own calls dearer than they are, and SQLite's, which it cannot see into,
cheaper beside them: shares say where to look, not what would be gained.
"""

from __future__ import annotations

import cProfile
import pstats
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from in_process import BATCH
from launches import drive
from legs import Leg
from names import FEW
from stores import DRIVERS, Plane, opened, submit_in_batches

# Parts by what a path or a name begins with, the first that fits.
_PARTS = (
    ("SQLite: statements, commits", ("<method 'execute", "<method 'fetch")),
    ("SQLAlchemy", ("sqlalchemy/",)),
    ("JSON", ("json/", "<built-in method _json", "orjson")),
    *((f"sametoken.{name}", (f"sametoken/{name}",))
      for name in ("store", "idempotency", "resources", "ec2", "server", "services", "workflow")),
)  # fmt: skip
REST = "the rest: threads, the standard library"
PARTS = (*(name for name, _ in _PARTS), REST)
SUBJECTS = ("a new RunInstances", "a replay", "a launch driven")
STATEMENTS = "calls of the driver"


def fact(subject: str, part: str) -> str:
    return f"budget of {subject}: {part}"


def measure(leg: Leg) -> None:
    leg.folder.mkdir()
    fixture = leg.copied(FEW)
    count = leg.scale.operations
    leg.expect(len(SUBJECTS))
    with opened(fixture.database, account=fixture.reads.account) as plane:
        tokens = [uuid.uuid4().hex for _ in range(count)]

        def launch() -> None:
            works = [plane.launch(one) for one in tokens]
            submit_in_batches(plane.store, works, batch=BATCH)

        acts: tuple[Callable[[], object], ...] = (
            launch, launch, lambda: drive(plane, count, DRIVERS),
        )  # fmt: skip
        for subject, act in zip(SUBJECTS, acts, strict=True):
            for part, share in _shares(_profiled(plane, act), count).items():
                leg.fact(fact(subject, part), [share])
            leg.tell(subject)


def _profiled(plane: Plane, act: Callable[[], object]) -> cProfile.Profile:
    """Profile the thread in which the store runs transactions, from one of them to another."""
    profile = cProfile.Profile()
    plane.store.run(lambda tx: profile.enable())
    act()
    plane.store.run(lambda tx: profile.disable())
    return profile


def _shares(profile: cProfile.Profile, count: int) -> dict[str, float]:
    """Percent of the thread's time in each part, waits left out; calls of the driver for each."""
    found: Counter[str] = Counter()
    calls = 0
    read: Any = pstats.Stats(profile)
    stats: dict[tuple[str, int, str], tuple[Any, ...]] = read.stats
    for (file, _, name), (_, times, seconds, *_) in stats.items():
        if "acquire" in name or name == "wait":
            continue
        part = _part(Path(file).as_posix(), name)
        found[part] += seconds
        if name.startswith("<method 'execute"):
            calls += times
    whole = sum(found.values())
    shares = {part: 100 * found[part] / whole for part in PARTS}
    return {**shares, STATEMENTS: calls / count}


def _part(file: str, name: str) -> str:
    for part, beginnings in _PARTS:
        if any(one in file or name.startswith(one) for one in beginnings):
            return part
    return REST
