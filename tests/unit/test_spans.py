"""Ids of traces follow from what they are of, and a caller's header is read as W3C says."""

from __future__ import annotations

import pytest

from sametoken.spans import Context, NotSampled, read_traceparent, span_of, trace_of

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_ids_follow_from_their_parts_alone() -> None:
    assert trace_of("call", "1", "a") == trace_of("call", "1", "a")
    assert trace_of("a", "b") != trace_of("ab")
    assert span_of(1, "a") != span_of(2, "a")
    assert 0 < trace_of("a") < 2**128
    assert 0 < span_of(1, "a") < 2**64


def test_a_place_is_written_as_it_is_read() -> None:
    place = read_traceparent(HEADER)
    assert place == Context(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert str(place) == HEADER


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        HEADER.replace("00-0a", "ff-0a"),
        HEADER.upper(),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        HEADER + "0",
    ],
)
def test_a_header_that_is_none_is_passed_over(header: str) -> None:
    assert read_traceparent(header) is None


def test_a_caller_may_want_no_spans() -> None:
    with pytest.raises(NotSampled):
        read_traceparent(HEADER[:-1] + "0")
