"""The network service: brings up the interfaces that the request made, with their addresses."""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.resources.network import elastic_addresses, interfaces
from sametoken.services.steps import Effect, close_instance, take_step
from sametoken.store.port import Store, Tx
from sametoken.workflow.plans import NETWORKS
from sametoken.workflow.ports import Done, Progress, StepCall, Verb


@dataclass(frozen=True, slots=True)
class Networks:
    """See `workflow.ports.Service`."""

    store: Store
    engine: Engine

    def call(self, verb: Verb, call: StepCall) -> Progress:
        match verb:
            case Verb.CLOSE:
                close_instance(self.store, NETWORKS, call)
            case Verb.ENSURE:
                self._step(verb, call, lambda tx: _bring_up_all(tx, call))
            case Verb.RELEASE:
                self._step(
                    verb,
                    call,
                    lambda tx: elastic_addresses.release_from(
                        tx, call.instance, cause="instance ended"
                    ),
                )
            case Verb.HALT:
                self._step(verb, call, lambda tx: _close_public(tx, call.instance))
        return Done()

    def _step(self, verb: Verb, call: StepCall, effect: Effect) -> None:
        take_step(
            self.store, self.engine, NETWORKS, verb, call,
            parameters={"instance": call.instance, "interfaces": call.spec["interfaces"]},
            effect=effect, point=Point.NETWORKS_CALLED,
        )  # fmt: skip


def _close_public(tx: Tx, instance: str) -> None:
    """Give back automatic public addresses; a stopped instance keeps its interfaces."""
    for interface in interfaces.attached_to(tx, instance):
        interfaces.close_public(tx, interface)


def _bring_up_all(tx: Tx, call: StepCall) -> None:
    for interface in call.spec["interfaces"]:
        interfaces.bring_up(tx, interface, cause="launch")
