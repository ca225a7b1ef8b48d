"""Releases to come: this one's revisions, copied, and what each test adds to them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import sametoken
from sametoken.migrations.upgrade import revisions

PACKAGE = Path(sametoken.__file__).parent


@dataclass(frozen=True)
class Added:
    """A revision of a later release. `does` is a line of its `upgrade`."""

    id: str
    phase: str
    does: str


# A column comes with one release and goes with another.
EXPANDING = Added("1001", "expand", "op.add_column('resource', sa.Column('colour', sa.Text))")
CONTRACTING = Added("1002", "contract", "op.drop_column('resource', 'colour')")
EXPANDING_AGAIN = Added("1003", "expand", "op.create_table('hue', sa.Column('name', sa.Text))")

_SCRIPT = """\"\"\"Of a release to come.\"\"\"

import sqlalchemy as sa
from alembic import op

revision, down_revision, phase = {id!r}, {after!r}, {phase!r}
branch_labels = depends_on = None


def upgrade() -> None:
    {does}
"""


def scripts(folder: Path, *added: Added) -> str:
    """Where the revisions of a release are that knows this one's and `added`."""
    shutil.copytree(PACKAGE / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    after = revisions()[-1].id
    for one in added:
        text = _SCRIPT.format(id=one.id, after=after, phase=one.phase, does=one.does)
        (folder / "versions" / f"r{one.id}_added.py").write_text(text)
        after = one.id
    return str(folder)


def package(folder: Path, *added: Added) -> Path:
    """This program with `added` revisions, in a folder to import it from."""
    shutil.copytree(PACKAGE, folder / "sametoken", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(folder / "sametoken" / "migrations")
    scripts(folder / "sametoken" / "migrations", *added)
    return folder
