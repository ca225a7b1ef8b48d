"""The cost of a start: CPU and resident size of the help, of an import, and of a server when ready.

Each is a process of its own. CPU is user and system time. The resident size is the largest that it
had, or a server's when it says that it serves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import cpu_seconds_of, spread, table

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


def measure(folder: Path, *, rounds: int) -> None:
    """Print the table. Databases are made in `folder`, a new one in each round."""
    subjects = _subjects(folder)
    found: dict[str, list[Start]] = {name: [] for name in subjects}
    # Make the database that is there, and compile modules that are not compiled yet.
    _served(folder / _THERE)
    for number in range(rounds):
        for name in sorted(subjects, reverse=number % 2 == 1):
            found[name].append(subjects[name]())
    print(f"\n## Start, {rounds} rounds each\n")
    body = []
    for name, starts in found.items():
        cpu = spread([1000 * one.cpu_seconds for one in starts])
        size = spread([one.resident_mb for one in starts])
        body.append((name, f"{cpu.low:,.0f}", f"{cpu:,.0f}", f"{size.median:.0f}"))
    print(table(("process", "CPU ms: least", "median (low–high)", "resident MB"), body))


def _subjects(folder: Path) -> Mapping[str, Callable[[], Start]]:
    made = iter(range(sys.maxsize))
    return {
        "floor: `python -c pass`": lambda: _finished(*_PYTHON),
        "floor: `import sqlalchemy`": lambda: _finished(*_SQLALCHEMY),
        "`import sametoken`": lambda: _finished(sys.executable, "-c", "import sametoken"),
        "`sametoken --help`": lambda: _finished(sys.executable, "-m", "sametoken", "--help"),
        "serve ready, new database": lambda: _served(folder / f"start-{next(made)}.db"),
        "serve ready, database there": lambda: _served(folder / _THERE),
    }


def _finished(*words: str) -> Start:
    """Run to the end."""
    printed = subprocess.run(
        [sys.executable, "-c", _RUN, *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    cpu_seconds, size = printed.split()
    return Start(float(cpu_seconds), int(size) / _PER_MB)


def _served(database: Path) -> Start:
    """Start a server and ask once it serves; then stop it."""
    command = [sys.executable, "-m", "sametoken", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", f"sqlite:///{database}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None, "its output is a pipe"
        assert process.stdout.readline().startswith(_SERVED), "the server did not start"
        return Start(cpu_seconds_of(process.pid), _resident_mb(process.pid))
    finally:
        process.terminate()
        process.communicate()


def _resident_mb(process_id: int) -> float:
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process_id)], capture_output=True, text=True, check=True
    )
    return int(shown.stdout) / 1024
