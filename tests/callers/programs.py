"""Programs of examples/, run as their users run them: processes that are killed and started again.

Each is forked (`callers/nursery.py`), since to import boto3 takes longer than all else.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from clients.nursery import Forked, Nursery
from clients.process import environment as environment_of

TESTS = Path(__file__).parent.parent
EXAMPLES = TESTS.parent / "examples"
# So long that only a hang reaches it, even on a busy machine.
PATIENCE_SECONDS = 120.0


@cache
def _nursery() -> Nursery:
    variables = environment_of()
    variables["PYTHONPATH"] = os.pathsep.join((str(TESTS), variables["PYTHONPATH"]))
    made = Nursery(variables, str(TESTS / "callers" / "nursery.py"))
    atexit.register(made.close)
    return made


class Program:
    """An example, its words and its environment, and the processes that run it."""

    def __init__(
        self, script: Path, words: Sequence[str], environment: Mapping[str, str], log: int
    ) -> None:
        self._words = [str(script), *words]
        self._environment = dict(environment)
        self._log = log
        self.running: list[Forked] = []

    def start(self) -> Forked:
        process = _nursery().start(self._words, self._environment, self._log)
        self.running.append(process)
        return process

    def kill(self) -> None:
        """Kill every process that runs it (SIGKILL), and return once they are dead."""
        for process in self.running:
            process.kill()
            process.wait(PATIENCE_SECONDS)

    def said(self, process: Forked) -> str:
        """Everything that a process said until it was killed."""
        return self._end(process, -9)

    def run(self) -> str:
        """Run it to its end, and return what it said."""
        return self.ended(self.start())

    def ended(self, process: Forked) -> str:
        """Wait for the end of a process, and return what it said."""
        return self._end(process, 0)

    def _end(self, process: Forked, expected: int) -> str:
        with process.stdout:
            said = process.stdout.read()
        code = process.wait(PATIENCE_SECONDS)
        self.running.remove(process)
        assert code == expected, f"exit status {code}: {said}"
        return said


@contextmanager
def program(
    script: Path, *words: str, environment: Mapping[str, str], log: Path
) -> Iterator[Program]:
    """Give a program to the block, and kill at its end what still runs."""
    with log.open("a") as errors:
        made = Program(script, words, environment, errors.fileno())
        try:
            yield made
        finally:
            made.kill()
            for process in made.running:
                process.stdout.close()
