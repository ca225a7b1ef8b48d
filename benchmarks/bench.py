"""The speed of sametoken beside its floors and its peers, measured in turns and judged.

    make bench                       # under ten minutes, once the fixtures are made
    make bench ARGS=--quick          # under a minute, of few instances
    make bench ARGS=--full           # moto with 20,000 instances, a soak of 1,000,000 requests
    make bench ARGS=--page           # writes the tables and plots of the page too
    make bench ARGS='--from FILE'    # judges a run again, and measures nothing

Ends with 1 when a binding line is missed or a part breaks. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import platform
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import budget
import earlier
import figures as kept
import in_process
import names
import on_postgresql
import over_http
import overload
import page
import soak
import start
from databases import fsync_ms, sqlite_durability
from figures import Figures
from fixtures import Fixtures
from judged import judge, missed, verdicts
from legs import FULL, QUICK, USUAL, Leg, Scale
from measure import Stopwatch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "build/bench/figures.json"
LOCK = ROOT / "requirements/bench.txt"
_PEERS = re.compile(r"^(?:dbos|ministack|moto)==[\w.]+", re.MULTILINE)
LEGS: Mapping[str, Callable[[Leg], None]] = {
    "start": start.measure,
    "in process": in_process.measure,
    "earlier": earlier.measure,
    "HTTP": over_http.measure,
    "overload": overload.measure,
    "PostgreSQL": on_postgresql.measure,
    "budget": budget.measure,
    "soak": soak.measure,
}


def main() -> int:
    options = read_options()
    # Exit on SIGTERM, so that a time limit around this run ends the servers and removes the
    # databases too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = kept.read(options.result) if options.result else _measured(options)
    print(page.report(found))
    judged = judge(found)
    print(f"\n## Verdicts\n\n{verdicts(judged)}")
    for leg, reason in found.broken.items():
        print(f"\n{leg} broke: {reason}")
    if not options.result:
        found.write(RESULT)
        print(f"\nAll of it took {found.about['seconds']:.0f} s; {RESULT.relative_to(ROOT)}.")
    page.draw(found, RESULT.parent)
    if options.page:
        page.publish(found)
    return 1 if missed(judged) or found.broken else 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    scale = parser.add_mutually_exclusive_group()
    for one, told in ((QUICK, "few rounds, few instances"), (FULL, "more rounds, and the soak")):
        scale.add_argument(
            f"--{one.name}", dest="scale", action="store_const", const=one, help=told
        )
    parser.set_defaults(scale=USUAL)
    parser.add_argument("--only", nargs="+", choices=LEGS, default=list(LEGS), help="these parts")
    parser.add_argument("--from", dest="result", type=Path, help="figures of an earlier run")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md too")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build/bench",
        help="where databases lie meanwhile; it decides the disk",
    )  # fmt: skip
    return parser.parse_args()


def _measured(options: argparse.Namespace) -> Figures:
    # Disable the log of the planes in this process: a line a retry would bury the figures.
    logging.disable(logging.WARNING)
    options.folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        tempfile.TemporaryDirectory(prefix="run-", dir=options.folder) as folder,
    ):
        fixtures = Fixtures(ROOT / "build/fixtures", tell=progress.console.print)
        # Make the fixtures before the clock starts: they are kept for the next runs.
        for size in (0, *options.scale.sizes):
            fixtures.get(size, entries=names.TOKENS if size >= names.MANY else 0)
        watch = Stopwatch()
        found = Figures(_about(Path(folder), options.scale))
        for name in options.only:
            task = progress.add_task(name, total=None)
            leg = Leg(
                name, Path(folder) / name.replace(" ", "-"), options.scale, fixtures, found,
                tell=lambda told, task=task: progress.advance(task),
                expect=lambda count, task=task: progress.update(task, total=count),
            )  # fmt: skip
            _run(leg)
        found.about["seconds"] = watch.seconds
    return found


def _run(leg: Leg) -> None:
    gc.collect()
    try:
        LEGS[leg.name](leg)
    except Exception as error:  # noqa: BLE001 – a part that breaks must not take the others along
        traceback.print_exc()
        leg.figures.broken[leg.name] = f"{type(error).__name__}: {error}"
    finally:
        # Databases of one part are no use to the next, and are large.
        shutil.rmtree(leg.folder, ignore_errors=True)


def _about(folder: Path, scale: Scale) -> dict[str, object]:
    return {
        "scale": scale.name,
        "rounds": scale.rounds,
        "machine": (
            f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs, Python "
            f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}, SQLAlchemy "
            f"{version('SQLAlchemy')}"
        ),
        "peers": ", ".join(sorted(_PEERS.findall(LOCK.read_text()))).replace("==", " "),
        "sqlite": sqlite_durability(folder),
        "fsync_ms": round(fsync_ms(folder), 2),
        "load": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
