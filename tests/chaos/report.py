"""The report: the numbers of a run and the checker's findings, as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from chaos.checker import MISMATCH, Violation
from chaos.history import History

# Faults by their name in the history, and in the report.
FAULTS: Mapping[str, str] = {
    "kill": "kills",
    "stop": "stops",
    "cut": "cuts",
    "restart": "restarts",
    "failover": "failovers",
    "cancelled commit": "cancelled commits",
}
KINDS = ("lost", "doubled", "changed", "orphaned", "unfinished", "refused")
# Violations of each kind that are shown in full.
_SHOWN_MAX = 10


def counts(history: History) -> Counter[str]:
    """The numbers of a run, by what they count."""
    found: Counter[str] = Counter()
    made = set()
    for call in history.calls.values():
        found["calls"] += 1
        found["tries"] += call.sent
        found["given up"] += call.gave_up
        for answer in call.answers:
            found["lost replies"] += answer.outcome == "lost"
            found["mismatches"] += answer.code == MISMATCH
            if answer.outcome == "made" and call.token is not None:
                found["replies"] += 1
                made.add(call.named)
    for token in made:
        found["creates"] += 1
        found[token.action] += 1
    found["repeated"] = found["replies"] - found["creates"]
    for name, many in FAULTS.items():
        found[many] = history.faults[name]
    return found


def lines(history: History, violations: list[Violation]) -> Iterator[str]:
    """The report."""
    found = counts(history)
    actions = sorted({call.action for call in history.creates()})
    by_action = ", ".join(f"{action} {found[action]:,}" for action in actions)
    yield f"creates acknowledged: {found['creates']:,} ({by_action})"
    yield (
        f"replies: {found['replies']:,}, of which to repeats {found['repeated']:,}; "
        f"mismatches {found['mismatches']:,}; tries {found['tries']:,}, "
        f"without a reply {found['lost replies']:,}; given up {found['given up']:,}"
    )
    yield ", ".join(f"{many} {found[many]}" for many in FAULTS.values())
    kinds = Counter(violation.kind for violation in violations)
    yield ", ".join(f"{kind} {kinds[kind]}" for kind in KINDS)
    if history.end is not None:
        spent = ", ".join(f"{part} {many:.0f}" for part, many in history.end["seconds"].items())
        yield f"seconds {spent}; seed {history.start['seed']}"
    for kind in KINDS:
        shown = [one for one in violations if one.kind == kind][:_SHOWN_MAX]
        yield from (f"  {violation}" for violation in shown)


def shortfalls(history: History) -> list[str]:
    """The parts of the run's least that it did not reach."""
    found, asked = counts(history), history.start.get("asked", {})
    return [
        f"{what}: {found[what]:,} of {least:,} asked"
        for what, least in asked.items()
        if found[what] < least
    ]
