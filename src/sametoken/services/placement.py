"""The placement service: finds a host for the capacity that the request has already debited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.faults import Point
from sametoken.resources.compute import instances, placements
from sametoken.resources.compute.placements import Guest
from sametoken.resources.kit import rows
from sametoken.services.steps import Declaration
from sametoken.store.port import Tx
from sametoken.workflow.plans import PLACEMENT
from sametoken.workflow.ports import StepCall, Verb


def _parameters(verb: Verb, call: StepCall) -> Mapping[str, Any]:
    return {"instance": call.instance, "type": call.spec["instance_type"]}


def _reserve(tx: Tx, calls: Sequence[StepCall]) -> None:
    guests = [Guest(call.instance, call.account, call.region, call.zone) for call in calls]
    placements.reserve(tx, guests)


def _leave(tx: Tx, calls: Sequence[StepCall]) -> None:
    _leave_hosts(tx, calls, for_good=False)


def _leave_for_good(tx: Tx, calls: Sequence[StepCall]) -> None:
    _leave_hosts(tx, calls, for_good=True)


def _leave_hosts(tx: Tx, calls: Sequence[StepCall], *, for_good: bool) -> None:
    """Leave the hosts, and give back the capacity and quota that the instances still hold."""
    ids = [call.instance for call in calls]
    for id in ids:
        placements.leave(tx, id, for_good=for_good)
    instances.let_go(tx, rows.by_ids(tx, ids, lock=True).values())


SERVICE = Declaration(
    PLACEMENT,
    {Verb.ENSURE: _reserve, Verb.HALT: _leave, Verb.RELEASE: _leave_for_good},
    _parameters,
    Point.PLACEMENT_CALLED,
)
