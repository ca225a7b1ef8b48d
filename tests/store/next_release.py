"""Future releases: copies of this release's revisions, and further ones that each test adds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import sametoken
from sametoken.migrations.upgrade import revisions

PACKAGE = Path(sametoken.__file__).parent


@dataclass(frozen=True)
class Added:
    """A revision of a later release. `does` is the code of its `upgrade`."""

    id: str
    phase: str
    does: str


# A column that one release adds and another removes.
EXPANDING = Added("1001", "expand", "op.add_column('resource', sa.Column('colour', sa.Text))")
CONTRACTING = Added("1002", "contract", "op.drop_column('resource', 'colour')")
EXPANDING_AGAIN = Added("1003", "expand", "op.create_table('hue', sa.Column('name', sa.Text))")

_SCRIPT = """\"\"\"Of a release to come.\"\"\"

import sqlalchemy as sa
from alembic import op

revision = "{id}"
down_revision = "{after}"
phase = "{phase}"
branch_labels = depends_on = None


def upgrade() -> None:
    {does}
"""


def scripts(folder: Path, *added: Added) -> str:
    """Write the revisions of a release, this one's and `added`, and return where they are."""
    shutil.copytree(PACKAGE / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    after = revisions()[-1].id
    for one in added:
        text = _SCRIPT.format(id=one.id, after=after, phase=one.phase, does=one.does)
        (folder / "versions" / f"r{one.id}_added.py").write_text(text)
        after = one.id
    return str(folder)


def package(folder: Path, *added: Added) -> Path:
    """Copy this program and add the revisions `added`; return the folder to import it from."""
    shutil.copytree(PACKAGE, folder / "sametoken", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(folder / "sametoken" / "migrations")
    scripts(folder / "sametoken" / "migrations", *added)
    return folder
