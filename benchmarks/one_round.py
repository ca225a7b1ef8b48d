"""Rounds of one version, for `earlier.py`: the name of a subject in, a line with its run out.

Run with a PYTHONPATH that holds that version's own sources and benchmarks, of which it uses no more
than versions have in common. Folders named after the counts are searched last for what that version
imports and this one does not. A run is printed as operations, seconds and seconds of CPU.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path += sys.argv[4:]
from launches import drive, unfinished
from stores import Plane, opened

from sametoken.store.sqlite import connect

# As many launches to a commit as there are threads.
_THREADS = 16
_RUNNERS = 8


def main() -> None:
    database, operations, driven = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.WARNING)
    with opened(Path(database)) as plane:
        subjects = Subjects(plane, operations, driven)
        for name in sys.stdin:
            done, seconds, cpu_seconds = getattr(subjects, name.strip())()
            print(done, seconds, cpu_seconds, flush=True)


Measured = tuple[int, float, float]


class Subjects:
    """Subjects of `earlier.py`, a method each."""

    def __init__(self, plane: Plane, operations: int, driven: int) -> None:
        self._plane, self._operations, self._driven = plane, operations, driven
        self._tokens: list[str] = []

    def new(self) -> Measured:
        """Launch under new tokens, which `replay` repeats."""
        self._tokens = [uuid.uuid4().hex for _ in range(self._operations)]
        return self.replay()

    def replay(self) -> Measured:
        if not self._tokens:
            self.new()
        return self._launch(self._tokens)

    def describe(self) -> Measured:
        """Describe one instance by its id."""
        asked = self._plane.admit("DescribeInstances", InstanceIds=[self._an_instance()])
        action: Any = asked.action
        return _measured(
            self._operations,
            lambda: [
                self._plane.store.read(lambda tx: action.run(tx, asked.request))
                for _ in range(self._operations)
            ],
        )

    def driven(self) -> Measured:
        """Launch, and drive all of that; what others have launched is driven before."""
        if left := unfinished(self._plane):
            drive(self._plane, left, _RUNNERS)
        self._launch([uuid.uuid4().hex for _ in range(self._driven)])
        return _measured(self._driven, lambda: drive(self._plane, self._driven, _RUNNERS))

    def _launch(self, tokens: Sequence[str]) -> Measured:
        works = [self._plane.launch(token) for token in tokens]
        return _measured(len(works), lambda: self._run(works))

    def _run(self, works: Sequence[Callable[..., Any]]) -> None:
        """Run the works by threads that each wait for their answer."""
        # `next` of a list's iterator is atomic: the threads share it.
        remaining = iter(works)
        refused: list[object] = []

        def submit() -> None:
            for work in remaining:
                if (error := self._plane.store.run(work).error) is not None:
                    refused.append(error)

        workers = [threading.Thread(target=submit) for _ in range(_THREADS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not refused, refused[0]

    def _an_instance(self) -> str:
        if not self._tokens:
            self.new()
        with closing(connect(Path(self._plane.database))) as connection:
            query = "SELECT id FROM resource WHERE kind = 'instance' LIMIT 1"
            [id] = connection.execute(query).fetchone()
        return str(id)


def _measured(done: int, run: Callable[[], object]) -> Measured:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return done, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
