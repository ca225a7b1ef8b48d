"""A stamp on each account's Region: nodes keep in memory what they looked up under it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("region_seed", sa.Column("stamp", sa.String(length=36)))
