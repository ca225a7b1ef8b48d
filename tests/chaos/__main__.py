"""Real failures, on loopback: `run` makes a history and judges it, `check` judges one again.

python -m chaos run --seconds 300 --creates 20000
python -m chaos check FILE
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from chaos import history, report
from chaos.checker import Checker
from chaos.faults import Pace
from chaos.run import Asked, run

# FAULTS are those of a run of five minutes: one each five seconds.
FAULTS = {"kill": 24, "stop": 10, "cut": 14, "restart": 4, "failover": 3}
SECONDS, CREATES = 300.0, 20_000
_SEEDS = 1_000_000


def main() -> int:
    """Return 0 when every promise was kept, and the run did all that was asked of it."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="break things for a while, then judge")
    running.add_argument("--seed", type=int, default=secrets.randbelow(_SEEDS))
    running.add_argument("--seconds", type=float, default=SECONDS, help="how long at least")
    running.add_argument("--creates", type=int, default=CREATES, help="how many at least")
    for name, count in FAULTS.items():
        running.add_argument(f"--{name}s", type=int, default=count, help="how many")
    running.add_argument("--history", type=Path, default=Path("chaos.jsonl"), help="the file")
    checking = commands.add_parser("check", help="judge a history again")
    checking.add_argument("history", type=Path)
    words = parser.parse_args()
    # End as Ctrl-C does: every process that was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if words.command == "run":
        say(f"seed {words.seed}; the history goes to {words.history}")
        faults = {name: getattr(words, f"{name}s") for name in FAULTS}
        asked = Asked(words.seed, Pace(words.creates, words.seconds), faults)
        with tempfile.TemporaryDirectory(prefix="sametoken-chaos-") as folder:
            run(asked, Path(folder), words.history)
    return check(words.history)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def check(file: Path) -> int:
    """Judge the history in `file` and print the report."""
    found = history.read(file)
    violations, missed = Checker(found).violations(), report.shortfalls(found)
    for line in [*report.lines(found, violations), *missed]:
        say(line)
    say("FAILED" if violations or missed else "every promise was kept")
    return 1 if violations or missed else 0


if __name__ == "__main__":
    sys.exit(main())
