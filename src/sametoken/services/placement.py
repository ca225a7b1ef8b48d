"""The placement service: finds a host for the capacity that the request has already debited."""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.resources.compute import instances, placements
from sametoken.resources.kit import rows
from sametoken.services.steps import Effect, close_instance, take_step
from sametoken.store.port import Store, Tx
from sametoken.workflow.plans import PLACEMENT
from sametoken.workflow.ports import Done, Progress, StepCall, Verb


@dataclass(frozen=True, slots=True)
class Placement:
    """See `workflow.ports.Service`."""

    store: Store
    engine: Engine

    def call(self, verb: Verb, call: StepCall) -> Progress:
        match verb:
            case Verb.CLOSE:
                close_instance(self.store, PLACEMENT, call)
            case Verb.ENSURE:
                self._step(verb, call, lambda tx: placements.reserve(tx, call.instance))
            case Verb.HALT | Verb.RELEASE:
                self._step(verb, call, lambda tx: _leave(tx, call.instance, verb))
        return Done()

    def _step(self, verb: Verb, call: StepCall, effect: Effect) -> None:
        take_step(
            self.store, self.engine, PLACEMENT, verb, call,
            parameters={"instance": call.instance, "type": call.spec["instance_type"]},
            effect=effect, point=Point.PLACEMENT_CALLED,
        )  # fmt: skip


def _leave(tx: Tx, instance: str, verb: Verb) -> None:
    """Leave the host, and give back the capacity and quota that the instance still holds."""
    placements.leave(tx, instance, for_good=verb is Verb.RELEASE)
    instances.let_go(tx, rows.by_ids(tx, [instance], lock=True)[instance])
