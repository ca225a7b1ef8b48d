"""Lines of the log on standard error: moment, level, text; or an object of JSON each."""

from __future__ import annotations

import logging
import sys

import click

from sametoken.events import Events

CONSOLE, JSON = "console", "json"

log_format_option = click.option(
    "--log-format",
    type=click.Choice([CONSOLE, JSON]),
    default=CONSOLE,
    show_default=True,
    help="Lines of the log: for people, or objects of JSON.",
)


class LineFormatter(logging.Formatter):
    """Writes lines as the default one does; the text of a moment's second is made once."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._made = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, Events):
            head = f"{self.formatTime(record)} {record.levelname}"
            return "\n".join(f"{head} {event}" for event in record.msg)
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second, text = self._made
        if int(record.created) != second:
            second, text = int(record.created), super().formatTime(record, "%Y-%m-%d %H:%M:%S")
            self._made = (second, text)
        return f"{text},{int(record.msecs):03}"


def log_to_stderr(form: str = CONSOLE) -> None:
    """Write the log of the program to standard error, for commands that serve."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    # No line of ours shows a place, a thread or a process, so no record needs to look them up: the
    # documentation of logging, "Optimization".
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Silence a library whose lines repeat, at length, what our own log says.
    logging.getLogger("alembic").setLevel(logging.ERROR)


def _formatter(form: str) -> logging.Formatter:
    if form == CONSOLE:
        return LineFormatter()
    # Imported here: lines for people have no use for it.
    from sametoken.cli.log_json import JsonFormatter

    return JsonFormatter()
