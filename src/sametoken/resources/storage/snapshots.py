"""Snapshots of volumes: their states and sizes."""

from __future__ import annotations

from sametoken.errors import ServiceError
from sametoken.resources.catalogues import images
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.store.port import Tx

# Source: EC2 API reference, Snapshot `State`: pending, completed, error.
SNAPSHOT = Kind(
    "snapshot",
    "snap",
    "InvalidSnapshot",
    "snapshot",
    transitions=states(
        pending="completed error deleted", completed="deleted", error="deleted", deleted=""
    ),
    malformed="InvalidSnapshotID",
    quota=Quota(100_000, "SnapshotLimitExceeded"),
    traits={"VolumeId": ("VolumeId",)},
)


def size_gib(tx: Tx, account: str, region: str, snapshot: str) -> int:
    """The size of a completed snapshot, the account's own or a built-in image's."""
    row = rows.find(tx, snapshot)
    owner = (SNAPSHOT.name, account, region)
    if row is not None and row.gone_at is None and (row.kind, row.account, row.region) == owner:
        if row.state != "completed":
            raise ServiceError("IncorrectState", f"Snapshot {snapshot} is {row.state}")
        return int(row.doc["VolumeSize"])
    built_in = images.snapshot_gib(region, snapshot)
    if built_in is None:
        raise ServiceError(
            "InvalidSnapshot.NotFound", f"The snapshot '{snapshot[:200]}' does not exist."
        )
    return built_in
