"""The volume service: makes the volumes that the request minted ids for, attached."""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.resources.kit import rows
from sametoken.resources.storage import volumes
from sametoken.services.steps import Effect, close_instance, take_step
from sametoken.store.port import Store, Tx
from sametoken.workflow.plans import VOLUMES
from sametoken.workflow.ports import Done, Progress, StepCall, Verb


@dataclass(frozen=True, slots=True)
class Volumes:
    """See `workflow.ports.Service`."""

    store: Store
    engine: Engine

    def call(self, verb: Verb, call: StepCall) -> Progress:
        match verb:
            case Verb.CLOSE:
                close_instance(self.store, VOLUMES, call)
            case Verb.ENSURE:
                self._step(verb, call, lambda tx: _create_all(tx, call))
            case Verb.RELEASE:
                self._step(
                    verb,
                    call,
                    lambda tx: volumes.release_from(tx, call.instance, cause="instance ended"),
                )
            case Verb.HALT:
                raise AssertionError("a volume is not halted")
        return Done()

    def _step(self, verb: Verb, call: StepCall, effect: Effect) -> None:
        take_step(
            self.store, self.engine, VOLUMES, verb, call,
            parameters={"instance": call.instance, "volumes": call.spec["volumes"]},
            effect=effect, point=Point.VOLUMES_CALLED,
        )  # fmt: skip


def _create_all(tx: Tx, call: StepCall) -> None:
    existing = rows.by_ids(tx, [spec["VolumeId"] for spec in call.spec["volumes"]])
    for spec in call.spec["volumes"]:
        if spec["VolumeId"] not in existing:
            volumes.create_attached(
                tx,
                id=spec["VolumeId"],
                account=call.account,
                region=call.region,
                zone=call.zone,
                instance=call.instance,
                spec=spec,
            )
