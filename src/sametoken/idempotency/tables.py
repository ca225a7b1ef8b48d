"""The ledger's tables. `idempotency.entries` reads and writes them.

Every decision, replay and sweep locks the entry's row first; the other tables are used only under
that lock.
"""

from __future__ import annotations

import sqlalchemy as sa

from sametoken.store.columns import Moment
from sametoken.store.dialects import BIG, IndexWhere

metadata = sa.MetaData()


def _outcome(*, nullable: bool) -> tuple[sa.Column, ...]:  # type: ignore[type-arg] # of many types
    """The columns of an outcome. `identities` is NOT NULL exactly when state = 'settled'.

    The state 'unknown' is for callers whose effects are not in the database; the control plane has
    no such call. `key_id` names the key of the digests; NULL in entries of 0.1.0, which kept none.
    `origin` says where the request came from, in words of its owner's that only people read.
    """
    return (
        sa.Column("zone", sa.String(64), nullable=nullable, primary_key=not nullable),
        sa.Column(
            "state",
            sa.String(16),
            sa.CheckConstraint("state IN ('settled', 'failed', 'unknown')", name="known_state"),
            nullable=nullable,
        ),
        sa.Column("rules_version", sa.Integer, nullable=nullable),
        sa.Column("key_id", sa.String(16)),
        sa.Column("digests", sa.JSON, nullable=nullable),
        sa.Column("plain", sa.JSON, nullable=nullable),
        sa.Column(
            "identities",
            sa.JSON(none_as_null=True),
            sa.CheckConstraint(
                "(coalesce(state, '') = 'settled') = (identities IS NOT NULL)",
                name="settled_has_result",
            ),
        ),
        sa.Column("request_id", sa.String(64), nullable=nullable),
        sa.Column("recorded_at", Moment, nullable=nullable),
        sa.Column("origin", sa.String(300)),
    )


# ENTRY has a row for each claimed token, with its first outcome: a create writes this row and, as a
# rule, no other of the ledger's. The outcome's columns are NULL only within the transaction that
# claims the token. `expires_at` is NULL while a resource of the entry lives. The sweep uses its
# index, so it costs as much as has expired, however much is kept. `retention_seconds` is NULL for
# the usual retention.
ENTRY = sa.Table(
    "idempotency_entry",
    metadata,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("region", sa.String(64), nullable=False),
    sa.Column("action", sa.String(128), nullable=False),
    sa.Column("client_token", sa.String(255), nullable=False),
    sa.Column("claimed_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("retention_seconds", sa.BigInteger),
    sa.Column("has_other_zones", sa.Boolean, nullable=False, server_default=sa.false()),
    *_outcome(nullable=True),
    # The token comes first, because `tokens explain` looks for a token in all scopes.
    sa.UniqueConstraint("client_token", "account", "region", "action", name="one_claim"),
    IndexWhere("idempotency_entry_expiry", "expires_at", where="expires_at IS NOT NULL"),
)

# OTHER_ZONE has the outcomes in zones other than that of the entry's first outcome. Few entries
# have any: `has_other_zones` of ENTRY says which.
OTHER_ZONE = sa.Table(
    "idempotency_other_zone",
    metadata,
    sa.Column("entry_id", BIG, sa.ForeignKey("idempotency_entry.id"), primary_key=True),
    *_outcome(nullable=False),
)

# RETAINED has the resources that an entry must outlive. `ended_at` is NULL while the resource
# lives. The row stays as long as the entry: a tombstone is not removed while a row here names it.
RETAINED = sa.Table(
    "idempotency_resource",
    metadata,
    sa.Column("resource_id", sa.String(128), primary_key=True),
    sa.Column("entry_id", BIG, sa.ForeignKey("idempotency_entry.id"), primary_key=True),
    sa.Column("ended_at", Moment),
    sa.Index("idempotency_resource_entry", "entry_id"),
    # The row is hardly more than its key: without a rowid, SQLite keeps both in one tree.
    sqlite_with_rowid=False,
)

# ATTEMPT has the last ATTEMPTS_KEPT repeats of each token, in a ring, for people. The first attempt
# is in the outcome.
ATTEMPT = sa.Table(
    "idempotency_attempt",
    metadata,
    sa.Column("entry_id", BIG, sa.ForeignKey("idempotency_entry.id"), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("attempt", sa.String(16), nullable=False),
    sa.Column("fields", sa.JSON, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
)

# Enough to see the shape of a retry storm. Bounded, because a caller may repeat for ever.
ATTEMPTS_KEPT = 16
# A mismatch may differ in hundreds of paths; this many are enough to explain it.
FIELDS_NOTED_MAX = 32
