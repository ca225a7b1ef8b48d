"""A moment goes into a document and comes out again, and released documents are read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sametoken.resources.kit.moments import find_moment, get_moment, kept_moment, without_moments

MOMENT = datetime(2026, 11, 27, 23, 59, 59, 123_456, tzinfo=UTC)


def test_a_moment_comes_back_from_json_to_the_microsecond() -> None:
    document = json.loads(json.dumps({"Device": "/dev/sdf", **kept_moment("attached", MOMENT)}))
    assert get_moment(document, "attached") == MOMENT
    assert without_moments(document) == {"Device": "/dev/sdf"}


def test_documents_of_0_1_0_are_read() -> None:
    assert get_moment({"attached_us": 1_000_001}, "attached") == datetime(
        1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC
    )
    assert kept_moment("attached", datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)) == {
        "attached_us": 1_000_001
    }


def test_a_moment_that_is_not_kept_is_none_or_a_bug() -> None:
    assert find_moment({"Status": "attached"}, "attached") is None
    assert find_moment(kept_moment("attached", datetime(1970, 1, 1, tzinfo=UTC)), "attached")
    with pytest.raises(AssertionError, match="attached"):
        get_moment({}, "attached")
    with pytest.raises(AssertionError, match="aware"):
        kept_moment("attached", MOMENT.replace(tzinfo=None))
