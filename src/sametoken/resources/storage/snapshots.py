"""Snapshots of volumes: their states, and what a volume from one has."""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.errors import ServiceError
from sametoken.resources.catalogues import images
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.regions import Place
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage import keys
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
    malformed="InvalidSnapshotID.Malformed",
    hides_no_tags=True,
    missing_text="The {noun} '{ids}' {do} not exist.",
    quota=Quota(100_000, "SnapshotLimitExceeded"),
    traits={"VolumeId": ("VolumeId",)},
)


@dataclass(frozen=True, slots=True)
class Content:
    """The least that a volume from a snapshot has: its size, and the key if it is encrypted."""

    gib: int
    key: str | None = None

    @property
    def encrypted(self) -> bool:
        return self.key is not None


def content(tx: Tx, place: Place, snapshot: str) -> Content:
    """The content of a completed snapshot, the account's own or a built-in image's."""
    row = rows.find(tx, snapshot)
    owner = (SNAPSHOT.name, *place)
    if row is not None and row.gone_at is None and (row.kind, row.account, row.region) == owner:
        if row.state != "completed":
            raise ServiceError("IncorrectState", f"Snapshot {snapshot} is {row.state}")
        return Content(int(row.doc["VolumeSize"]), key_of(row))
    built_in = images.snapshot_gib(place[1], snapshot)
    if built_in is None:
        raise ServiceError(
            "InvalidSnapshot.NotFound", f"The snapshot '{snapshot[:200]}' does not exist."
        )
    return Content(built_in)


def key_of(row: Row) -> str | None:
    """The ARN of the key by which a snapshot is encrypted; None where it is not."""
    if not row.doc["Encrypted"]:
        return None
    return keys.arn_of(row.place, row.doc.get("KmsKeyId"))
