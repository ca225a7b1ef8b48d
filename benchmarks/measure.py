"""Rounds, medians and tables: the way every figure of these benchmarks is taken and shown.

Subjects are measured in turns within one run, and every other round in reverse order, so that other
load of the machine, and its warming up, falls on all of them alike. No subject is named here, and
no figure is judged.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


class Unmeasured(Exception):
    """Raised by a subject that cannot be measured; it is not asked again in this run."""


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
    """The figures of one round of one subject.

    `cpu_seconds` is the subject's, with all its processes; `client_cpu_seconds` is that of the
    client that asks it. `beside` has other figures of the round, already for each operation.
    """

    done: int
    seconds: float
    cpu_seconds: float
    client_cpu_seconds: float = 0.0
    latencies_ms: tuple[float, ...] = ()
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.done / self.seconds

    @property
    def cpu_us_each(self) -> float:
        return 1e6 * self.cpu_seconds / self.done

    @property
    def client_cpu_us_each(self) -> float:
        return 1e6 * self.client_cpu_seconds / self.done

    def percentile_ms(self, share: float) -> float:
        return percentile(self.latencies_ms, share)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Stopwatch:
    """Measures wall and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._wall

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu

    def stop(self, done: int) -> Run:
        assert done > 0, "a round without one finished operation says nothing"
        return Run(done, self.seconds, self.cpu_seconds)


Subjects = Mapping[str, Callable[[], Run]]
Runs = dict[str, list[Run]]


@dataclass(slots=True)
class Taken:
    """Runs by subject, and the reason why a subject has none."""

    runs: Runs
    unmeasured: dict[str, str]


def _ignored(subject: str) -> None:
    """Tell nobody."""


def interleave(rounds: int, subjects: Subjects, *, tell: Callable[[str], None] = _ignored) -> Taken:
    """Take `rounds` runs of each subject, in turns, after one each to warm up.

    `tell` hears the name of each subject when a run of it is over.
    """
    taken = Taken({name: [] for name in subjects}, {})
    for number in range(rounds + 1):
        for name in reversed(subjects) if number % 2 else subjects:
            if name not in taken.unmeasured:
                try:
                    run = subjects[name]()
                except Unmeasured as reason:
                    taken.unmeasured[name] = str(reason)
                    taken.runs[name] = []
                else:
                    if number > 0:
                        taken.runs[name].append(run)
            tell(name)
    return taken


def rates(runs: Sequence[Run]) -> Spread:
    return spread([run.rate for run in runs])


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
