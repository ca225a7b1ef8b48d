"""Instances: their states, and the capacity and quota that a launch holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sametoken.resources.compute import capacity_reservations
from sametoken.resources.kit import counters, endings, rows
from sametoken.resources.kit.kinds import Kind, states
from sametoken.resources.kit.rows import Move, Row
from sametoken.resources.kit.traits import TRAIT
from sametoken.resources.network import interfaces
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx


class InstanceState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    STOPPING = "stopping"
    STOPPED = "stopped"


# Source: EC2 API reference, InstanceState. The high byte is to be ignored; we leave it zero.
STATE_CODES = {
    InstanceState.PENDING: 0,
    InstanceState.RUNNING: 16,
    InstanceState.SHUTTING_DOWN: 32,
    InstanceState.TERMINATED: 48,
    InstanceState.STOPPING: 64,
    InstanceState.STOPPED: 80,
}

# Source: EC2 user guide, "Instance lifecycle". A launch that fails goes from pending to terminated
# by itself; a start that fails goes back to stopped.
INSTANCE = Kind(
    "instance",
    "i",
    "InvalidInstanceID",
    "instance",
    transitions=states(
        pending="running shutting-down terminated stopping stopped",
        running="stopping shutting-down",
        stopping="stopped shutting-down",
        stopped="pending terminated",
        shutting_down="terminated",
        terminated="",
    ),
    ends=frozenset({"terminated"}),
    hides_no_tags=True,
    leaving=frozenset({"shutting-down"}),
    # EC2 shows a terminated instance "usually less than one hour" (API reference,
    # DescribeInstances).
    lingers=timedelta(hours=1),
    traits={
        "SubnetId": ("SubnetId",),
        "SecurityGroups.GroupId": ("SecurityGroups.GroupId",),
        "ReservationId": ("private.ReservationId",),
        "Placement.GroupName": ("Placement.GroupName",),
    },
    through={"VpcId": ("SubnetId", "subnet")},
)


# Looks at every instance: no account is known, as people who ask need not know it.
_OF_RESERVATION = (
    sa.select(TRAIT.c.resource_id)
    .where(TRAIT.c.kind == INSTANCE.name, TRAIT.c.name == "ReservationId")
    .where(TRAIT.c.value == sa.bindparam("reservation"))
    .order_by(TRAIT.c.resource_id)
)


def of_reservation(tx: Tx, reservation: str) -> list[str]:
    """List the ids of a reservation's instances, living or ended, of whatever account."""
    found = tx.execute(_OF_RESERVATION, {"reservation": reservation})
    return [row.resource_id for row in found]


def hold(tx: Tx, starting: Sequence[Row]) -> None:
    """Debit capacity and quota for instances of one account and Region. Last in a transaction."""
    amounts = Counter[str]()
    for row in starting:
        held = row.private["held"]
        assert held is not None, f"{row.id} is to hold something"
        # In a reservation it holds a place, whose capacity was debited for the reservation.
        if "reservation" not in held:
            amounts[held["capacity"]] += 1
        amounts[held["vcpus"]] += held["amount"]
    counters.debit(tx, starting[0].place, dict(sorted(amounts.items())))


def holding(account: str, region: str, zone: str, instance_type: str, vcpus: int) -> dict[str, Any]:
    """The capacity and quota that an instance holds while it is not stopped or terminated."""
    return {
        "capacity": counters.capacity_name(zone, instance_type),
        "vcpus": counters.vcpus_name(account, region),
        "amount": vcpus,
    }


def held_in(reservation: str, held: dict[str, Any]) -> dict[str, Any]:
    """The same for an instance that has a place in a capacity reservation."""
    return {**held, "reservation": reservation}


def let_go(tx: Tx, held: Iterable[Row]) -> None:
    """Credit the capacity and quota that instances hold, once: their locked rows tell whether.

    The counters come last, because all accounts share them.
    """
    holding = [row for row in held if row.private["held"] is not None]
    moves = [Move(row, _without_holding(row)) for row in holding]
    rows.change_many(tx, INSTANCE, moves)
    places = Counter(_reservation(row) for row in holding if _reservation(row))
    cancelled = capacity_reservations.give_back(tx, places) if places else ()
    amounts = Counter[str]()
    for row in holding:
        if not _reservation(row) or _reservation(row) in cancelled:
            amounts[row.private["held"]["capacity"]] += 1
        amounts[row.private["held"]["vcpus"]] += row.private["held"]["amount"]
    for name in sorted(amounts):
        counters.credit(tx, name, amounts[name])


def _reservation(row: Row) -> str:
    """The reservation in which an instance holds a place; "" for none."""
    return str(row.private["held"].get("reservation", ""))


def _without_holding(row: Row) -> dict[str, Any]:
    doc: dict[str, Any] = {"private": {**row.private, "held": None}}
    return {**doc, "CapacityReservationId": None} if _reservation(row) else doc


def set_private(tx: Tx, row: Row, **members: Any) -> Row:
    """Change members that EC2 does not show in a Describe."""
    return rows.change(tx, INSTANCE, row, private={**row.private, **members})


def move(
    tx: Tx,
    row: Row,
    state: InstanceState,
    *,
    cause: str,
    reason: tuple[str, str] | None = None,
    transition_reason: str = "",
) -> Row:
    """Move to `state`. `reason` is EC2's StateReason, `transition_reason` its free text."""
    [moved] = arrive(tx, [Arrival(row, state, cause, reason, transition_reason)])
    return moved


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that is to move to `state`: the arguments of `move`."""

    row: Row
    state: InstanceState
    cause: str
    reason: tuple[str, str] | None = None
    transition_reason: str = ""

    @property
    def doc(self) -> dict[str, Any]:
        reason = None
        if self.reason is not None:
            reason = {"Code": self.reason[0], "Message": self.reason[1]}
        return {"StateTransitionReason": self.transition_reason, "StateReason": reason}


def arrive(tx: Tx, arrivals: Sequence[Arrival]) -> list[Row]:
    """Move several instances, as `move` does one; return them as they are now, ended ones last."""
    ending = [one for one in arrivals if one.state in INSTANCE.ends | INSTANCE.leaving]
    others = [one for one in arrivals if one not in ending]
    moves = [Move(one.row, one.doc, one.state.value, one.cause) for one in others]
    return [
        *rows.change_many(tx, INSTANCE, moves),
        *(
            endings.end_regardless(
                tx, INSTANCE, one.row, state=one.state.value, cause=one.cause, **one.doc
            )
            for one in ending
        ),
    ]


def set_groups(tx: Tx, row: Row, groups: list[dict[str, str]]) -> None:
    """Put the instance and its primary interface into other security groups."""
    rows.change(tx, INSTANCE, row, SecurityGroups=groups)
    for interface in _primary_interfaces(tx, row):
        interfaces.set_groups(tx, interface, groups)


def set_source_dest_check(tx: Tx, row: Row, *, checks: bool) -> None:
    """Set SourceDestCheck on the primary interface, and on the instance, which shows the same."""
    rows.change(tx, INSTANCE, row, SourceDestCheck=checks)
    for interface in _primary_interfaces(tx, row):
        rows.change(tx, INTERFACE, interface, SourceDestCheck=checks)


def _primary_interfaces(tx: Tx, row: Row) -> list[Row]:
    """The interface at device index 0, locked; none once the instance has given it up."""
    ids = [
        child.id
        for child in rows.children(tx, [row.id])[row.id]
        if child.kind == INTERFACE.name and child.doc["Attachment"]["DeviceIndex"] == 0
    ]
    return list(rows.by_ids(tx, ids, lock=True).values())
