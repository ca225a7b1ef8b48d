"""The log of requests: a line tells a request, whatever its caller has sent."""

from __future__ import annotations

import re

import pytest

from sametoken.server.exchange import ACTION_CHARACTERS_MAX, Exchange, Reply
from sametoken.server.request_log import write_line


def test_no_line_of_the_log_grows_with_what_a_caller_sends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    form = {"Action": "A" * 1_000_000, "ClientToken": "t" * 1_000_000}
    exchange = Exchange("request", form=form, reply=Reply(400, b"", "InvalidAction"))
    with caplog.at_level("INFO", logger="sametoken.requests"):
        write_line(exchange, 0.0)
    told = dict(re.findall(r"(\w+)=(\S*)", caplog.messages[0]))
    assert told["action"] == "A" * ACTION_CHARACTERS_MAX
    assert told["token"] == "t" * 64
