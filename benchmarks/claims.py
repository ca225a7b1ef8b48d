"""The cost of a claim: each figure beside its floor, taken in turns in one run. See README.md.

Exits with 1 when a RunInstances is dearer than promised: in a crowded store, or beside what it was.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import against
import cells
import crowded
import footprint
import in_process
import launches
import nodes
import over_http
import peer_moto
import start
from measure import Stopwatch

USUAL = ("start", "in-process", "against", "launches", "http", "nodes", "crowded")
# SCALE are the benchmarks behind docs/scale.md; they do not measure the program's speed.
SCALE = ("footprint", "cells")


def main() -> int:
    options = read_options()
    # Disable the server's log: its line a request or a retry would bury the figures.
    logging.disable(logging.WARNING)
    # Exit on SIGTERM, so that a time limit around this run ends the servers and removes the
    # databases too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="sametoken-bench-", dir=options.folder) as name:
        folder = Path(name)
        print(f"# sametoken benchmarks\n\n{_machine()}\n{in_process.durability(folder / 'p.db')}")
        print(f"An fsync of 4 KiB takes {in_process.fsync_ms(folder):.2f} ms (median).")
        kept = _measure(folder, options)
    print(f"\nAll of it took {watch.seconds:.0f} s.")
    return 0 if kept else 1


def _measure(folder: Path, options: argparse.Namespace) -> bool:
    rounds = options.rounds
    kept = True
    if "start" in options.only:
        start.measure(folder, rounds=2 * rounds + 1)
    if "in-process" in options.only:
        in_process.measure(folder, rounds=rounds, threads=options.threads, operations=480)
    if "against" in options.only:
        kept = against.measure(folder / "against", rounds=2 * rounds + 1)
    if "launches" in options.only:
        launches.measure(folder, rounds=rounds, launches=100, runners=(1, 4, 8))
    if "http" in options.only:
        over_http.measure(
            folder, rounds=max(3, rounds - 2), seconds=0.8, stored=(200, options.stored)
        )
    if "nodes" in options.only:
        nodes.measure(folder, rounds=rounds, seconds=2.0)
    if options.peer == "moto":
        peer_moto.measure(rounds=rounds, seconds=0.8, stored=200)
    if "crowded" in options.only:
        fits = crowded.measure(
            folder, rounds=2 * rounds + 1, operations=160, threads=options.threads,
            entries=options.entries, instances=options.instances,
        )  # fmt: skip
        kept = kept and fits
    if "footprint" in options.only:
        with nodes.postgresql_server() as server:
            footprint.measure(
                folder, server, launches=options.launches, lived=min(200, options.launches)
            )
    if "cells" in options.only:
        cells.measure(
            accounts=options.accounts,
            cells=options.cells,
            seeds=rounds,
            cell_rate=options.cell_rate,
            moves=250,
        )
    return kept


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=(*USUAL, *SCALE), default=USUAL, help="measure these alone"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each subject (5)")
    parser.add_argument("--threads", type=int, default=16, help="submitting threads (16)")
    parser.add_argument(
        "--stored", type=int, default=5000, help="instances of an account in the fuller server"
    )
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the crowded store")
    parser.add_argument("--instances", type=int, default=100_000, help="of the crowded store")
    parser.add_argument("--launches", type=int, default=20_000, help="stored, of the footprint")
    parser.add_argument("--accounts", type=int, default=20_000, help="placed on the cells")
    parser.add_argument("--cells", type=int, default=200, help="that accounts are placed on")
    parser.add_argument(
        "--cell-rate", type=float, default=90, help="launches a second that one cell drives (90)"
    )
    parser.add_argument("--peer", choices=("moto",), help="measure a peer too, where installed")
    parser.add_argument(
        "--folder", type=Path, help="where the temporary databases go; it decides the disk"
    )
    return parser.parse_args()


def _machine() -> str:
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()}, SQLAlchemy {version('SQLAlchemy')}."
    )


if __name__ == "__main__":
    sys.exit(main())
