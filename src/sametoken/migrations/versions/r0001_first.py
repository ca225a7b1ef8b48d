"""The first schema: entries, resources, work, accounts, and the store's clock."""

import sqlalchemy as sa
from alembic import op

from sametoken.store.columns import Moment

revision = "0001"
down_revision = None
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _history()
    _clock_and_counters()
    _entries()
    _outcomes()
    _resources()
    _edges_and_transitions()
    _accounts()
    _work()


def _history() -> None:
    op.create_table(
        "schema_revision",
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )


def _clock_and_counters() -> None:
    op.create_table(
        "store_clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.Column("high_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "address",
        sa.Column("subnet", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("subnet", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index("address_holder", "address", ["holder"], unique=False)
    op.create_table(
        "public_address",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("public_address_holder", "public_address", ["holder"], unique=False)
    op.create_table(
        "node",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("url", sa.String(length=300), nullable=True),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.String(length=32), nullable=False),
        sa.Column("beat_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used >= 0", name="never_below_nothing"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "counter_limit",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("maximum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "region_seed",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("seeded_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("account", "region"),
    )


def _entries() -> None:
    op.create_table(
        "idempotency_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=128), nullable=False),
        sa.Column("client_token", sa.String(length=255), nullable=False),
        sa.Column("claimed_at", Moment(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("client_token", "account", "region", "action", name="one_claim"),
    )
    op.create_index(
        "idempotency_entry_expiry",
        "idempotency_entry",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_table(
        "idempotency_attempt",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("attempt", sa.String(length=16), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["idempotency_entry.id"]),
        sa.PrimaryKeyConstraint("entry_id", "slot"),
    )


def _outcomes() -> None:
    op.create_table(
        "idempotency_outcome",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("digests", sa.JSON(), nullable=False),
        sa.Column("plain", sa.JSON(), nullable=False),
        sa.Column("identities", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.CheckConstraint(
            "(state = 'settled') = (identities IS NOT NULL)", name="settled_has_result"
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["idempotency_entry.id"]),
        sa.PrimaryKeyConstraint("entry_id", "zone"),
    )
    op.create_table(
        "idempotency_resource",
        sa.Column("resource_id", sa.String(length=128), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["entry_id"], ["idempotency_entry.id"]),
        sa.PrimaryKeyConstraint("resource_id", "entry_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "idempotency_resource_entry", "idempotency_resource", ["entry_id"], unique=False
    )


def _resources() -> None:
    op.create_table(
        "ripening",
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=300), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("resource"),
    )
    op.create_index("ripening_due", "ripening", ["due_at"], unique=False)
    op.create_table(
        "resource",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=True),
        sa.Column("client_token", sa.String(length=255), nullable=True),
        sa.Column("doc", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("gone_at", Moment(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "resource_client_token",
        "resource",
        ["account", "region", "client_token"],
        unique=False,
        sqlite_where=sa.text("client_token IS NOT NULL"),
        postgresql_where=sa.text("client_token IS NOT NULL"),
    )
    op.create_index(
        "resource_listing",
        "resource",
        ["account", "region", "kind", "id", "gone_at"],
        unique=False,
    )
    op.create_index(
        "resource_name",
        "resource",
        ["account", "region", "kind", "name"],
        unique=True,
        sqlite_where=sa.text("name IS NOT NULL"),
        postgresql_where=sa.text("name IS NOT NULL"),
    )
    op.create_index(
        "resource_tombstone",
        "resource",
        ["gone_at"],
        unique=False,
        sqlite_where=sa.text("gone_at IS NOT NULL"),
        postgresql_where=sa.text("gone_at IS NOT NULL"),
    )


def _edges_and_transitions() -> None:
    op.create_table(
        "resource_edge",
        sa.Column("parent", sa.String(length=64), nullable=False),
        sa.Column("child", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("parent", "child"),
        sqlite_with_rowid=False,
    )
    op.create_index("resource_edge_child", "resource_edge", ["child"], unique=False)
    op.create_table(
        "resource_transition",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("moved_at", Moment(), nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "resource_transition_resource", "resource_transition", ["resource_id"], unique=False
    )


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("signature_v2", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "sealed_setting",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.String(length=1024), nullable=False),
        sa.Column("sealing_key", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "access_key",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("sealed_secret", sa.String(length=1024), nullable=False),
        sa.Column("sealing_key", sa.String(length=32), nullable=False),
        sa.Column("access", sa.String(length=16), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )


def _work() -> None:
    op.create_table(
        "work",
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=32), nullable=False),
        sa.Column("plan", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("due_at", Moment(), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("deadline_at", Moment(), nullable=True),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("instance"),
    )
    op.create_index(
        "work_due",
        "work",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "service_fence",
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "service"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "simulated_machine",
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ready_at", Moment(), nullable=True),
        sa.Column("boots", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("instance"),
    )
