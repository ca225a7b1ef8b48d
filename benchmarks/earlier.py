"""RunInstances in process, in turns with what it cost at an earlier commit: a promise about cost.

Two processes, each with its own sources, take turns; so whatever else the machine does falls on
both alike. Where the history lacks that commit nothing is measured.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import names
from legs import Leg
from measure import Run, Unmeasured

_HERE = Path(__file__).resolve().parent
# The methods of `one_round.py` that are asked for, by the names of their figures.
_SUBJECTS = {
    names.EARLIER_NEW: "new",
    names.EARLIER_REPLAY: "replay",
    names.EARLIER_BY_ID: "describe",
    names.EARLIER_DRIVEN: "driven",
}

Asked = Callable[[str], Run]


def measure(leg: Leg) -> None:
    leg.folder.mkdir()
    with ExitStack() as stack:
        now = stack.enter_context(_rounds(leg, "now.db", _HERE))
        then: Asked = _missing
        if archive := _archived():
            earlier = leg.folder / "earlier"
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(earlier, filter="data")
            places = (earlier / "src", earlier / "benchmarks")
            then = stack.enter_context(_rounds(leg, "then.db", *places))
        subjects: dict[str, Callable[[], Run]] = {}
        for name, asked in _SUBJECTS.items():
            subjects[name] = partial(now, asked)
            subjects[names.of_earlier(name)] = partial(then, asked)
        leg.interleave(subjects)


def _archived() -> bytes | None:
    """The sources and benchmarks of the earlier commit; None where the history lacks it."""
    command = ["git", "archive", "--format=tar", names.EARLIER, "src", "benchmarks"]
    try:
        found = subprocess.run(command, cwd=_HERE.parent, capture_output=True)
    except FileNotFoundError:
        return None
    return found.stdout if found.returncode == 0 else None


def _missing(asked: str) -> Run:
    raise Unmeasured(f"commit {names.EARLIER} is not in this copy of the history")


@contextmanager
def _rounds(leg: Leg, database: str, *places: Path) -> Iterator[Asked]:
    """Yield how to ask for rounds of a process that imports from `places` first."""
    counts = (str(leg.scale.operations), str(leg.scale.driven))
    command = [sys.executable, "-P", str(_HERE / "one_round.py"), str(leg.folder / database)]
    process = subprocess.Popen(
        [*command, *counts],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        yield partial(_ask, process)


def _ask(process: subprocess.Popen[str], asked: str) -> Run:
    assert process.stdin is not None and process.stdout is not None, "both are pipes"
    process.stdin.write(f"{asked}\n")
    process.stdin.flush()
    told = process.stdout.readline().split()
    assert told, "the process that measures has ended"
    done, seconds, cpu_seconds = told
    return Run(int(done), float(seconds), float(cpu_seconds))
