"""Start, stop, reboot and terminate: change the wanted state, and let the workflow get there.

Each may be repeated: asking for the state an instance is in, or on its way to, succeeds and returns
that state. Several ids are taken together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sametoken.ec2.compute import hibernation, reserved_capacity
from sametoken.ec2.compute.launch_capacity import insufficient_capacity, refuse_late
from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.compute import instances
from sametoken.resources.compute.capacity_reservations import Fit
from sametoken.resources.compute.instances import INSTANCE, STATE_CODES, InstanceState
from sametoken.resources.kit import counters, rows
from sametoken.resources.kit.moments import kept_moment
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces
from sametoken.store.port import Tx
from sametoken.workflow import work

# The StateReason of a stop or end that a caller asked for, in EC2's words.
_USER_SHUTDOWN = (
    "Client.UserInitiatedShutdown",
    "Client.UserInitiatedShutdown: User initiated shutdown",
)


def terminate_instances(tx: Tx, request: Request) -> Document:
    """End instances for good. "If you terminate an instance more than once, each call succeeds."

    If an instance is protected, EC2 terminates the instances of other zones, keeps those of the
    protected one's zone, and fails the call (EC2 API reference, TerminateInstances). We refuse the
    whole call: a caller who repeats it must not find half of it done.
    """
    found = _lock(tx, request)
    for row in found:
        # Stop protection guards termination too (captured).
        for attribute in ("disableApiTermination", "disableApiStop"):
            if row.private[attribute[0].upper() + attribute[1:]] and row.gone_at is None:
                raise ServiceError(
                    "OperationNotPermitted",
                    f"The instance '{row.id}' may not be terminated. Modify its '{attribute}' "
                    "instance attribute and try again.",
                )
    return {"TerminatingInstances": [_change(tx, row, _terminate) for row in found]}


def _terminate(tx: Tx, row: Row) -> Row:
    match InstanceState(row.state):
        case InstanceState.TERMINATED | InstanceState.SHUTTING_DOWN:
            return row
        case InstanceState.STOPPED:
            target = InstanceState.TERMINATED
        case _:
            target = InstanceState.SHUTTING_DOWN
    work.redirect(tx, row.id, "terminate")
    return _move_for_user(tx, row, target)


def stop_instances(tx: Tx, request: Request) -> Document:
    """Halt instances; their volumes and interfaces stay. `Force` changes nothing here."""
    found = _lock(tx, request)
    if request.params.get("Hibernate"):
        hibernation.check_configured(found)
    for row in found:
        if row.private["DisableApiStop"] and row.state == InstanceState.RUNNING:
            raise ServiceError(
                "OperationNotPermitted",
                f"The instance '{row.id}' may not be stopped. Modify its 'disableApiStop' "
                "instance attribute and try again.",
            )
        if row.state not in (InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.STOPPED):
            raise _incorrect_state(row, "stopped")
    return {"StoppingInstances": [_change(tx, row, _stop) for row in found]}


def _stop(tx: Tx, row: Row) -> Row:
    if row.state in (InstanceState.STOPPING, InstanceState.STOPPED):
        return row
    work.redirect(tx, row.id, "stop")
    return _move_for_user(tx, row, InstanceState.STOPPING)


def start_instances(tx: Tx, request: Request) -> Document:
    """Start stopped instances. Capacity and quota are debited again, and may be refused."""
    if "AdditionalInfo" in request.params:
        raise refusals.unsupported("AdditionalInfo")
    found = _lock(tx, request)
    for row in found:
        if row.state not in (InstanceState.STOPPED, InstanceState.RUNNING, InstanceState.PENDING):
            raise _incorrect_state(row, "started")
    if any(row.state == InstanceState.STOPPED for row in found):
        refuse_late(request)
    return {
        "StartingInstances": [
            _change(tx, row, lambda tx, row: _start(tx, request, row)) for row in found
        ]
    }


def _start(tx: Tx, request: Request, row: Row) -> Row:
    if row.state != InstanceState.STOPPED:
        return row
    kind = instance_types.INSTANCE_TYPES[row.doc["InstanceType"]]
    fit = Fit(kind.name, row.doc["PlatformDetails"], row.doc["Placement"]["Tenancy"])
    specification = row.doc["CapacityReservationSpecification"]
    usable = reserved_capacity.usable(tx, request, specification, fit)
    reserved = usable.assigned(row.zone, 1)
    held = instances.holding(row.account, row.region, row.zone, kind.name, kind.vcpus)
    if reserved:
        held = instances.held_in(reserved[0], held)
    free = counters.free(tx, row.place, [held["capacity"], held["vcpus"]])
    if free[held["vcpus"]] < held["amount"]:
        raise ServiceError(
            "VcpuLimitExceeded",
            f"Starting {row.id} needs {held['amount']} vCPUs; your limit leaves "
            f"{free[held['vcpus']]}.",
        )
    if usable.only and not reserved:
        raise reserved_capacity.exceeded()
    if not reserved and (free[held["capacity"]] < 1 or row.zone in request.full_zones):
        raise insufficient_capacity(kind.name, row.zone, [])
    work.redirect(tx, row.id, "start", instance_type=kind.name)
    row = instances.set_private(tx, row, held=held, **kept_moment("launched", tx.now))
    row = instances.move(tx, row, InstanceState.PENDING, cause="StartInstances")
    # Open a new public address: stopping gave the automatic one back.
    for interface in interfaces.attached_to(tx, row.id):
        interfaces.open_public(tx, interface)
    if reserved:
        row = rows.change(tx, INSTANCE, row, CapacityReservationId=reserved[0])
    reserved_capacity.take(tx, reserved)
    instances.hold(tx, [row])
    return row


def reboot_instances(tx: Tx, request: Request) -> Document:
    """Ask for a reboot, which changes no state. Succeeds on a terminated instance, as EC2 does."""
    for row in _lock(tx, request):
        if row.state in (InstanceState.STOPPED, InstanceState.STOPPING):
            raise ServiceError(
                "IncorrectState",
                f"Cannot reboot instance {row.id} that is currently in {row.state} state.",
            )
        if row.state == InstanceState.RUNNING:
            reboots = row.private.get("reboots", 0) + 1
            instances.set_private(tx, row, reboots=reboots)
    return {}


def _lock(tx: Tx, request: Request) -> list[Row]:
    ids = request.params["InstanceIds"]
    if not ids:
        raise refusals.missing_parameter("InstanceId")
    return rows.get(tx, INSTANCE, request.account, request.region, ids, lock=True)


def _incorrect_state(row: Row, verb: str) -> ServiceError:
    return ServiceError(
        "IncorrectInstanceState",
        f"The instance '{row.id}' is not in a state from which it can be {verb} ({row.state}).",
    )


def _move_for_user(tx: Tx, row: Row, target: InstanceState) -> Row:
    return instances.move(
        tx,
        row,
        target,
        cause="asked for by the caller",
        reason=_USER_SHUTDOWN,
        transition_reason=f"User initiated ({tx.now:%Y-%m-%d %H:%M:%S} GMT)",
    )


def _change(tx: Tx, row: Row, change: Callable[[Tx, Row], Row]) -> Document:
    """Apply `change`; return EC2's InstanceStateChange, which names the states before and after."""
    changed = change(tx, row)
    return {
        "InstanceId": row.id,
        "PreviousState": _state(row.state),
        "CurrentState": _state(changed.state),
    }


def _state(name: str) -> dict[str, Any]:
    return {"Code": STATE_CODES[InstanceState(name)], "Name": name}


ACTIONS: tuple[Action, ...] = (
    Change("TerminateInstances", terminate_instances, repeats=same("DOC")),
    Change("StopInstances", stop_instances, repeats=same("NAT")),
    Change("StartInstances", start_instances, repeats=same("NAT")),
    Change("RebootInstances", reboot_instances, repeats=same("DER")),
)
