"""Traits of resources, an index by state, one by token in the order of ids, names of defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from sametoken.store.columns import Moment

revision = "0002"
down_revision = "0001"
phase = "expand"
branch_labels = None
depends_on = None

# The traits of each kind as they are at this revision: paths in the document.
_TRAITS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "instance": {
        "SubnetId": ("SubnetId",),
        "SecurityGroups.GroupId": ("SecurityGroups.GroupId",),
        "ReservationId": ("private.ReservationId",),
        "Placement.GroupName": ("Placement.GroupName",),
    },
    "network-interface": {
        "Attachment.InstanceId": ("Attachment.InstanceId", "private.Detached.InstanceId"),
    },
    "natgateway": {"SubnetId": ("SubnetId",), "VpcId": ("VpcId",)},
    "vpn-gateway": {"VpcAttachments.VpcId": ("VpcAttachments.VpcId",)},
    "vpn-connection": {
        "CustomerGatewayId": ("CustomerGatewayId",),
        "VpnGatewayId": ("VpnGatewayId",),
    },
    "snapshot": {"VolumeId": ("VolumeId",)},
}
# The kinds whose tombstones are shown for a while.
_LINGERING = frozenset(
    {"instance", "natgateway", "customer-gateway", "vpn-gateway", "vpn-connection"}
)
# Rows are read and written so many at a time: a database may have millions.
_AT_ONCE = 500

_RESOURCE = sa.table(
    "resource",
    *(sa.column(name) for name in ("id", "kind", "account", "region", "zone", "name", "gone_at")),
    sa.column("doc", sa.JSON()),
)
_TRAIT = sa.table(
    "resource_trait",
    *(
        sa.column(name)
        for name in ("account", "region", "kind", "name", "value", "resource_id", "gone_at")
    ),
)


def upgrade() -> None:
    op.create_index(
        "resource_state", "resource", ["account", "region", "kind", "state", "id", "gone_at"]
    )
    op.drop_index("resource_client_token", "resource")
    op.create_index(
        "resource_client_token",
        "resource",
        ["account", "region", "kind", "client_token", "id"],
        unique=False,
        sqlite_where=sa.text("client_token IS NOT NULL"),
        postgresql_where=sa.text("client_token IS NOT NULL"),
    )
    op.create_table(
        "resource_trait",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("gone_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("account", "region", "kind", "name", "value", "resource_id"),
        sqlite_with_rowid=False,
    )
    for found in _pieces():
        _write_traits(found)
        _name_defaults(found)


def _pieces() -> Iterator[list[Any]]:
    connection, after = op.get_bind(), ""
    query = sa.select(_RESOURCE).order_by(_RESOURCE.c.id).limit(_AT_ONCE)
    while found := list(connection.execute(query.where(_RESOURCE.c.id > after))):
        yield found
        after = found[-1].id


def _write_traits(found: list[Any]) -> None:
    made = [
        {
            "account": row.account,
            "region": row.region,
            "kind": row.kind,
            "name": name,
            "value": value,
            "resource_id": row.id,
            "gone_at": row.gone_at,
        }
        for row in found
        if row.gone_at is None or row.kind in _LINGERING
        for name, value in sorted(set(_traits(row.kind, row.doc)))
    ]
    if made:
        op.get_bind().execute(sa.insert(_TRAIT), made)


def _traits(kind: str, doc: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for tag in doc.get("Tags") or ():
        yield "tag-key", _indexed(tag["Key"])
        yield _indexed(f"tag:{tag['Key']}"), _indexed(tag.get("Value", ""))
    for name, paths in _TRAITS.get(kind, {}).items():
        for path in paths:
            yield from ((name, _indexed(value)) for value in _reach(doc, path.split(".")) if value)


def _reach(value: Any, names: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _reach(one, names)
    elif isinstance(value, str):
        yield value
    elif value is not None and names:
        yield from _reach(value.get(names[0]), names[1:])


def _indexed(value: str) -> str:
    return value.replace("\0", "\ufffd")[:256]


def _name_defaults(found: list[Any]) -> None:
    """Give the default VPC, its subnets and its DHCP options the names they are found by."""
    connection = op.get_bind()
    for row in found:
        name = None if row.gone_at is not None else _default_name(row)
        if name is not None:
            mine = sa.update(_RESOURCE).where(_RESOURCE.c.id == row.id)
            connection.execute(mine.values(name=name))


def _default_name(row: Any) -> str | None:
    match row.kind:
        case "vpc" if row.doc.get("IsDefault"):
            return "default"
        case "subnet" if row.doc.get("DefaultForAz"):
            return f"default/{row.zone}"
        case "dhcp-options" if row.doc.get("private", {}).get("IsDefault"):
            return "default"
    return None
