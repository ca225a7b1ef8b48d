"""Images an account has registered, beside the built-in ones. Alone writes their rows."""

from __future__ import annotations

from typing import Any

from sametoken.resources import images, rows
from sametoken.resources.kinds import Kind
from sametoken.store.port import Tx

IMAGE = Kind("image", "ami", "InvalidAMIID", "image")


def find_document(tx: Tx, account: str, region: str, image_id: str) -> dict[str, Any] | None:
    """EC2's Image: the account's own, else a built-in one; None when there is neither."""
    row = rows.find(tx, image_id)
    if row is not None and (row.kind, row.account, row.region) == (IMAGE.name, account, region):
        return None if row.gone_at is not None else {**row.doc, "ImageId": row.id}
    built_in = images.find(region, image_id)
    return None if built_in is None else images.describe(built_in)
