"""${message}

Phase "expand": only adds, so that nodes of the release before work on. Phase "contract": takes away
what only older releases use; `sametoken migrate --contract` applies it.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
phase = "expand"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
