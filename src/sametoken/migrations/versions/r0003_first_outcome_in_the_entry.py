"""An entry's row holds its first outcome; only those of other zones have rows of their own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from sametoken.store.columns import Moment

revision = "0003"
down_revision = "0002"
phase = "change"
branch_labels = None
depends_on = None

_MOVE_FIRST = (
    "UPDATE idempotency_entry SET (zone, state, rules_version, digests, plain, identities,"
    " request_id, recorded_at) = (SELECT o.zone, o.state, o.rules_version, o.digests, o.plain,"
    " o.identities, o.request_id, o.recorded_at FROM idempotency_outcome AS o"
    " WHERE o.entry_id = idempotency_entry.id ORDER BY o.recorded_at, o.zone LIMIT 1)"
)
_MOVE_OTHERS = (
    "INSERT INTO idempotency_other_zone (entry_id, zone, state, rules_version, digests, plain,"
    " identities, request_id, recorded_at) SELECT o.entry_id, o.zone, o.state, o.rules_version,"
    " o.digests, o.plain, o.identities, o.request_id, o.recorded_at FROM idempotency_outcome AS o"
    " JOIN idempotency_entry AS e ON e.id = o.entry_id AND e.zone != o.zone"
)
_MARK = (
    "UPDATE idempotency_entry SET has_other_zones = true"
    " WHERE id IN (SELECT entry_id FROM idempotency_other_zone)"
)


def _outcome(*, nullable: bool) -> list[sa.Column[Any]]:
    return [
        sa.Column("zone", sa.String(length=64), nullable=nullable),
        sa.Column(
            "state",
            sa.String(length=16),
            sa.CheckConstraint("state IN ('settled', 'failed', 'unknown')", name="known_state"),
            nullable=nullable,
        ),
        sa.Column("rules_version", sa.Integer(), nullable=nullable),
        sa.Column("key_id", sa.String(length=16), nullable=True),
        sa.Column("digests", sa.JSON(), nullable=nullable),
        sa.Column("plain", sa.JSON(), nullable=nullable),
        sa.Column(
            "identities",
            sa.JSON(none_as_null=True),
            sa.CheckConstraint(
                "(coalesce(state, '') = 'settled') = (identities IS NOT NULL)",
                name="settled_has_result",
            ),
            nullable=True,
        ),
        sa.Column("request_id", sa.String(length=64), nullable=nullable),
        sa.Column("recorded_at", Moment(), nullable=nullable),
    ]


def upgrade() -> None:
    op.create_table(
        "idempotency_other_zone",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *_outcome(nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["idempotency_entry.id"]),
        sa.PrimaryKeyConstraint("entry_id", "zone"),
    )
    # The repeats that are written down have numbers, and the latest is always among them.
    op.drop_column("idempotency_entry", "attempts")
    op.add_column("idempotency_entry", sa.Column("retention_seconds", sa.BigInteger()))
    op.add_column(
        "idempotency_entry",
        sa.Column("has_other_zones", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for column in _outcome(nullable=True):
        op.add_column("idempotency_entry", column)
    for statement in (_MOVE_FIRST, _MOVE_OTHERS, _MARK):
        op.execute(statement)
    op.drop_table("idempotency_outcome")
