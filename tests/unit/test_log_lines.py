"""Lines of the log are written more cheaply than by logging's own formatter, and are the same."""

from __future__ import annotations

import logging

import pytest

from sametoken.cli.log_lines import LineFormatter


@pytest.mark.parametrize("seconds", [0.0, 1.0005, 1.9999, 1_800_000_000.25, 1_800_000_059.999])
def test_a_line_is_written_as_logging_writes_it(seconds: float) -> None:
    usual = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    cheap = LineFormatter()
    for created in (seconds, seconds + 0.0001, seconds + 1, seconds + 3600, seconds):
        record = logging.LogRecord("name", logging.INFO, "path", 1, "told %s", ("this",), None)
        record.created = created
        record.msecs = (created - int(created)) * 1000
        assert cheap.format(record) == usual.format(record)
