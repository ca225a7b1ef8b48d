"""Capacity reservations that a stopped instance may use when it starts again."""

from __future__ import annotations

from sametoken.ec2.compute import reserved_capacity
from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import living, named
from sametoken.ec2.kit.parameters import refuse_unsupported
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.compute.capacity_reservations import RESERVATION
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import rows
from sametoken.store.port import Tx

_MEMBER = "CapacityReservationSpecification"


def _validate(request: Request) -> None:
    own = {_MEMBER: reserved_capacity.ACCEPTED, "DryRun": None, "InstanceId": None}
    refuse_unsupported("", request.params, own)
    INSTANCE.check_id(request.params["InstanceId"])
    reserved_capacity.check(request.params.get(_MEMBER, {}))


def modify(tx: Tx, request: Request) -> Document:
    """Set the specification; whether a target has room is asked when the instance starts."""
    row = named(tx, request, INSTANCE, "InstanceId", lock=True)
    if row.state != InstanceState.STOPPED:
        raise ServiceError(
            "IncorrectInstanceState",
            f"The instance '{row.id}' is not in the 'stopped' state ({row.state}).",
        )
    specification = request.params.get(_MEMBER, {})
    target = specification.get(reserved_capacity.TARGET)
    if target is not None:
        living(tx, request, RESERVATION, target["CapacityReservationId"])
    shown = reserved_capacity.shown(specification)
    rows.change(tx, INSTANCE, row, CapacityReservationSpecification=shown)
    return {"Return": True}


ACTIONS: tuple[Action, ...] = (
    Change(
        "ModifyInstanceCapacityReservationAttributes",
        modify,
        validate=_validate,
        repeats=same("DER"),
    ),
)
