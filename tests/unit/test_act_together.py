"""Members of a batch are acted for together; where that fails, each fails or succeeds alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from sametoken.errors import ServiceError, Transient
from sametoken.workflow.batches import BEGIN_SECONDS_MAX, act_together
from store.worlds import SetWorld

BUG = AssertionError("a bug")


class Doubling:
    """Doubles numbers, but raises the error of a number that has one; remembers what it was given.

    Each act takes `seconds` of the world's time.
    """

    def __init__(
        self, errors: dict[int, Exception], world: SetWorld | None = None, seconds: float = 0.0
    ) -> None:
        self.asked: list[list[int]] = []
        self._errors = errors
        self._world = world
        self._seconds = seconds

    def act(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(list(numbers))
        if self._world is not None:
            self._world.pass_time(timedelta(seconds=self._seconds))
        for number in numbers:
            if number in self._errors:
                raise self._errors[number]
        return [2 * number for number in numbers]


def test_all_are_acted_for_at_once() -> None:
    doubling = Doubling({})
    assert act_together([1, 2, 3], doubling.act, SetWorld()) == [2, 4, 6]
    assert doubling.asked == [[1, 2, 3]]


@pytest.mark.parametrize(
    "error", [BUG, Transient("busy"), ServiceError("No", "no"), ValueError("of a database")]
)
@pytest.mark.parametrize("guilty", [1, 2, 3])
def test_an_error_is_its_own_members_alone(guilty: int, error: Exception) -> None:
    doubling = Doubling({guilty: error})
    results = act_together([1, 2, 3], doubling.act, SetWorld())
    assert results == [error if number == guilty else 2 * number for number in (1, 2, 3)]
    assert doubling.asked == [[1, 2, 3], [1], [2], [3]]


def test_a_member_alone_is_not_tried_twice() -> None:
    doubling = Doubling({1: BUG})
    assert act_together([1], doubling.act, SetWorld()) == [BUG]
    assert doubling.asked == [[1]]


def test_where_nothing_ran_nobody_is_tried_again() -> None:
    busy = Transient("the store is closing", ran=False)
    doubling = Doubling({2: busy})
    assert act_together([1, 2, 3], doubling.act, SetWorld()) == [busy] * 3
    assert doubling.asked == [[1, 2, 3]]


def test_no_member_is_begun_late_in_its_lease() -> None:
    world = SetWorld()
    doubling = Doubling({1: BUG}, world, BEGIN_SECONDS_MAX / 2 + 1)
    first, second, *rest = act_together([1, 2, 3, 4], doubling.act, world)
    assert (first, second) == (BUG, 4)
    assert [type(one) for one in rest] == [Transient, Transient]
    assert doubling.asked == [[1, 2, 3, 4], [1], [2]]


def test_the_end_of_the_process_is_no_members_error() -> None:
    class Ended(BaseException):
        pass

    def act(numbers: Sequence[int]) -> list[int]:
        raise Ended

    with pytest.raises(Ended):
        act_together([1, 2], act, SetWorld())
