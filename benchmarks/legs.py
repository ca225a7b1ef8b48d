"""Legs of the benchmark, and what each gets: folder, scale, fixtures, a place for figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import names
from figures import Figures
from fixtures import Fixture, Fixtures
from measure import Subjects, interleave


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `sizes` are the stores by their instances, the smallest first."""

    name: str
    rounds: int
    # Seconds of a round over HTTP.
    seconds: float
    sizes: tuple[int, ...]
    # Launches of a round in process, launches driven in one, workflows of DBOS in one.
    operations: int
    driven: int
    workflows: int
    overload_seconds: float
    # Peers with FEW instances too; more of them in moto; requests of the soak.
    fills_peers: bool = True
    moto_stored: int = 0
    soak_requests: int = 0


QUICK = Scale("quick", 1, 0.2, (names.FEW,), 96, 48, 15, 1.0, fills_peers=False)
USUAL = Scale("usual", 5, 0.5, (names.FEW, names.SOME, names.MANY), 320, 128, 40, 10.0)
FULL = Scale(
    "full", 9, 1.2, (names.FEW, names.SOME, names.MANY), 480, 256, 60, 15.0,
    moto_stored=20_000, soak_requests=1_000_000,
)  # fmt: skip


@dataclass(slots=True)
class Leg:
    """A part of the run whose subjects take turns."""

    name: str
    folder: Path
    scale: Scale
    fixtures: Fixtures
    figures: Figures
    tell: Callable[[str], None]
    # Announces how many runs the leg takes; `tell` then hears of each.
    expect: Callable[[int], None]
    _copies: dict[int, Fixture] = field(default_factory=dict)

    def copied(self, size: int) -> Fixture:
        """Copy the fixture of that size; a leg that asks twice gets the same copy."""
        if size not in self._copies:
            entries = names.TOKENS if size >= names.MANY else 0
            made = self.fixtures.get(size, entries=entries)
            self._copies[size] = made.copied(self.folder / f"{size}-stored")
        return self._copies[size]

    def interleave(self, subjects: Subjects) -> None:
        """Measure the subjects in turns and keep their figures."""
        rounds = self.scale.rounds
        self.expect((rounds + 1) * len(subjects))
        self.figures.keep(self.name, interleave(rounds, subjects, tell=self.tell))

    def fact(self, name: str, values: Sequence[float]) -> None:
        self.figures.facts[name] = list(values)
