"""Placements: the host of each instance, a row each. Not shown by EC2; counted by the auditor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind, states
from sametoken.resources.kit.rows import Move, Row
from sametoken.store.port import Tx

PLACEMENT = Kind(
    "placement",
    "placement",
    "InvalidPlacement",
    "placement",
    transitions=states(reserved="released deleted", released="reserved deleted", deleted=""),
    ends=frozenset({"deleted"}),
)

# HOSTS_PER_ZONE are enough that neighbours differ, and few enough to recognise one in a log.
HOSTS_PER_ZONE = 64


def placement_id(instance: str) -> str:
    """The id of an instance's only placement, which follows from the instance's id."""
    return instance.replace("i-", "placement-", 1)


@dataclass(frozen=True, slots=True)
class Guest:
    """An instance that needs a host, and the place where it runs."""

    instance: str
    account: str
    region: str
    zone: str


def reserve(tx: Tx, guests: Sequence[Guest]) -> None:
    """Reserve a host for each instance that has none."""
    found = rows.by_ids(tx, [placement_id(one.instance) for one in guests], lock=True)
    new = [one for one in guests if placement_id(one.instance) not in found]
    rows.insert(tx, [_row(tx, one) for one in new])
    released = [row for row in found.values() if row.state == "released"]
    moves = [Move(row, {}, "reserved", "started again") for row in released]
    rows.change_many(tx, PLACEMENT, moves)


def _row(tx: Tx, guest: Guest) -> Row:
    host = f"host-{int(guest.instance[-4:], 16) % HOSTS_PER_ZONE:02d}"
    return Row(
        placement_id(guest.instance), PLACEMENT.name, guest.account, guest.region, "reserved",
        {"InstanceId": guest.instance, "Host": host}, tx.now, guest.zone,
    )  # fmt: skip


def leave(tx: Tx, instance: str, *, for_good: bool) -> None:
    """Leave the host, until the next start or for good. Does nothing when already left."""
    row = rows.find(tx, placement_id(instance), lock=True)
    if row is None or row.gone_at is not None:
        return
    if for_good:
        endings.end_regardless(tx, PLACEMENT, row, cause="instance ended")
    elif row.state == "reserved":
        rows.change(tx, PLACEMENT, row, state="released", cause="instance stopped")
