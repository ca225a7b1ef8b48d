"""The log of requests: a line for each, with no more of a caller's text than it needs."""

from __future__ import annotations

import logging

import pytest

from sametoken.server import request_log
from sametoken.server.exchange import ACTION_CHARACTERS_MAX, Exchange


def test_a_log_line_has_little_of_a_callers_text(caplog: pytest.LogCaptureFixture) -> None:
    form = {"Action": "A" * 100_000, "ClientToken": "t" * 100_000}
    with caplog.at_level(logging.INFO, request_log.log.name):
        request_log.write_line(Exchange("id", form=form).answered(b""), 0.0)
    [line] = caplog.messages
    assert f"action={'A' * ACTION_CHARACTERS_MAX} " in line
    assert f"token={'t' * 64} " in line
    assert len(line) < 300
