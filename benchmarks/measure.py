"""Rounds, medians and tables: the way every figure of these benchmarks is taken and shown.

Subjects are measured in turns within one run, and every other round in reverse order, so that other
load of the machine, and its warming up, falls on all of them alike. No subject is named here, and
no figure is asserted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over its rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}–{self.high:{spec}})"


def spread(values: Sequence[float]) -> Spread:
    assert values, "a figure needs at least one round"
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one round of one subject. `cpu_seconds` is this process's."""

    done: int
    seconds: float
    cpu_seconds: float
    latencies_ms: tuple[float, ...] = ()
    server_cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.done / self.seconds

    @property
    def cpu_ms_each(self) -> float:
        return 1000 * self.cpu_seconds / self.done

    @property
    def server_cpu_ms_each(self) -> float:
        return 1000 * self.server_cpu_seconds / self.done

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Stopwatch:
    """Measures wall and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._wall

    def stop(self, done: int) -> Run:
        assert done > 0, "a round without one finished operation says nothing"
        return Run(done, self.seconds, time.process_time() - self._cpu)


def interleave(rounds: int, subjects: Mapping[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Take `rounds` runs of each subject, in turns, after an unmeasured one to warm up."""
    runs: dict[str, list[Run]] = {name: [] for name in subjects}
    for measure in subjects.values():
        measure()
    for number in range(rounds):
        names = sorted(subjects, key=list(subjects).index, reverse=number % 2 == 1)
        for name in names:
            runs[name].append(subjects[name]())
    return runs


def rates(runs: Sequence[Run]) -> Spread:
    return spread([run.rate for run in runs])


def cpu_seconds_of(process_id: int) -> float:
    """User and system time that another process has used so far."""
    stat = Path(f"/proc/{process_id}/stat")
    if stat.exists():
        # The name may hold blanks; the fields after its closing parenthesis do not.
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    shown = subprocess.run(
        ["ps", "-o", "cputime=", "-p", str(process_id)], capture_output=True, text=True, check=True
    )
    seconds = 0.0
    for part in shown.stdout.strip().replace("-", ":").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def http_table(runs: Mapping[str, Sequence[Run]]) -> str:
    """Rates, latencies and both sides' CPU time of subjects that a server answered."""
    head = ("subject", "per second: median (low–high)", "p50 ms", "p99 ms", "server CPU ms each",
            "client CPU ms each")  # fmt: skip
    body = [
        (
            name,
            f"{rates(found):,.0f}",
            f"{spread([run.percentile_ms(0.50) for run in found]).median:.1f}",
            f"{spread([run.percentile_ms(0.99) for run in found]).median:.1f}",
            f"{spread([run.server_cpu_ms_each for run in found]).median:.2f}",
            f"{spread([run.cpu_ms_each for run in found]).median:.2f}",
        )
        for name, found in runs.items()
    ]
    return table(head, body)


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned for a terminal too."""
    lines = [list(head), ["-" * len(cell) for cell in head], *(list(row) for row in body)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines[1] = ["-" * width for width in widths]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )
