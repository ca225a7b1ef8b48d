"""`python -m simulation --seeds 1:1000`: run schedules by hand, replay one from its seed."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections import Counter

from sametoken.faults import POINTS, Point
from simulation.simulator import Report, simulate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", default="1:1001", help="one seed, or FIRST:END")
    parser.add_argument("--trace", action="store_true", help="print every event")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    first, _, end = chosen.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    began = time.process_time()
    total = Totals()
    for seed in seeds:
        report = simulate(seed)
        total.add(report)
        if chosen.trace:
            sys.stdout.write(report.last_events(len(report.trace)) + "\n")
        if report.violation is not None:
            sys.stdout.write(failure(report))
            return 1
    sys.stdout.write(total.summary(time.process_time() - began) + "\n")
    return 0


class Totals:
    """What a run of many schedules came to."""

    def __init__(self) -> None:
        self.schedules = 0
        self.transactions = 0
        self.traces: set[int] = set()
        self.hits: Counter[Point] = Counter()
        self.codes: Counter[str] = Counter()

    def add(self, report: Report) -> None:
        self.schedules += 1
        self.transactions += report.transactions
        self.traces.add(report.trace_digest())
        self.hits.update(report.hits)
        self.codes.update(report.codes)

    def summary(self, seconds: float) -> str:
        hit = sum(1 for point in POINTS if self.hits[point])
        answers = ", ".join(f"{code} {count}" for code, count in self.codes.most_common())
        return (
            f"{self.schedules} schedules, {len(self.traces)} distinct traces, "
            f"{self.transactions} transactions, {hit} of {len(POINTS)} fault points hit, "
            f"{seconds:.1f} s CPU ({1000 * seconds / max(1, self.schedules):.1f} ms each)\n"
            f"answers: {answers}"
        )


def failure(report: Report) -> str:
    """Everything one needs to replay a failing schedule and to see what happened."""
    assert report.violation is not None, "nothing failed"
    where = "".join(traceback.format_exception(report.violation))
    return (
        f"seed {report.seed} fails: {report.violation}\n"
        f"replay it with: make simulate SEED={report.seed}\n"
        f"last events:\n{report.last_events()}\n{where}"
    )


if __name__ == "__main__":
    sys.exit(main())
