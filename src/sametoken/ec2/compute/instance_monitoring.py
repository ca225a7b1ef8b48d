"""Detailed monitoring of instances, on and off. It is a member of the row; no metric is measured.

EC2 answers with the state on the way (`pending`, `disabling`); the next Describe shows the end of
it. Both calls may be repeated: an instance that is already so is answered as it is.
"""

from __future__ import annotations

from typing import Literal

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

# States that EC2 shows while monitoring changes. Source: EC2 API reference, Monitoring `State`.
_ON_THE_WAY = {"enabled": "pending", "disabled": "disabling"}


def monitor(tx: Tx, request: Request) -> Document:
    """Switch monitoring on (EC2 API reference, MonitorInstances)."""
    return _switch(tx, request, "enabled")


def unmonitor(tx: Tx, request: Request) -> Document:
    """Switch monitoring off (EC2 API reference, UnmonitorInstances)."""
    return _switch(tx, request, "disabled")


def _switch(tx: Tx, request: Request, state: Literal["enabled", "disabled"]) -> Document:
    """Switch all of the instances, or none. Refuses an instance that is ending."""
    ids = request.params["InstanceIds"]
    if not ids:
        raise refusals.missing_parameter("InstanceId")
    found = rows.get(tx, INSTANCE, request.account, request.region, ids, lock=True)
    for row in found:
        if row.state in (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED):
            raise ServiceError(
                "IncorrectInstanceState",
                f"The instance '{row.id}' is not in a state in which its monitoring can be "
                f"changed ({row.state}).",
            )
    return {"InstanceMonitorings": [_set(tx, row, state) for row in found]}


def _set(tx: Tx, row: Row, state: Literal["enabled", "disabled"]) -> Document:
    shown: str = state
    if row.doc["Monitoring"]["State"] != state:
        rows.change(tx, INSTANCE, row, Monitoring={"State": state})
        shown = _ON_THE_WAY[state]
    return {"InstanceId": row.id, "Monitoring": {"State": shown}}


ACTIONS: tuple[Action, ...] = (
    Change("MonitorInstances", monitor, repeats=same("DER")),
    Change("UnmonitorInstances", unmonitor, repeats=same("DER")),
)
