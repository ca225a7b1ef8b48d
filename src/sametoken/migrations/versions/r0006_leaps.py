"""The clock's row counts the time that has passed, and leaps are kept that skipped some."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("passed_us", "leapt_us"):
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("store_clock", column)
    op.create_table(
        "clock_leap",
        sa.Column("passed_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("by_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("passed_us"),
    )
