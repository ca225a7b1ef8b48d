"""Requests whose repeats are tried at once, unparsed: those answered lately, in few bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from admitting import admit
from sametoken.ec2.protocol.wire import Signature, WireRequest
from sametoken.server import brief
from sametoken.server.brief import Brief
from sametoken.server.credentials import Principal
from sametoken.server.exchange import Exchange, Reply


class Unproven:
    """A proof that nobody asks."""

    def matches(self, secret: str) -> bool:
        return False


SIGNED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SIGNED = Signature("AKIA", "us-east-1", "ec2", SIGNED_AT, 4, Unproven())


FORM = {"Action": "DescribeInstances", "Version": "2016-11-15"}
CALLER = Principal("AKIA", "000000000001", "full", "secret")
OTHERS = (
    replace(CALLER, access_key_id="AKIB"),
    replace(CALLER, account="000000000002"),
    replace(CALLER, access="read-only"),
)


def asked(
    body: bytes, *, caller: Principal = CALLER, region: str = "us-east-1", size: int = 10,
    method: str = "POST", query: bytes = b"", id: str = "r-1",
) -> Exchange:  # fmt: skip
    wire = WireRequest(method, b"/", query, (), body)
    return Exchange(
        id, wire, signature=replace(SIGNED, region=region), principal=caller,
        admitted=admit(FORM, caller, region, id), reply=Reply(200, b"x" * size),
    )  # fmt: skip


def test_only_the_same_request_of_the_same_caller_in_the_same_region_is_expected() -> None:
    known = Brief()
    known.note(asked(b"Action=A"))
    assert known.expects(asked(b"Action=A"))
    for other in (
        asked(b"Action=B"),
        asked(b"Action=A", region="eu-west-1"),
        asked(b"Action=A", method="GET"),
        asked(b"Action=A", query=b"MaxResults=5"),
        *(asked(b"Action=A", caller=one) for one in OTHERS),
    ):
        assert not known.expects(other) and known.find(other) is None
    known.forget(asked(b"Action=A"))
    assert not known.expects(asked(b"Action=A"))


def test_what_is_known_of_a_request_has_the_id_of_its_repeat() -> None:
    known = Brief()
    known.note(asked(b"Action=A", id="r-1"))
    repeat = asked(b"Action=A", id="r-2")
    assert known.find(repeat) == repeat.admitted


def test_long_answers_and_long_requests_are_not_expected() -> None:
    known = Brief()
    for size in (brief.ANSWER_BYTES_MAX, brief.ANSWER_BYTES_MAX + 1):
        known.note(asked(b"size=%d" % size, size=size))
    for size in (brief.REQUEST_BYTES_MAX, brief.REQUEST_BYTES_MAX + 1):
        known.note(asked(b"x" * size))
    assert known.expects(asked(b"size=%d" % brief.ANSWER_BYTES_MAX))
    assert not known.expects(asked(b"size=%d" % (brief.ANSWER_BYTES_MAX + 1)))
    assert known.expects(asked(b"x" * brief.REQUEST_BYTES_MAX))
    assert not known.expects(asked(b"x" * (brief.REQUEST_BYTES_MAX + 1)))


def test_the_oldest_request_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brief, "REQUESTS_MAX", 3)
    known = Brief()
    for number in range(5):
        known.note(asked(b"%d" % number))
    assert [known.expects(asked(b"%d" % number)) for number in range(5)] == [False] * 2 + [True] * 3
