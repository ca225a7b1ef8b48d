"""Orders of the real program's steps: all of them, in cases that are small enough.

Each test counts the orders; `-s` shows the count at once, and pytest's summary at the end.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from exhaustive.cases import CASES
from exhaustive.explore import BrokenError
from exhaustive.mutants import MUTANTS

Record = Callable[[str, object], None]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", CASES)
def test_no_order_of_steps_breaks_a_promise(name: str, record_property: Record) -> None:
    count = CASES[name].explore()
    assert count.ends > 1, "several things can come of it"
    assert bool(count.anew) == ("no room" in name), "a failed token is evaluated anew"
    record_property("counted", f"{name}: {count}")
    sys.stdout.write(f"{name}: {count}\n")


@pytest.mark.parametrize("name", MUTANTS)
def test_some_order_of_steps_shows_the_mutant_and_the_shortest_is_told(name: str) -> None:
    plant, case, promise = MUTANTS[name]
    with plant(), pytest.raises(BrokenError) as caught:
        case.explore()
    assert getattr(caught.value.__cause__, "promise", "") == promise, caught.value
    sys.stdout.write(f"{name}: {caught.value}\n")
