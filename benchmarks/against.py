"""RunInstances in process, in turns with what it cost at an earlier commit: a promise about cost.

Two processes, each with its own sources, take turns: a round of one, then a round of the other, in
an order that changes each time. So whatever else the machine does falls on both. The promise is
judged by the least that each needed, which other work on the machine can only raise.

    python benchmarks/against.py            # this comparison alone; ends with 1 when it is broken
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import spread, table

# The last commit at which every statement went through SQLAlchemy at each execution.
COMMIT = "154d068"
SHARE_MAX = 0.65
JUDGED = "RunInstances"

_HERE = Path(__file__).resolve().parent
Costs = dict[str, list[float]]


def measure(folder: Path, *, rounds: int) -> bool:
    """Print the table. False when RunInstances costs more than its share of what it did."""
    print(f"\n## In process, against commit {COMMIT}: {rounds} rounds each, in turns\n")
    folder.mkdir(exist_ok=True)
    archive = _archived()
    if archive is None:
        print(f"Skipped: commit {COMMIT} is not in this copy of the history.")
        return True
    earlier = folder / "earlier"
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(earlier, filter="data")
    with (
        _process(folder / "now.db", _HERE) as now,
        _process(folder / "then.db", earlier / "src", earlier / "benchmarks") as then,
    ):
        costs_now, costs_then = _in_turns(now, then, rounds)
    print(_table(costs_now, costs_then))
    share = min(costs_now[JUDGED]) / min(costs_then[JUDGED])
    kept = share <= SHARE_MAX
    print(
        f"\n{JUDGED} takes {share:.2f} times the CPU it took; at most {SHARE_MAX} is promised"
        f"{'' if kept else ': BROKEN'}."
    )
    return kept


def _archived() -> bytes | None:
    """The sources and benchmarks of the earlier commit; None where the history lacks it."""
    command = ["git", "archive", "--format=tar", COMMIT, "src", "benchmarks"]
    try:
        found = subprocess.run(command, cwd=_HERE.parent, capture_output=True)
    except FileNotFoundError:
        return None
    return found.stdout if found.returncode == 0 else None


@contextmanager
def _process(database: Path, *places: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs rounds with what is found in `places` first."""
    command = [sys.executable, "-P", str(_HERE / "one_round.py"), str(database)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    process = subprocess.Popen(
        command, env=found, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        yield process


def _in_turns(
    now: subprocess.Popen[str], then: subprocess.Popen[str], rounds: int
) -> tuple[Costs, Costs]:
    """The cost of each round, by subject; the first of each, which warms up, is left out."""
    told: dict[int, list[dict[str, float]]] = {now.pid: [], then.pid: []}
    for number in range(rounds + 1):
        for process in (now, then) if number % 2 else (then, now):
            told[process.pid].append(_round(process))
    now_costs, then_costs = (
        {name: [one[name] for one in told[process.pid][1:]] for name in told[process.pid][0]}
        for process in (now, then)
    )
    return now_costs, then_costs


def _round(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdin is not None and process.stdout is not None, "both are pipes"
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    assert line, "the process that measures has ended"
    costs: dict[str, float] = json.loads(line)
    return costs


def _table(now: Costs, then: Costs) -> str:
    head = ("CPU us each: least (median)", "now", "then", "share: of the least (of the medians)")
    body = []
    for name, costs in now.items():
        one, other = spread(costs), spread(then[name])
        shares = f"{one.low / other.low:.2f} ({one.median / other.median:.2f})"
        body.append((name, *(f"{it.low:,.0f} ({it.median:,.0f})" for it in (one, other)), shares))
    return table(head, body)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9, help="rounds of each (9)")
    options.add_argument("--folder", type=Path, help="where the temporary databases go")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="sametoken-bench-", dir=asked.folder) as name:
        return 0 if measure(Path(name), rounds=asked.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
