"""The network service: brings up the interfaces that the request made, with their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.faults import Point
from sametoken.resources.network import elastic_addresses, interfaces
from sametoken.services.steps import Declaration
from sametoken.store.port import Tx
from sametoken.workflow.plans import NETWORKS
from sametoken.workflow.ports import StepCall, Verb


def _parameters(verb: Verb, call: StepCall) -> Mapping[str, Any]:
    return {"instance": call.instance, "interfaces": call.spec["interfaces"]}


def _bring_up(tx: Tx, calls: Sequence[StepCall]) -> None:
    attached = {id: call.instance for call in calls for id in call.spec["interfaces"]}
    interfaces.bring_up(tx, attached, cause="launch")


def _close_public(tx: Tx, calls: Sequence[StepCall]) -> None:
    """Give back automatic public addresses; a stopped instance keeps its interfaces."""
    for call in calls:
        for interface in interfaces.attached_to(tx, call.instance):
            interfaces.close_public(tx, interface)


def _release(tx: Tx, calls: Sequence[StepCall]) -> None:
    for call in calls:
        elastic_addresses.release_from(tx, call.instance, cause="instance ended")


SERVICE = Declaration(
    NETWORKS,
    {Verb.ENSURE: _bring_up, Verb.HALT: _close_public, Verb.RELEASE: _release},
    _parameters,
    Point.NETWORKS_CALLED,
)
