"""Images that accounts have registered, beside the built-in ones."""

from __future__ import annotations

from typing import Any

from sametoken.resources.catalogues import images
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.store.port import Tx

# Source: EC2 API reference, Image `State`.
IMAGE = Kind(
    "image",
    "ami",
    "InvalidAMIID",
    "image",
    transitions=states(
        pending="available failed deregistered",
        available="deregistered",
        failed="deregistered",
        deregistered="",
    ),
    ends=frozenset({"deregistered"}),
    quota=Quota(50_000),
)


def find_document(tx: Tx, account: str, region: str, image_id: str) -> dict[str, Any] | None:
    """EC2's Image: a built-in one, else the account's own; None when neither exists."""
    # Look here first, because most launches use a built-in image, and it needs no query. No
    # account's image has its id.
    built_in = images.find_described(region, image_id)
    if built_in is not None:
        return built_in
    row = rows.find(tx, image_id)
    if row is None or (row.kind, row.account, row.region) != (IMAGE.name, account, region):
        return None
    return None if row.gone_at is not None else {**row.doc, "ImageId": row.id, "State": row.state}
