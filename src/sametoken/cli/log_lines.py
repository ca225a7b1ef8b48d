"""Lines of the log on standard error: moment, level, text."""

from __future__ import annotations

import logging
import sys


class LineFormatter(logging.Formatter):
    """Writes lines as the default one does; the text of a moment's second is made once."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._made = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second, text = self._made
        if int(record.created) != second:
            second, text = int(record.created), super().formatTime(record, "%Y-%m-%d %H:%M:%S")
            self._made = (second, text)
        return f"{text},{int(record.msecs):03}"


def log_to_stderr() -> None:
    """Write the log of the program to standard error, for commands that serve."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    # No line of ours shows a place, a thread or a process, so no record needs to look them up: the
    # documentation of logging, "Optimization".
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Silence a library whose lines repeat, at length, what our own log says.
    logging.getLogger("alembic").setLevel(logging.ERROR)
