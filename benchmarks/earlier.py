"""RunInstances in process, in turns with what it cost at an earlier commit: a promise about cost.

Two processes, each with its own sources, take turns; so whatever else the machine does falls on
both alike. The earlier one is not measured where the history lacks it, or where the peers are not
installed, beside which is what it imports.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import names
from legs import Leg
from measure import Run, Unmeasured
from servers import peer

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
        now = stack.enter_context(_rounds(leg, "now.db", [_HERE]))
        then: Asked
        try:
            first, last = _earlier(leg.folder / "earlier")
        except Unmeasured as reason:
            then = partial(_refuse, str(reason))
        else:
            then = stack.enter_context(_rounds(leg, "then.db", first, last))
        subjects: dict[str, Callable[[], Run]] = {}
        for name, asked in _SUBJECTS.items():
            subjects[name] = partial(now, asked)
            subjects[names.of_earlier(name)] = partial(then, asked)
        leg.interleave(subjects)


def _earlier(folder: Path) -> tuple[list[Path], list[Path]]:
    """Put the earlier commit there; return where to search first, and last, for what it imports."""
    packages = Path(peer("python")).parent.parent.glob("lib/python*/site-packages")
    command = ["git", "archive", "--format=tar", names.EARLIER, "src", "benchmarks"]
    try:
        found = subprocess.run(command, cwd=_HERE.parent, capture_output=True)
    except FileNotFoundError:
        raise Unmeasured("there is no git") from None
    if found.returncode != 0:
        raise Unmeasured(f"commit {names.EARLIER} is not in this copy of the history")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as files:
        files.extractall(folder, filter="data")
    return [folder / "src", folder / "benchmarks"], list(packages)


def _refuse(reason: str, asked: str) -> Run:
    raise Unmeasured(reason)


@contextmanager
def _rounds(
    leg: Leg, database: str, first: Sequence[Path], last: Sequence[Path] = ()
) -> Iterator[Asked]:
    """Yield how to ask for rounds of a process that imports from `first`, and from `last` last."""
    counts = (str(leg.scale.operations), str(leg.scale.driven))
    command = [sys.executable, "-P", str(_HERE / "one_round.py"), str(leg.folder / database)]
    process = subprocess.Popen(
        [*command, *counts, *map(str, last)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, first))},
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
