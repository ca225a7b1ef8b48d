"""Commands of `sametoken` as a user gives them, in this process."""

from __future__ import annotations

import re

from click.testing import CliRunner

from sametoken.cli import main
from sdk import Keys


def sametoken(*words: str, database: str) -> str:
    """Run the command, which must succeed, and return its output."""
    done = CliRunner().invoke(main, [*words, "--database", database])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return done.stdout


def refused(*words: str, database: str) -> str:
    """The sentence with which the command refuses."""
    done = CliRunner().invoke(main, [*words, "--database", database])
    assert done.exit_code in (1, 2), done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def create(name: str, *words: str, database: str) -> Keys:
    said = sametoken("accounts", "create", name, *words, database=database)
    found = re.fullmatch(
        rf"account +(\d{{12}}) \({name}\)\n"
        r"access key id +(\w+)(?: \(read-only\))?\n"
        r"secret access key (\w+)\n",
        said,
    )
    assert found is not None, said
    return Keys(*found.groups())
