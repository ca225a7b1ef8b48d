"""Draws the figures of a run, as PNG and as SVG: rates beside floors and peers, and growth.

A program of the peers' environment, which has matplotlib. Takes the figures' file and a folder.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
# A fixed salt and no date make the same file of the same figures.
mpl.rcParams["svg.hashsalt"] = "sametoken"
from matplotlib import pyplot as plt  # noqa: E402 – the backend is chosen before it is loaded
from names import (  # noqa: E402 – as above
    ACCEPTED,
    BARE_ROWS,
    BY_ID,
    BY_TOKEN,
    COLD_PAGE,
    DBOS_POSTGRESQL,
    DBOS_SQLITE,
    DRIVEN,
    FEW,
    MANY,
    MINISTACK,
    MOTO,
    NEW,
    PAGE,
    PG_ONE,
    RAN,
    REPLAY,
    ROWS_BY_DRIVER,
    SOME,
    STEPS_ONE_BY_ONE,
    STEPS_TOGETHER,
    WHO,
    at,
    stored,
)  # fmt: skip

_OURS, _FLOOR, _PEER = "#2a6f97", "#9aa5b1", "#d98032"
_CREATES = (
    ("GetCallerIdentity (floor)", at(WHO, 64, size=FEW), _FLOOR),
    ("accepted alone, 64", at(ACCEPTED, 64), _OURS),
    ("accepted alone, 8", at(ACCEPTED, 8), _OURS),
    ("accepted and driven, 64", at(RAN, 64, size=FEW), _OURS),
    ("ministack, 64", at(ACCEPTED, 64, by=MINISTACK), _PEER),
    ("ministack, 8", at(ACCEPTED, 8, by=MINISTACK), _PEER),
    ("moto, 8", at(ACCEPTED, 8, by=MOTO), _PEER),
)
_DESCRIBES = (
    ("GetCallerIdentity (floor)", at(WHO, 8, size=FEW), _FLOOR),
    ("one id", at(BY_ID, 8, size=FEW), _OURS),
    ("one client-token", at(BY_TOKEN, 8, size=FEW), _OURS),
    ("page of 100", at(PAGE, 8, size=FEW), _OURS),
    ("page of 100, cold", at(COLD_PAGE, 8, size=FEW), _OURS),
    ("one id, moto", at(BY_ID, 8, size=FEW, by=MOTO), _PEER),
    ("one id, ministack", at(BY_ID, 8, size=FEW, by=MINISTACK), _PEER),
    ("page of 100, moto", at(PAGE, 8, size=FEW, by=MOTO), _PEER),
    ("page of 100, ministack", at(PAGE, 8, size=FEW, by=MINISTACK), _PEER),
)
_LAUNCHES = (
    ("steps by the driver, 64 together (floor)", STEPS_TOGETHER, _FLOOR),
    ("steps by the driver, one by one (floor)", STEPS_ONE_BY_ONE, _FLOOR),
    ("SQLite, in process", stored(DRIVEN, FEW), _OURS),
    ("PostgreSQL, accepted and driven", PG_ONE, _OURS),
    ("DBOS on SQLite", DBOS_SQLITE, _PEER),
    ("DBOS on PostgreSQL", DBOS_POSTGRESQL, _PEER),
)
_COSTS = (
    ("its bytes in one bare table (floor)", BARE_ROWS, _FLOOR),
    ("its rows by the driver (floor)", ROWS_BY_DRIVER, _FLOOR),
    ("a new RunInstances", stored(NEW, FEW), _OURS),
    ("a replay", stored(REPLAY, FEW), _OURS),
    ("a launch driven", stored(DRIVEN, FEW), _OURS),
)
_GROWTH = ((BY_ID, "describe by id"), (BY_TOKEN, "by client-token"), (PAGE, "page of 100"))

Subjects = dict[str, dict[str, Any]]


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    subjects: Subjects = figures["subjects"]
    for name, title, bars, what in (
        ("creates", "RunInstances a second, over HTTP", _CREATES, "rate"),
        ("describes", "DescribeInstances a second, 8 connections", _DESCRIBES, "rate"),
        ("launches", "Launches to running a second", _LAUNCHES, "rate"),
        ("costs", "CPU in process, microseconds", _COSTS, "cpu_us"),
    ):
        _bars(subjects, bars, what, title, folder / name)
    _growth(subjects, folder / "growth")
    _memory(figures["facts"].get("soak: resident MB"), folder / "memory")


def _bars(
    subjects: Subjects, bars: tuple[tuple[str, str, str], ...], what: str, title: str, file: Path
) -> None:
    shown = [(told, subjects[name][what], colour) for told, name, colour in bars
             if name in subjects and subjects[name][what]]  # fmt: skip
    if not shown:
        return
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.42 * len(shown)), layout="constrained")
    for row, (_, values, colour) in enumerate(reversed(shown)):
        median = statistics.median(values)
        spread = [[median - min(values)], [max(values) - median]]
        axes.barh(row, median, color=colour, xerr=spread, ecolor="#333333", capsize=2)
        axes.annotate(f" {median:,.0f}", (max(values), row), va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [told for told, _, _ in reversed(shown)])
    axes.set_xscale("log")
    axes.set_title(title + " (median, least and most)", fontsize=10)
    axes.margins(x=0.12)
    _save(figure, file)


def _growth(subjects: Subjects, file: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for name, told in _GROWTH:
        found = {
            size: statistics.median(one["rate"])
            for size in (FEW, SOME, MANY)
            if (one := subjects.get(at(name, 8, size=size))) and one["rate"]
        }
        if found:
            axes.plot(list(found), list(found.values()), marker="o", label=told)
    if axes.lines:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("instances stored")
        axes.set_title("Describes a second, 8 connections, by what is stored", fontsize=10)
        axes.legend(fontsize=8)
        _save(figure, file)
    plt.close(figure)


def _memory(resident: list[float] | None, file: Path) -> None:
    if not resident:
        return
    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    axes.plot([100 * at / (len(resident) - 1) for at in range(len(resident))], resident)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of the soak's requests, %")
    axes.set_title("Resident size of the server, MB", fontsize=10)
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file.with_suffix(".png"), dpi=110, metadata={"Software": None})
    figure.savefig(file.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
