"""The machine service: virtual machines, through a driver.

A machine cannot be started inside a database transaction, so a call has two halves: the step is
taken (fenced, once) in a transaction, then the driver is asked to make the world agree. The
driver's call may be repeated at will, and refuses generations lower than it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sametoken import faults
from sametoken.errors import SametokenError
from sametoken.faults import Point
from sametoken.services.steps import Declaration, Steps
from sametoken.store.port import Tx
from sametoken.workflow.batches import BEGIN_SECONDS_MAX, act_together
from sametoken.workflow.plans import MACHINES
from sametoken.workflow.ports import Done, Fate, Later, StepCall, Verb
from sametoken.world import World

# The members of a machine that a driver is told; None means that there must be no machine.
MachineSpec = Mapping[str, Any]

_POWER = {Verb.ENSURE: "on", Verb.HALT: "off", Verb.RELEASE: "absent"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A machine, named by its instance, as it is to be; and the generation of who wants it so."""

    instance: str
    generation: int
    spec: MachineSpec | None


class MachineDriver(Protocol):
    """A way to run virtual machines."""

    def ensure_many(self, machines: Sequence[Wanted]) -> Sequence[Fate]:
        """Make each machine as its spec says (`power` is "on" or "off"), or absent.

        Remembers the highest generations durably. Returns a fate for each machine: `StaleOwner` for
        a lower generation, a `ServiceError` of status 400 when the machine will never come up.
        """
        ...


class OneMachineDriver(Protocol):
    """A driver that makes one machine at a time, and raises what `MachineDriver` returns."""

    def ensure(self, machine: Wanted) -> Done | Later: ...


@dataclass(frozen=True, slots=True)
class OneByOne:
    """Makes a `MachineDriver` of a `OneMachineDriver`."""

    driver: OneMachineDriver
    world: World

    def ensure_many(self, machines: Sequence[Wanted]) -> list[Fate]:
        """Ask for one machine after another; put off those that cannot be begun in time."""
        began, fates = self.world.monotonic(), list[Fate]()
        for machine in machines:
            if self.world.monotonic() - began > BEGIN_SECONDS_MAX:
                fates.append(Later(0.0))
                continue
            try:
                fates.append(self.driver.ensure(machine))
            except SametokenError as error:
                fates.append(error)
        return fates


@dataclass(frozen=True, slots=True)
class Machines:
    """See `workflow.ports.Local`."""

    steps: Steps
    driver: MachineDriver

    @property
    def acts_outside(self) -> bool:
        return True

    def call_many(self, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        fates = self.steps.call_many(verb, calls)
        taken = [call for call, fate in zip(calls, fates, strict=True) if isinstance(fate, Done)]
        if not taken:
            return fates
        answers = self.finish_many(verb, taken)
        made = {call.instance: answer for call, answer in zip(taken, answers, strict=True)}
        return [made.get(call.instance, fate) for call, fate in zip(calls, fates, strict=True)]

    def take_many(self, tx: Tx, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        return self.steps.take_many(tx, verb, calls)

    def finish_many(self, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        faults.reach(Point.MACHINES_TAKEN)
        # A closing tells the driver the higher generation even where it has no machine yet.
        asked = [Wanted(call.instance, call.generation, _spec(verb, call)) for call in calls]
        return act_together(asked, self.driver.ensure_many, self.steps.world)


def _spec(verb: Verb, call: StepCall) -> MachineSpec | None:
    if verb in (Verb.CLOSE, Verb.RELEASE):
        return None
    return {"power": _POWER[verb], "region": call.region}


def _parameters(verb: Verb, call: StepCall) -> Mapping[str, Any]:
    return {"instance": call.instance, "power": _POWER[verb]}


def _nothing(tx: Tx, calls: Sequence[StepCall]) -> None:
    """Change no row: the machine's state is the driver's; the step is only taken once."""


SERVICE = Declaration(MACHINES, dict.fromkeys(_POWER, _nothing), _parameters, Point.MACHINES_CALLED)
