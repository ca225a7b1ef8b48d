"""The lines that a run is judged by: one declared table, and how each figure is made.

A figure is a ratio of two subjects, round by round, or a fact. A line is held when the median of
its rounds reaches `least` (or does not exceed it, where less is better); `stretch` is hoped for and
binds nobody, nor does a line that is not binding.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import names
from figures import Figures, Subject
from measure import Spread, spread, table
from names import FEW, MANY, MINISTACK, MOTO, SOME, at, start_seconds, stored

Figure = Callable[[Figures], list[float] | None]


class Verdict(StrEnum):
    HELD, MISSED, UNMEASURED = "held", "MISSED", "not measured"


@dataclass(frozen=True, slots=True)
class Line:
    """A judged figure. `unit` follows it: `x` for a ratio."""

    what: str
    figure: Figure
    least: float
    stretch: float | None = None
    unit: str = "x"
    less_is_better: bool = False
    binding: bool = True

    def judge(self, figures: Figures) -> Judged:
        values = self.figure(figures)
        if not values:
            return Judged(self, None, Verdict.UNMEASURED)
        found = spread(values)
        reached = found.median <= self.least if self.less_is_better else found.median >= self.least
        return Judged(self, found, Verdict.HELD if reached else Verdict.MISSED)


@dataclass(frozen=True, slots=True)
class Judged:
    line: Line
    found: Spread | None
    verdict: Verdict

    @property
    def breaks(self) -> bool:
        """True when the whole run is no good."""
        return self.line.binding and self.verdict is Verdict.MISSED


def rate(subject: str, beside: str) -> Figure:
    """The subject's rate for each of the other's, in each round."""
    return lambda figures: _by_round(
        figures, subject, beside, lambda mine, other: zip(mine.rate, other.rate, strict=True)
    )


def cheapness(subject: str, beside: str) -> Figure:
    """The other's CPU for each of the subject's, in each round: 0.5 is twice as dear."""
    return lambda figures: _by_round(
        figures, subject, beside, lambda mine, other: zip(other.cpu_us, mine.cpu_us, strict=True)
    )


def cpu_share(subject: str, beside: str) -> Figure:
    """The subject's CPU for each of the other's, in each round."""
    return cheapness(beside, subject)


def _by_round(
    figures: Figures,
    subject: str,
    beside: str,
    pairs: Callable[[Subject, Subject], Iterable[tuple[float, float]]],
) -> list[float] | None:
    """Ratios of the rounds. None when one is not there; zero when the subject itself failed."""
    mine, other = figures.subjects.get(subject), figures.subjects.get(beside)
    if mine is None or other is None or other.unmeasured:
        return None
    if mine.unmeasured:
        return [0.0]
    return [above / below for above, below in pairs(mine, other)]


def worst(found: Iterable[Figure]) -> Figure:
    """The figure with the least median; nothing when any is not measured."""
    several = list(found)

    def figure(figures: Figures) -> list[float] | None:
        values = [one(figures) for one in several]
        known = [one for one in values if one]
        return min(known, key=statistics.median) if len(known) == len(values) else None

    return figure


def beyond(sizes: Iterable[int], of: Callable[[int], list[Figure]]) -> Figure:
    """The worst figure over the sizes that were measured."""
    several = list(sizes)

    def figure(figures: Figures) -> list[float] | None:
        known = [one for size in several if (one := worst(of(size))(figures))]
        return min(known, key=statistics.median) if known else None

    return figure


def fact(name: str) -> Figure:
    return lambda figures: figures.facts.get(name)


def quotient(name: str, by: str) -> Figure:
    """A fact for each unit of another, round by round."""

    def figure(figures: Figures) -> list[float] | None:
        above, below = figures.facts.get(name), figures.facts.get(by)
        if not above or not below:
            return None
        return [one / other for one, other in zip(above, below, strict=True)]

    return figure


def cpu_ms(subject: str) -> Figure:
    def figure(figures: Figures) -> list[float] | None:
        found = figures.subjects.get(subject)
        return [one / 1000 for one in found.cpu_us] if found else None

    return figure


def _flat(figure: Callable[[str, str], Figure], name: str, size: int = MANY) -> Figure:
    return figure(stored(name, size), stored(name, FEW))


def _flat_http(name: str, size: int = MANY) -> Figure:
    return rate(at(name, 8, size=size), at(name, 8, size=FEW))


def _reads_against_floor(size: int) -> list[Figure]:
    floor = at(names.WHO, 8, size=size)
    return [rate(at(name, 8, size=size), floor) for name in (names.BY_ID, names.BY_TOKEN)]


_NEW_FEW, _REPLAY_FEW = stored(names.NEW, FEW), stored(names.REPLAY, FEW)
_DRIVEN_FEW = stored(names.DRIVEN, FEW)
_ACCEPTED = {count: at(names.ACCEPTED, count) for count in (8, 64)}
_CREATES = {count: at(names.ACCEPTED, count, by=MINISTACK) for count in (8, 64)}
_MOTO_PAGE = at(names.PAGE, 8, size=FEW, by=MOTO)
_MOTO_FULL = at(names.ACCEPTED, 8, size=20_000, by=MOTO)

LINES: tuple[Line, ...] = (
    Line("in process: a new RunInstances, against its rows by the driver (CPU)",
         cheapness(_NEW_FEW, names.ROWS_BY_DRIVER), 0.50, 0.65),
    Line("in process: a replay, against a new one (CPU)",
         cheapness(_REPLAY_FEW, _NEW_FEW), 4.0),
    Line("accepting alone, 64 connections, against ministack's creates",
         rate(_ACCEPTED[64], _CREATES[64]), 1.0, 1.2),
    Line("accepting alone, 8 connections, against ministack's creates",
         rate(_ACCEPTED[8], _CREATES[8]), 0.7, 0.85),
    Line("accepting alone, 8 connections, against moto, empty",
         rate(_ACCEPTED[8], at(names.ACCEPTED, 8, by=MOTO)), 12, 16),
    Line("accepting alone, 8 connections, against moto with 20,000 stored (--full)",
         rate(_ACCEPTED[8], _MOTO_FULL), 60, 80),
    Line("accepted and driven, 64 connections, against ministack's creates",
         rate(at(names.RAN, 64, size=FEW), _CREATES[64]), 0.55, 0.65),
    Line("launches to running, against their steps by the driver, one by one",
         rate(_DRIVEN_FEW, names.STEPS_ONE_BY_ONE), 2.5, 4),
    Line("launches to running, against their steps by the driver, 64 together (CPU)",
         cheapness(_DRIVEN_FEW, names.STEPS_TOGETHER), 0.3, binding=False),
    Line("launches to running, against five-step workflows of DBOS on SQLite",
         rate(_DRIVEN_FEW, names.DBOS_SQLITE), 10),
    Line("describe by id and by client-token, against GetCallerIdentity, the worst of all sizes",
         beyond((FEW, SOME, MANY), _reads_against_floor), 0.5, 0.6),
    Line("a page of 100, warm, against moto's, both with 1,000 stored",
         rate(at(names.PAGE, 8, size=FEW), _MOTO_PAGE), 150, 250),
    Line("a page of 100, cold, against moto's, both with 1,000 stored",
         rate(at(names.COLD_PAGE, 8, size=FEW), _MOTO_PAGE), 12, 25),
    *(Line(f"describe by {by}, 100 match: 200,000 stored against 1,000",
           _flat_http(f"{names.FILTERED} {by}"), 0.8) for by in names.FILTERS),
    Line("new: 200,000 stored and a million tokens against 1,000 (CPU)",
         _flat(cheapness, names.NEW), 0.9),
    Line("replay: 200,000 stored and a million tokens against 1,000 (CPU)",
         _flat(cheapness, names.REPLAY), 0.9),
    Line("driving: 200,000 stored and a million tokens against 1,000 (CPU)",
         _flat(cheapness, names.DRIVEN), 0.9),
    Line("describe by id: 200,000 stored against 1,000", _flat_http(names.BY_ID), 0.9),
    Line("describe by client-token: 200,000 stored against 1,000",
         _flat_http(names.BY_TOKEN), 0.8),
    Line("PostgreSQL, one node: launches to running, against DBOS on PostgreSQL",
         rate(names.PG_ONE, names.DBOS_POSTGRESQL), 5, 8),
    Line("PostgreSQL, one node: its CPU for a launch", cpu_ms(names.PG_ONE), 1.2, unit="ms",
         less_is_better=True),
    Line("SQLite: log pages for a launch, accepted and driven",
         fact(stored(names.LOG_PAGES, FEW)), 15, 11, unit="pages", less_is_better=True),
    Line("PostgreSQL: two nodes against one, each held to a share of a CPU",
         rate(names.PG_HELD_TWO, names.PG_HELD_ONE), 1.9),
    Line("overload: launches a second that ran, against the sustainable rate",
         quotient(names.GOODPUT, names.PEAK), 0.8),
    Line("overload: median time of a refusal", fact(names.REFUSAL_MS), 20, unit="ms",
         less_is_better=True),
    Line("overload: until everything accepted runs, from the end", fact(names.CATCHING_UP), 30,
         unit="s", less_is_better=True),
    Line(f"in process: a new RunInstances, against its CPU at commit {names.EARLIER}",
         cpu_share(names.EARLIER_NEW, names.of_earlier(names.EARLIER_NEW)), 0.65,
         less_is_better=True),
    Line("`--help`: CPU", fact(start_seconds(names.HELP)), 0.15, unit="s", less_is_better=True),
    Line("`serve` ready on a new file: CPU", fact(start_seconds(names.NEW_FILE)), 0.6, unit="s",
         less_is_better=True),
    Line("`serve` ready on a file that is there: CPU", fact(start_seconds(names.OLD_FILE)), 0.4,
         unit="s", less_is_better=True),
    Line("`serve` ready on a new file: resident", fact(names.start_mb(names.NEW_FILE)), 100,
         unit="MB", less_is_better=True),
    Line("each edge of it: memory of its own", fact(names.EDGE_MB), 30, unit="MB",
         less_is_better=True),
    Line("in process: the story of a launch, against Describes of its rows (CPU)",
         cpu_share(names.STORY, names.SAME_ROWS), 1.0, less_is_better=True),
)  # fmt: skip


def judge(figures: Figures) -> list[Judged]:
    return [line.judge(figures) for line in LINES]


def verdicts(judged: Iterable[Judged]) -> str:
    """The table of all lines."""
    head = ("judged", "median (low–high)", "bound", "stretch", "verdict")
    body = []
    for number, one in enumerate(judged, start=1):
        line = one.line
        sign = "≤" if line.less_is_better else "≥"
        body.append(
            (
                f"{number}. {line.what}",
                "" if one.found is None else f"{_shown(one.found)} {line.unit}",
                f"{sign} {line.least:g}" if line.binding else "informs",
                "" if line.stretch is None else f"{line.stretch:g}",
                str(one.verdict) if line.binding or one.found is None else "",
            )
        )
    return table(head, body)


def _shown(found: Spread) -> str:
    places = 2 if found.median < 10 else 1 if found.median < 100 else 0
    return f"{found:.{places}f}"


def subjects_asked() -> set[str]:
    """Names of every subject and fact that some line asks for."""
    asked: set[str] = set()

    class Listening(dict[str, object]):
        def get(self, name: str, default: object = None) -> object:
            asked.add(name)
            return default

    deaf = Figures({}, Listening(), Listening(), {})  # type: ignore[arg-type]  # answers nothing
    for line in LINES:
        line.figure(deaf)
    return asked


def missed(judged: Iterable[Judged]) -> int:
    return sum(one.breaks for one in judged)
