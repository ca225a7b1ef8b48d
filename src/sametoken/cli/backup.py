"""`sametoken backup`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from sametoken.cli.database import database_option, named_database
from sametoken.errors import Misconfigured
from sametoken.server.sealing import KEY_VARIABLE
from sametoken.store.backup import back_up


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@database_option
def backup(file: Path, database: str) -> None:
    """Copy a SQLite database to FILE, a new file, while it is served."""
    found = named_database(database)
    if found.file is None:
        raise Misconfigured(
            f"{found} is on PostgreSQL, which has pg_dump for that: "
            "pg_dump --format custom --file FILE URL"
        )
    target = file.expanduser().absolute()
    shown = sys.stderr.isatty()
    with click.progressbar(length=0, file=sys.stderr, hidden=not shown) as bar:

        def progress(left: int, pages: int) -> None:
            bar.length = pages
            bar.update(pages - left - bar.pos)

        back_up(found.file, target, progress)
    key = KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else found.key_file
    click.echo(f"{target} is a copy of {found.file}, {target.stat().st_size:,} bytes")
    click.echo(f"Keep the key apart, without which its secrets are lost: {key}")
