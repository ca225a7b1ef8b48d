"""Stories: attempts under a token, where the first one came from, and the history of work."""

import sqlalchemy as sa
from alembic import op

from sametoken.store.columns import Moment

revision = "0008"
down_revision = "0007"
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("idempotency_entry", "idempotency_other_zone"):
        op.add_column(table, sa.Column("origin", sa.String(length=300)))
    op.add_column("work", sa.Column("owner", sa.String(length=80)))
    op.add_column("work", sa.Column("history", sa.Text()))
    op.create_table(
        "attempt",
        sa.Column("client_token", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=128), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("kept_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("client_token", "account", "region", "action"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "attempt_kept",
        "attempt",
        ["kept_until"],
        sqlite_where=sa.text("kept_until IS NOT NULL"),
        postgresql_where=sa.text("kept_until IS NOT NULL"),
    )
