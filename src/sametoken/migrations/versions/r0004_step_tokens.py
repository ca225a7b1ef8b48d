"""Work keeps the form of its step tokens, and is found by account: accounts take turns."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rows that are there were written by release 0.1.0: their step tokens are hashed.
    op.add_column(
        "work",
        sa.Column("token_form", sa.String(length=8), server_default="hashed", nullable=False),
    )
    op.create_index(
        "work_turn",
        "work",
        ["account", "due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
