"""Placements: the host of each instance, a row each. Not shown by EC2; counted by the auditor."""

from __future__ import annotations

from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind, states
from sametoken.resources.kit.rows import Row
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


def reserve(tx: Tx, instance: str) -> None:
    """Reserve a host. Does nothing when the instance has one."""
    id = placement_id(instance)
    host = f"host-{int(instance[-4:], 16) % HOSTS_PER_ZONE:02d}"
    row = rows.find(tx, id, lock=True)
    if row is None:
        owner = rows.by_ids(tx, [instance])[instance]
        rows.insert(
            tx,
            [
                Row(
                    id, PLACEMENT.name, owner.account, owner.region, "reserved",
                    {"InstanceId": instance, "Host": host}, tx.now, owner.zone,
                )
            ],
        )  # fmt: skip
    elif row.state == "released":
        rows.change(tx, PLACEMENT, row, state="reserved", cause="started again")


def leave(tx: Tx, instance: str, *, for_good: bool) -> None:
    """Leave the host, until the next start or for good. Does nothing when already left."""
    row = rows.find(tx, placement_id(instance), lock=True)
    if row is None or row.gone_at is not None:
        return
    if for_good:
        endings.end_regardless(tx, PLACEMENT, row, cause="instance ended")
    elif row.state == "reserved":
        rows.change(tx, PLACEMENT, row, state="released", cause="instance stopped")
