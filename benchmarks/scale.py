"""Figures of docs/scale.md: the footprint of launches, and cells in simulation.

No measurement of speed: databases count themselves, and cells are seeded draws.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
from pathlib import Path

import cells
import footprint
from databases import postgresql_server

PARTS = ("footprint", "cells")


def main() -> None:
    options = read_options()
    logging.disable(logging.WARNING)
    # Exit on SIGTERM, so that a time limit around this run removes the databases too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if "footprint" in options.only:
        with (
            tempfile.TemporaryDirectory(prefix="sametoken-scale-", dir=options.folder) as name,
            postgresql_server() as server,
        ):
            lived = min(200, options.launches)
            footprint.measure(Path(name), server, launches=options.launches, lived=lived)
    if "cells" in options.only:
        cells.measure(
            accounts=options.accounts,
            cells=options.cells,
            seeds=options.seeds,
            cell_rate=options.cell_rate,
            moves=250,
        )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these alone")
    parser.add_argument("--launches", type=int, default=20_000, help="stored, of the footprint")
    parser.add_argument("--accounts", type=int, default=20_000, help="placed on the cells")
    parser.add_argument("--cells", type=int, default=200, help="that accounts are placed on")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the cells (5)")
    parser.add_argument(
        "--cell-rate", type=float, default=90, help="launches a second that one cell drives (90)"
    )
    parser.add_argument("--folder", type=Path, help="where the temporary databases go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
