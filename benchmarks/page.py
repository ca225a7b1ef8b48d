"""A run in words: tables for the terminal, and those of docs/performance.md, with its plots.

The page has its prose, and between marks the tables that are written here from the figures of a
run, which lie beside it. Plots are drawn by a program of the peers' environment.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import TextWrapper

import budget
from figures import Figures, Subject
from judged import judge, verdicts
from measure import Unmeasured, spread, table
from servers import peer

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
PUBLISHED = ROOT / "docs/performance/figures.json"
_PLOTS = Path(__file__).resolve().parent / "plots.py"
_MARKED = re.compile(r"(<!-- figures: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("subject", "per second: median (low–high)", "CPU µs each", "client's", "p50 ms", "p99 ms",
         "beside")  # fmt: skip


def report(figures: Figures) -> str:
    """All tables of a run but the verdicts."""
    parts = [about(figures)]
    parts += [f"## {leg}\n\n{leg_table(figures, leg)}" for leg in _legs(figures)]
    if any(name.startswith("budget") for name in figures.facts):
        parts.append(f"## Budget\n\n{budget_table(figures)}")
    if figures.facts:
        parts.append(f"## Facts\n\n{facts_table(figures)}")
    return "\n\n".join(parts)


def about(figures: Figures) -> str:
    told = figures.about
    lines = [
        f"{told['machine']}.",
        f"{told['rounds']} rounds ({told['scale']}); the machine's load before: {told['load']}.",
        f"Peers: {told['peers']}.",
        f"{told['sqlite']}; an fsync of 4 KiB takes {told['fsync_ms']} ms.",
        str(told.get("postgresql", "")),
    ]
    wrap = TextWrapper(width=100, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(wrap.fill(line) for line in lines if line)


def _legs(figures: Figures) -> list[str]:
    return list(dict.fromkeys(one.leg for one in figures.subjects.values()))


def leg_table(figures: Figures, leg: str) -> str:
    body = [
        _row(name.partition(": ")[2] or name, one)
        for name, one in figures.subjects.items()
        if one.leg == leg
    ]
    return table(_HEAD, body)


def _row(name: str, subject: Subject) -> Sequence[str]:
    if subject.unmeasured:
        reason = " ".join(subject.unmeasured.split())
        return (name, f"not measured: {reason[:80]}", *[""] * 5)
    beside = ", ".join(
        f"{told} {spread(values).median:,.0f}" for told, values in subject.beside.items()
    )
    return (
        name,
        f"{spread(subject.rate):,.0f}",
        f"{spread(subject.cpu_us).median:,.0f}" if any(subject.cpu_us) else "",
        f"{spread(subject.client_cpu_us).median:,.0f}" if any(subject.client_cpu_us) else "",
        f"{spread(subject.p50_ms).median:,.1f}" if subject.p50_ms else "",
        f"{spread(subject.p99_ms).median:,.1f}" if subject.p99_ms else "",
        beside,
    )


def facts_table(figures: Figures) -> str:
    body = [
        (name, f"{spread(found):,.2f}")
        for name, found in figures.facts.items()
        if not name.startswith("budget")
    ]
    return table(("fact", "median (low–high)"), body)


def budget_table(figures: Figures) -> str:
    """Shares of the writer's time, a line a part."""

    def shown(subject: str, part: str) -> str:
        found = figures.facts.get(budget.fact(subject, part))
        return "" if found is None else f"{found[0]:,.1f}"

    body = [
        (part, *(shown(subject, part) for subject in budget.SUBJECTS))
        for part in (*budget.PARTS, budget.STATEMENTS)
    ]
    return table(("% of the writer's time", *budget.SUBJECTS), body)


def draw(figures: Figures, folder: Path) -> None:
    """Draw the plots of the figures into `folder`, where the peers are installed."""
    try:
        python = peer("python")
    except Unmeasured as reason:
        print(f"No plots: {reason}.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "figures.json"
    figures.write(told)
    subprocess.run([python, str(_PLOTS), str(told), str(folder)], check=True)


def publish(figures: Figures) -> None:
    """Write the figures, the plots and the tables of the page."""
    draw(figures, PUBLISHED.parent)
    figures.write(PUBLISHED)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


def filled(text: str, figures: Figures) -> str:
    """Put the tables of the figures between the marks of a page."""
    tables = dict(_tables(figures))

    def put(found: re.Match[str]) -> str:
        return f"{found[1]}\n{tables[found['name']]}\n\n{found[3]}"

    return _MARKED.sub(put, text)


def _tables(figures: Figures) -> Iterator[tuple[str, str]]:
    yield "about", about(figures)
    yield "verdicts", verdicts(judge(figures))
    yield "facts", facts_table(figures) if figures.facts else "Nothing was measured."
    yield "budget", budget_table(figures)
    for leg in ("in process", "HTTP", "PostgreSQL"):
        yield leg, leg_table(figures, leg)
