"""Mutants, bugs made on purpose, each with the case in which some order of steps must show it.

Most are mutants of the simulation, which finds them by chance; here every order is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

from exhaustive.cases import CASES, ONE_CLIENT, Case
from sametoken.idempotency import engine
from sametoken.idempotency.ledger import Perform
from sametoken.workflow.stretches import Stretch
from simulation.mutants import MUTANTS as SIMULATED

Plant = Callable[[], AbstractContextManager[None]]


@contextmanager
def _repeat_performed_again() -> Iterator[None]:
    with patch.object(engine, "decide", lambda call, entry, key: Perform(call.zone)):
        yield


@contextmanager
def _step_recorded_before_it_is_taken() -> Iterator[None]:
    """Record a step whole that is taken by half: nobody asks for the machine."""
    with patch.object(Stretch, "left", []):
        yield


def _simulated(name: str) -> Plant:
    plant: Plant = SIMULATED[name][0]
    return plant


_UNEQUAL = CASES["two clients of unequal intent, one crash"]
_NO_ROOM = CASES["no room at first, unequal intents"]
_ENDED = CASES["an owner that stands still while its launch is ended"]

# Maps a name to its plant, the case that shows it, and the promise that it breaks.
MUTANTS: Mapping[str, tuple[Plant, Case, str]] = {
    "repeat performed again": (_repeat_performed_again, ONE_CLIENT, "P1"),
    "step recorded before it is taken": (_step_recorded_before_it_is_taken, ONE_CLIENT, "P8"),
    **{
        name: (_simulated(name), case, promise)
        for name, case, promise in [
            ("claim in its own transaction", ONE_CLIENT, "P5"),
            ("result released before the commit", ONE_CLIENT, "P2"),
            ("parameters not compared", _UNEQUAL, "P4"),
            ("failure binds nothing", _NO_ROOM, "P2"),
            ("failure binds no parameters", _NO_ROOM, "P4"),
            ("services without the fence", _ENDED, "P8"),
            ("unwinding leaves the door open", _ENDED, "P8"),
        ]
    },
}
