"""`sametoken backup`: a copy of a SQLite database, also while it is served."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sametoken.cli.database import database_option
from sametoken.operate.backups import copy_to
from sametoken.settings import Database
from sametoken.world import RealWorld


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@database_option
def backup(file: Path, database: Database) -> None:
    """Copy a SQLite database to FILE, a new file, while it is served."""
    shown = sys.stderr.isatty()
    with click.progressbar(length=0, file=sys.stderr, hidden=not shown) as bar:

        def progress(left: int, pages: int) -> None:
            bar.length = pages
            bar.update(pages - left - bar.pos)

        made = copy_to(database, file.expanduser().absolute(), RealWorld(), progress)
    click.echo(f"{made.file} is a copy of {database}, {made.size:,} bytes")
    click.echo(f"Keep the key apart, without which its secrets are lost: {made.key}")
