"""The clock's row counts its switches: an operator may freeze it, and let it go on."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("switched", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("store_clock", column)
