"""The volume service: makes the volumes that the request minted ids for, attached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.faults import Point
from sametoken.resources.kit import rows
from sametoken.resources.storage import volumes
from sametoken.services.steps import Declaration
from sametoken.store.codec import dumps
from sametoken.store.port import Tx
from sametoken.workflow.plans import VOLUMES
from sametoken.workflow.ports import StepCall, Verb
from sametoken.workflow.tokens import is_readable


def _parameters(verb: Verb, call: StepCall) -> Mapping[str, Any]:
    planned = call.spec["volumes"]
    # Release 0.1.0 knew the step by each member of it; to know it by one text is cheaper.
    known = dumps(planned) if is_readable(call.token) else planned
    return {"instance": call.instance, "volumes": known}


def _create(tx: Tx, calls: Sequence[StepCall]) -> None:
    planned = [(call, spec) for call in calls for spec in call.spec["volumes"]]
    existing = rows.existing(tx, [spec["VolumeId"] for _, spec in planned])
    new = [
        volumes.lay_out_attached(
            tx, id=spec["VolumeId"], account=call.account, region=call.region, zone=call.zone,
            instance=call.instance, spec=spec,
        )
        for call, spec in planned
        if spec["VolumeId"] not in existing
    ]  # fmt: skip
    rows.insert(tx, new)


def _release(tx: Tx, calls: Sequence[StepCall]) -> None:
    for call in calls:
        volumes.release_from(tx, call.instance, cause="instance ended")


# No volume is halted: it keeps its data while its instance is stopped.
SERVICE = Declaration(
    VOLUMES,
    {Verb.ENSURE: _create, Verb.RELEASE: _release},
    _parameters,
    Point.VOLUMES_CALLED,
)
