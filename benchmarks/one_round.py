"""Rounds of one version of sametoken, for `against.py`: a line in asks for one, a line out tells.

Run with a PYTHONPATH that holds that version's own sources and benchmarks, of which it uses no more
than versions have in common. Each figure is microseconds of this process's CPU.
"""

from __future__ import annotations

import json
import logging
import sys
import uuid
from contextlib import closing
from pathlib import Path

from launches import drive
from measure import Stopwatch
from stores import Plane, opened, submit_all

from sametoken.store.sqlite import connect

# As many launches to a commit as there are threads.
THREADS = 16
OPERATIONS = 320
DRIVEN = 60


def main() -> None:
    logging.disable(logging.WARNING)
    with opened(Path(sys.argv[1])) as plane:
        for _ in sys.stdin:
            sys.stdout.write(json.dumps(measured(plane)) + "\n")
            sys.stdout.flush()


def measured(plane: Plane) -> dict[str, float]:
    """Run one round; return the CPU of each subject."""
    tokens = [uuid.uuid4().hex for _ in range(OPERATIONS)]
    launched = [plane.launch(token) for token in tokens]
    new = submit_all(plane.store, launched, threads=THREADS)
    drive(plane, OPERATIONS, 8)
    replayed = [plane.launch(token) for token in tokens]
    replay = submit_all(plane.store, replayed, threads=THREADS)
    driven = [plane.launch(uuid.uuid4().hex) for _ in range(DRIVEN)]
    submit_all(plane.store, driven, threads=THREADS)
    drove = drive(plane, DRIVEN, 8)
    return {
        "RunInstances": 1000 * new.cpu_ms_each,
        "the same again": 1000 * replay.cpu_ms_each,
        "DescribeInstances of one": _describe(plane),
        "one launch driven": 1000 * drove.cpu_ms_each,
    }


def _describe(plane: Plane) -> float:
    asked = plane.admit("DescribeInstances", InstanceIds=[_an_instance(plane)])
    watch = Stopwatch()
    for _ in range(OPERATIONS):
        plane.store.read(lambda tx: asked.action.run(tx, asked.request))
    return 1000 * watch.stop(OPERATIONS).cpu_ms_each


def _an_instance(plane: Plane) -> str:
    with closing(connect(Path(plane.database))) as connection:
        query = "SELECT id FROM resource WHERE kind = 'instance' LIMIT 1"
        [id] = connection.execute(query).fetchone()
    return str(id)


if __name__ == "__main__":
    main()
