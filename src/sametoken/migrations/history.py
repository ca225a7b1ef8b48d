"""Which revisions a database has had, and what each did to older programs. One row a revision.

Alembic keeps only the newest one's name, which tells nothing to a program that does not know it.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

metadata = sa.MetaData()

# Only adds: a program that does not know the revision works on beside one that does.
EXPAND = "expand"
# Takes away, or changes what is there: only for programs that know it.
CONTRACT = "contract"

# `version` is the program's that applied it. Revisions are named so that they sort by age.
APPLIED = sa.Table(
    "schema_revision",
    metadata,
    sa.Column("revision", sa.String(32), primary_key=True),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Applied:
    """One revision that a database has had."""

    revision: str
    phase: str
    version: str


def record(connection: sa.Connection, applied: Applied) -> None:
    values = {"revision": applied.revision, "phase": applied.phase, "version": applied.version}
    connection.execute(sa.insert(APPLIED), values)


def applied(connection: sa.Connection) -> list[Applied]:
    """Every revision a database has had, the oldest first; none for one that is not ours."""
    if not sa.inspect(connection).has_table(APPLIED.name):
        return []
    rows = connection.execute(sa.select(APPLIED).order_by(APPLIED.c.revision))
    return [Applied(row.revision, row.phase, row.version) for row in rows]
