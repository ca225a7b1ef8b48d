"""The pytest plugin's marker: a wish that would come to nothing is refused with what to write."""

from __future__ import annotations

from typing import Any

import pytest

from sametoken.errors import Misconfigured
from sametoken.testing.marker import Wishes, wishes

RULE = {"kind": "lose-reply"}


@pytest.mark.parametrize(
    ("args", "kwargs", "told"),
    [
        (("flaky-network",), {}, "write faults='flaky-network'"),
        ((), {"fault": "flaky-network"}, "Did you mean faults?"),
        ((), {"faults": RULE}, "put it in a list"),
        ((), {"faults": 3}, 'write faults="flaky-network"'),
        ((), {"faults": [{"action": "RunInstances"}]}, "without a kind"),
        ((), {"faults": [7]}, "without a kind"),
        ((), {"boot_seconds": "3s"}, "write seconds"),
        ((), {"boot_seconds": -1}, "write seconds"),
        ((), {"boot_seconds": True}, "write seconds"),
    ],
)
def test_a_wish_that_comes_to_nothing_is_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], told: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        wishes([(args, kwargs)])
    assert told in str(refused.value)


def test_a_nearer_marker_wins_keyword_by_keyword() -> None:
    marks: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"region": "eu-west-1", "faults": "throttled"}),
        ((), {"faults": [RULE, "x"]}),
    ]
    assert wishes(marks) == Wishes(region="eu-west-1", faults=[RULE, "x"])
    assert wishes(marks).rules == (RULE, "x")
    assert wishes(marks[:1]).rules == ("throttled",)
    assert wishes([]).rules == ()
