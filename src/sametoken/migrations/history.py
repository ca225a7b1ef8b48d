"""The revisions that a database has had, and what each did to older programs.

A row for each. Alembic keeps only the newest revision's name, which tells nothing to a program that
does not know it.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

metadata = sa.MetaData()

# An EXPAND only adds: a program that does not know the revision works on beside one that does.
EXPAND = "expand"
# A CHANGE alters what is there: a program that does not know the revision refuses the database. It
# is applied like an expansion, when a database is opened, so all nodes must have been stopped.
CHANGE = "change"
# A CONTRACT takes away or changes what is there: only programs that know the revision can work on.
CONTRACT = "contract"

# The `version` is that of the program that applied the revision. Revisions are named so that they
# sort by age.
APPLIED = sa.Table(
    "schema_revision",
    metadata,
    sa.Column("revision", sa.String(32), primary_key=True),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
)

# Made and written by Alembic; read here too, because importing Alembic takes longer than all else
# that opening an up-to-date database does. Outside `metadata`, which is the program's own.
NEWEST = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32)))


@dataclass(frozen=True, slots=True)
class Applied:
    """A revision that a database has had."""

    revision: str
    phase: str
    version: str


def newest(connection: sa.Connection) -> str | None:
    """The newest revision that was applied, which Alembic notes; None if none was."""
    if not sa.inspect(connection).has_table(NEWEST.name):
        return None
    found: str | None = connection.execute(sa.select(NEWEST.c.version_num)).scalar()
    return found


def record(connection: sa.Connection, applied: Applied) -> None:
    values = {"revision": applied.revision, "phase": applied.phase, "version": applied.version}
    connection.execute(sa.insert(APPLIED), values)


def applied(connection: sa.Connection) -> list[Applied]:
    """All revisions that a database has had, the oldest first; none if it is not ours."""
    if not sa.inspect(connection).has_table(APPLIED.name):
        return []
    rows = connection.execute(sa.select(APPLIED).order_by(APPLIED.c.revision))
    return [Applied(row.revision, row.phase, row.version) for row in rows]
