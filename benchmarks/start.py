"""The cost of a start: CPU and resident size of the help, of an import, and of a server when ready.

Each is a process of its own. CPU is user and system time. The resident size is the largest that it
had; of a server without edges that when it says that it serves. An edge's is what it shares with
nobody.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import names
from legs import Leg
from processes import cpu_seconds_of, own_mb, resident_mb

# Floors: nothing of ours is in them.
_PYTHON, _SQLALCHEMY = (sys.executable, "-c", "pass"), (sys.executable, "-c", "import sqlalchemy")
_SERVED = "sametoken serves"
_THERE = "start-there.db"
# Runs the words that follow and prints their CPU and largest size. A process of its own does it: a
# new process starts with the size of the one that made it, and this one is large.
_RUN = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
assert status == 0, sys.argv
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
# Linux counts that size in KiB, macOS in bytes.
_PER_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Start:
    """The cost of one start. See the module for `resident_mb`."""

    cpu_seconds: float
    resident_mb: float


def measure(leg: Leg) -> None:
    leg.folder.mkdir()
    subjects = _subjects(leg.folder)
    found: dict[str, list[Start]] = {name: [] for name in subjects}
    # Make the database that is there, and compile modules that are not compiled yet.
    _served(leg.folder / _THERE)
    leg.expect(leg.scale.rounds)
    for number in range(leg.scale.rounds):
        for name in sorted(subjects, reverse=number % 2 == 1):
            found[name].append(subjects[name]())
        leg.tell("start")
    leg.fact(names.EDGE_MB, [_edge_mb(leg.folder / _THERE) for _ in range(leg.scale.rounds)])
    for name, starts in found.items():
        leg.fact(names.start_seconds(name), [one.cpu_seconds for one in starts])
        leg.fact(names.start_mb(name), [one.resident_mb for one in starts])


def _subjects(folder: Path) -> Mapping[str, Callable[[], Start]]:
    made = iter(range(sys.maxsize))
    return {
        "floor: `python -c pass`": lambda: _finished(*_PYTHON),
        "floor: `import sqlalchemy`": lambda: _finished(*_SQLALCHEMY),
        "`import sametoken`": lambda: _finished(sys.executable, "-c", "import sametoken"),
        names.HELP: lambda: _finished(sys.executable, "-m", "sametoken", "--help"),
        names.NEW_FILE: lambda: _served(folder / f"start-{next(made)}.db"),
        names.OLD_FILE: lambda: _served(folder / _THERE),
    }


def _finished(*words: str) -> Start:
    """Run to the end."""
    printed = subprocess.run(
        [sys.executable, "-c", _RUN, *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    cpu_seconds, size = printed.split()
    return Start(float(cpu_seconds), int(size) / _PER_MB)


def _served(database: Path) -> Start:
    """The cost of a server without edges when it serves."""
    with _serving(database, 0) as process:
        return Start(cpu_seconds_of(process.pid), resident_mb(process.pid))


def _edge_mb(database: Path) -> float:
    """The memory of an edge when its node serves."""
    with _serving(database, 1) as process:
        return own_mb(process.pid)


@contextmanager
def _serving(database: Path, processes: int) -> Iterator[subprocess.Popen[str]]:
    """Start a server and wait until it serves; stop it after the block."""
    command = [sys.executable, "-m", "sametoken", "serve", "--port", "0"]
    command += ["--processes", str(processes)]
    process = subprocess.Popen(
        [*command, "--database", f"sqlite:///{database}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None, "its output is a pipe"
        assert process.stdout.readline().startswith(_SERVED), "the server did not start"
        yield process
    finally:
        process.terminate()
        process.communicate()
