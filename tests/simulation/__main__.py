"""`python -m simulation --seeds 1:1000`: run schedules by hand, replay one from its seed."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping

from sametoken.faults import POINTS, Point
from sametoken.faults.reading import told
from sametoken.operate.faults import rules_named
from simulation.shrinking import Pool, shrink, without
from simulation.simulator import Report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", default="1:1001", help="one seed, or FIRST:END")
    parser.add_argument("--trace", action="store_true", help="print every event")
    parser.add_argument("--digests", action="store_true", help="print what names each trace")
    parser.add_argument("--without", default="", metavar="FAULTS", help="as shrinking prints them")
    parser.add_argument("--faults", metavar="FILE", help="rules, of which each schedule has some")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    first, _, end = chosen.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    left_out = [one for one in chosen.without.split(",") if one]
    pool = None if chosen.faults is None else rules_named([chosen.faults])
    began = time.process_time()
    total = Totals()
    for seed in seeds:
        report = without(seed, left_out, pool)
        total.add(report)
        if chosen.digests:
            sys.stdout.write(f"{seed} {report.trace_digest()}\n")
        if chosen.trace:
            sys.stdout.write(report.last_events(len(report.trace)) + "\n")
        if report.violation is not None:
            sys.stdout.write(failure(report))
            if not left_out:
                sys.stdout.write(smaller(seed, pool))
            return 1
    sys.stdout.write(total.summary(time.process_time() - began) + "\n")
    return 0


class Totals:
    """Totals over the schedules of one run."""

    def __init__(self) -> None:
        self.schedules = 0
        self.transactions = 0
        self.traces: set[str] = set()
        self.hits: Counter[Point] = Counter()
        self.codes: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.did: Counter[tuple[str, str]] = Counter()
        self.fired: Counter[str] = Counter()

    def add(self, report: Report) -> None:
        self.schedules += 1
        self.transactions += report.transactions
        self.traces.add(report.trace_digest())
        self.hits.update(report.hits)
        self.codes.update(report.codes)
        self.made.update(report.made)
        self.did.update(report.did)
        self.fired.update(report.fired)

    def summary(self, seconds: float) -> str:
        hit = sum(1 for point in POINTS if self.hits[point])
        actions = dict.fromkeys(action for action, _ in sorted(self.did))
        tokens = [f"  {action}: {_counted(self._did(action))}" for action in actions]
        return (
            f"{self.schedules} schedules, {len(self.traces)} distinct traces, "
            f"{self.transactions} transactions, {hit} of {len(POINTS)} fault points hit, "
            f"{seconds:.1f} s CPU ({1000 * seconds / max(1, self.schedules):.1f} ms each)\n"
            f"answers: {_counted(self.codes)}\n"
            f"made: {_counted(self.made)}\n"
            f"struck by rules: {_counted(self.fired)}\n"
            "what tokens did:\n" + "\n".join(tokens)
        )

    def _did(self, action: str) -> dict[str, int]:
        return {did: count for (one, did), count in self.did.items() if one == action}


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in Counter(counts).most_common())


def failure(report: Report) -> str:
    """Describe a failing schedule: the violation, the last events, and how to replay it."""
    assert report.violation is not None, "nothing failed"
    where = "".join(traceback.format_exception(report.violation))
    return (
        f"seed {report.seed} fails: {report.violation}\n"
        f"replay it with: make simulate SEED={report.seed}\n"
        f"last events:\n{report.last_events()}\n{where}"
    )


def smaller(seed: int, pool: Pool = None) -> str:
    """Describe a schedule of the same seed that still fails with fewer kinds of faults."""
    left_out, report = shrink(seed, pool)
    return (
        f"it fails, too, with no other faults than {report.faults}: {report.violation}\n"
        f"its rules: {[told(rule) for rule in report.rules]}\n"
        f"replay that with: make simulate SEED={seed} ARGS='--without {','.join(left_out)}'\n"
    )


if __name__ == "__main__":
    sys.exit(main())
