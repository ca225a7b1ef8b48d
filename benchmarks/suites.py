"""Costs of test suites of others: a stranger's suite of 40 tests, and the pieces that tests are of.

    .venv/bin/python benchmarks/suites.py [--rounds 5] [--against COMMIT]

Suites run as a stranger runs them, alone and in two processes at once (`-n 2`), in turns; with a
commit also those of its sources. Pieces are medians of one process. Judged are the suite's seconds,
a server's start, an account, and a reset after a launch: the program ends with 1 where one is
missed. All of them but CPU are figures of the machine's other load too, which is printed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from measure import Stopwatch, spread, table

ROOT = Path(__file__).resolve().parent.parent
SUITE = "tests/callers/stranger/suite.py"
# The bounds that are judged.
SUITE_SECONDS_MAX, START_MS_MAX, ACCOUNT_MS_MAX, RESET_MS_MAX = 8.0, 400.0, 5.0, 20.0
# As a stranger's, but without a plugin that is installed here for the repository's own tests.
_PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
_ROUNDS, _REPEATS = 5, 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--against", metavar="COMMIT")
    parser.add_argument("--pieces", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.pieces:
        sys.stdout.write(json.dumps(pieces()))
        return 0
    with tempfile.TemporaryDirectory() as name:
        found = suites(Path(name), asked.rounds, asked.against)
    rows = [
        (name, f"{spread(wall):.2f}", f"{spread(cpu):.2f}") for name, (wall, cpu) in found.items()
    ]
    sys.stdout.write(table(("suite of 40 tests", "seconds", "CPU seconds"), rows) + "\n\n")
    measured = _measured()
    sys.stdout.write(table(("piece", "ms", "CPU ms"), _rows(measured)) + "\n\n")
    load = os.getloadavg()[0]
    sys.stdout.write(f"load of the machine: {load:.1f} on {os.cpu_count()} cores\n")
    missed = [
        f"{name}: {value:.1f}, at most {most:g}\n"
        for name, value, most in _judged(found, measured)
        if value > most
    ]
    sys.stdout.write("".join(missed))
    return 1 if missed else 0


Found = dict[str, tuple[list[float], list[float]]]
Pieces = Mapping[str, tuple[float, float]]


def _judged(found: Found, measured: Pieces) -> list[tuple[str, float, float]]:
    return [
        *(
            (name, statistics.median(found[name][0]), SUITE_SECONDS_MAX)
            for name in ("alone", "-n 2")
        ),
        ("server, ms", measured["server in this process"][0], START_MS_MAX),
        ("account, ms", measured["account"][0], ACCOUNT_MS_MAX),
        ("reset, ms", measured["reset after a launch"][0], RESET_MS_MAX),
    ]


def _rows(measured: Pieces) -> list[tuple[str, str, str]]:
    return [(name, f"{wall:.1f}", f"{cpu:.1f}") for name, (wall, cpu) in measured.items()]


def suites(folder: Path, rounds: int, against: str | None) -> Found:
    """Run the suites in turns, after a round that does not count; returns seconds and CPU."""
    subjects: dict[str, Callable[[], tuple[float, float]]] = {}
    versions = {"": None} if against is None else {"": None, f" of {against[:8]}": against}
    for of, commit in versions.items():
        place = folder / f"suite{of.replace(' ', '-')}"
        sources = _laid_out(place, commit)
        subjects[f"alone{of}"] = partial(_run, place, sources)
        subjects[f"-n 2{of}"] = partial(_run, place, sources, "-n", "2")
    found: Found = {name: ([], []) for name in subjects}
    for number in range(rounds + 1):
        for name in sorted(subjects, reverse=number % 2 == 1):
            wall, cpu = subjects[name]()
            if number:
                found[name][0].append(wall)
                found[name][1].append(cpu)
    return found


def _laid_out(place: Path, commit: str | None) -> Path | None:
    """Write the suite to a folder; returns where the commit's package is, if it is of one."""
    place.mkdir()
    if commit is None:
        (place / "test_stranger.py").write_text((ROOT / SUITE).read_text())
        return None
    words = ["git", "archive", "--format=tar", commit, "src", SUITE]
    archive = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(place, filter="data")
    (place / SUITE).rename(place / "test_stranger.py")
    return place / "src"


def _run(place: Path, sources: Path | None, *words: str) -> tuple[float, float]:
    """Run a suite to a good end; returns its seconds, and the CPU of all its processes."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SAMETOKEN_", "PYTHON"))
    }
    variables = {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
    if sources is not None:
        variables["PYTHONPATH"] = str(sources)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *_PYTEST, *words, "test_stranger.py"],
        cwd=place, env=variables, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"the suite in {place} fails"
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def _measured() -> Pieces:
    words = [sys.executable, __file__, "--pieces"]
    told = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: (wall, cpu) for name, (wall, cpu) in json.loads(told).items()}


def pieces() -> Pieces:
    """Medians of wall and CPU, in milliseconds, of the pieces that tests are made of."""
    from sametoken.testing import Account, running

    found: dict[str, tuple[float, float]] = {}

    def take(name: str, act: Callable[[], object], before: Callable[[], object] = int) -> None:
        walls, cpus = [], []
        for _ in range(_REPEATS):
            before()
            watch = Stopwatch()
            act()
            walls.append(1e3 * watch.seconds)
            cpus.append(1e3 * watch.cpu_seconds)
        found[name] = statistics.median(walls), statistics.median(cpus)

    def start() -> None:
        with running():
            pass

    with running() as server:
        accounts: list[Account] = [server.account()]

        def launch() -> None:
            accounts.append(server.account())
            accounts[-1].client().run_instances(
                ImageId="resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default"
                "-x86_64", InstanceType="t3.micro", MinCount=1, MaxCount=1,
            )  # fmt: skip
            accounts[-1].assert_one_set()

        def reset() -> None:
            accounts[-1].reset()

        take("account", server.account)
        take("client for EC2", accounts[0].client)
        take("launch, driven and looked at", launch)
        take("reset after a launch", reset, before=launch)
    take("server in this process", start)
    return found


if __name__ == "__main__":
    sys.exit(main())
