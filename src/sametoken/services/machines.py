"""The machine service: virtual machines, through a driver.

A machine cannot be started inside a database transaction, so a call has two halves: the step is
taken (fenced, once) in a transaction, then the driver is asked to make the world agree. The
driver's call may be repeated at will, and refuses generations lower than it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sametoken import faults
from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.services.steps import close_instance, take_step
from sametoken.store.port import Store, Tx
from sametoken.workflow.plans import MACHINES
from sametoken.workflow.ports import Progress, StepCall, Verb

# The members of a machine that a driver is told; None means that there must be no machine.
MachineSpec = Mapping[str, Any]


class MachineDriver(Protocol):
    """A way to run virtual machines, each named by its instance."""

    def ensure(self, instance: str, generation: int, spec: MachineSpec | None) -> Progress:
        """Make the machine as `spec` says (`power` is "on" or "off"), or absent.

        Remembers the highest generation durably and raises `StaleOwner` for a lower one. Raises a
        `ServiceError` of status 400 when this machine will never come up.
        """
        ...


@dataclass(frozen=True, slots=True)
class Machines:
    """See `workflow.ports.Service`."""

    store: Store
    engine: Engine
    driver: MachineDriver

    def call(self, verb: Verb, call: StepCall) -> Progress:
        if verb is Verb.CLOSE:
            close_instance(self.store, MACHINES, call)
            # Tell the driver the higher generation even where it has no machine yet.
            return self.driver.ensure(call.instance, call.generation, None)
        power = {Verb.ENSURE: "on", Verb.HALT: "off", Verb.RELEASE: "absent"}[verb]
        take_step(
            self.store, self.engine, MACHINES, verb, call,
            parameters={"instance": call.instance, "power": power},
            effect=_nothing, point=Point.MACHINES_CALLED,
        )  # fmt: skip
        faults.reach(Point.MACHINES_TAKEN)
        spec = None if verb is Verb.RELEASE else {"power": power, "region": call.region}
        return self.driver.ensure(call.instance, call.generation, spec)


def _nothing(tx: Tx) -> None:
    """Change no row: the machine's state is the driver's; the step is only taken once."""
