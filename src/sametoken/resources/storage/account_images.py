"""Images that accounts have registered, beside the built-in ones, and who may use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sametoken.resources.catalogues import images
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.regions import Place
from sametoken.resources.kit.rows import Row
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
    hides_no_tags=True,
    quota=Quota(50_000),
)
# The group of every account: an image that it may launch is public.
EVERYBODY = "all"
# The member of an image that lists its launch permissions, which its owner alone is shown.
PERMISSIONS = "LaunchPermissions"


def find_document(tx: Tx, account: str, region: str, image_id: str) -> dict[str, Any] | None:
    """EC2's Image: a built-in one, the account's own, or one that it may launch; None of others."""
    # Look here first, because most launches use a built-in image, and it needs no query. No
    # account's image has its id.
    built_in = images.find_described(region, image_id)
    if built_in is not None:
        return built_in
    row = rows.find(tx, image_id)
    if row is None or row.gone_at is not None or not is_seen(row, (account, region)):
        return None
    return {**row.doc, "ImageId": row.id, "OwnerId": row.account, "State": row.state}


def is_seen(row: Row, place: Place) -> bool:
    """Tell whether a row is an image that the account may launch in the Region."""
    account, region = place
    if (row.kind, row.region) != (IMAGE.name, region):
        return False
    return row.account == account or not {account, EVERYBODY}.isdisjoint(permitted(row))


def permitted(row: Row) -> list[str]:
    """The accounts, and the group, that the owner lets launch the image."""
    granted = row.private.get(PERMISSIONS, ())
    return [str(one.get("UserId", one.get("Group"))) for one in granted]


def shared_with(tx: Tx, place: Place) -> list[Row]:
    """List the images of others that the account may launch in the Region, by id."""
    account, region = place
    lists = (_list_of(account, region), _list_of(EVERYBODY, region))
    found = {row.id: row for listed in rows.children(tx, lists, IMAGE).values() for row in listed}
    return [row for _, row in sorted(found.items()) if row.account != account]


def permit(tx: Tx, row: Row, permissions: Sequence[dict[str, Any]]) -> None:
    """Let these accounts and groups launch the image, and no others. The row must be locked.

    An image stands under a list for each of them, until it ends; see `shared_with`.
    """
    before = set(permitted(row))
    private = {**row.private, PERMISSIONS: list(permissions)}
    public = any(one.get("Group") == EVERYBODY for one in permissions)
    row = rows.change(tx, IMAGE, row, private=private, Public=public)
    after = set(permitted(row))
    # Take it out of every list first: an image of an older release stands under none.
    for who in sorted(before | after):
        rows.unlink(tx, _list_of(who, row.region), row.id)
    for who in sorted(after):
        rows.link(tx, _list_of(who, row.region), row.id)


def _list_of(who: str, region: str) -> str:
    return f"images/{region}/{who}"
