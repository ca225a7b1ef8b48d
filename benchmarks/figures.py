"""The figures of one run: what every subject took in every round, kept as JSON.

Everything that is printed, judged, drawn or shown in a page comes from here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure import Run, Taken


@dataclass(slots=True)
class Subject:
    """A subject's figures, one of each a round. `cpu_us` is of one operation, the client's apart.

    `unmeasured` says why there are none.
    """

    leg: str
    rate: list[float]
    cpu_us: list[float]
    client_cpu_us: list[float]
    p50_ms: list[float]
    p99_ms: list[float]
    beside: dict[str, list[float]]
    unmeasured: str = ""


@dataclass(slots=True)
class Figures:
    """`about` describes machine, versions, durability and scale; `facts` have no rounds in turn."""

    about: dict[str, Any] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    facts: dict[str, list[float]] = field(default_factory=dict)
    # Why a leg came to no end, by its name.
    broken: dict[str, str] = field(default_factory=dict)

    def keep(self, leg: str, taken: Taken) -> None:
        for name, runs in taken.runs.items():
            self.subjects[name] = _subject(leg, runs, taken.unmeasured.get(name, ""))

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        told = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        file.write_text(told + "\n", encoding="utf-8")


def read(file: Path) -> Figures:
    found = json.loads(file.read_text(encoding="utf-8"))
    subjects = {name: Subject(**one) for name, one in found["subjects"].items()}
    return Figures(found["about"], subjects, found["facts"], found["broken"])


def _subject(leg: str, runs: Sequence[Run], unmeasured: str) -> Subject:
    timed = [run for run in runs if run.latencies_ms]
    beside = (
        {name: [_few(run.beside[name]) for run in runs] for name in runs[0].beside} if runs else {}
    )
    return Subject(
        leg,
        [_few(run.rate) for run in runs],
        [_few(run.cpu_us_each) for run in runs],
        [_few(run.client_cpu_us_each) for run in runs],
        [_few(run.percentile_ms(0.50)) for run in timed],
        [_few(run.percentile_ms(0.99)) for run in timed],
        beside,
        unmeasured,
    )


def _few(value: float) -> float:
    """Keep four digits: more would be noise, and noise in a file under version control."""
    return float(f"{value:.4g}")
