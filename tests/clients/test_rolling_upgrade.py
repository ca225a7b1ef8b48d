"""Two releases side by side on one PostgreSQL database, as processes: this one, and one to come.

The one to come is this program with two revisions more: a column that it adds, and that it then
takes away again.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from clients.process import (
    PATIENCE_SECONDS,
    STOP_SECONDS_MAX,
    SharedDatabase,
    command,
    environment,
    identity,
    launch,
    new_shared_database,
    run,
    until,
)
from sametoken.cli import main
from sametoken.migrations.upgrade import head
from sdk import client
from store.next_release import CONTRACTING, EXPANDING, PACKAGE, package

NEXT = CONTRACTING.id


@dataclass
class Release:
    """A release's commands on one database, its nodes among them."""

    package: Path
    shared: SharedDatabase

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(self.package), os.environ.get("PYTHONPATH")]))
        return {
            "PYTHONPATH": path, "SAMETOKEN_DATABASE": self.shared.url, **self.shared.settings,
        }  # fmt: skip

    def says(self, *words: str) -> str:
        done = run(command(*words), **self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, *words: str) -> str:
        done = run(command(*words), **self.environment)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr

    @contextmanager
    def node(self, log: Path) -> Iterator[str]:
        """Serve with a node for the block, and stop it at the end; yields its URL."""
        with log.open("w") as written:
            process = subprocess.Popen(
                command("serve", "--port", "0", "--boot-seconds", "0.05"),
                env=environment(**self.environment), stdout=subprocess.PIPE, stderr=written,
                text=True,
            )  # fmt: skip
        assert process.stdout is not None, "its output is a pipe"
        try:
            assert select.select([process.stdout], [], [], PATIENCE_SECONDS)[0], "it said nothing"
            line = process.stdout.readline()
            assert line.startswith("sametoken serves EC2 at "), f"{line!r}; {log.read_text()}"
            yield line.split()[4]
        finally:
            process.terminate()
            process.wait(STOP_SECONDS_MAX)
            process.stdout.close()


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Release, Release]:
    """This release and the next, on a database that this one has made."""
    shared = new_shared_database(tmp_path)
    later = package(tmp_path / "later", EXPANDING, CONTRACTING)
    return Release(PACKAGE.parent, shared), Release(later, shared)


def states(ec2: Any) -> list[str]:
    found = ec2.describe_instances()
    return [one["State"]["Name"] for each in found["Reservations"] for one in each["Instances"]]


def test_nodes_of_two_releases_answer_each_others_tokens_and_only_then_may_it_contract(
    releases: tuple[Release, Release], tmp_path: Path
) -> None:
    now, later = releases
    keys = now.shared.keys
    with later.node(tmp_path / "later.log") as new_url:
        new = client(new_url, keys)
        with now.node(tmp_path / "now") as old_url:
            # Start the new release first: the old one then starts on a database newer than itself.
            old = client(old_url, keys)
            assert "newer sametoken" in (tmp_path / "now").read_text()
            first = identity(launch(old, "by-the-old"))
            second = identity(launch(new, "by-the-new"))
            assert identity(launch(new, "by-the-old")) == first
            assert identity(launch(old, "by-the-new")) == second
            until(lambda: states(new) == ["running"] * 2, "either drives what both took")

            refused = later.refuses("migrate", "--contract")
            assert f"revision {NEXT} takes away what older nodes use" in refused
            assert old_url in refused
            assert new_url not in refused
        assert later.says("migrate").endswith(f"sametoken migrate --contract ({NEXT})\n")
        assert later.says("migrate", "--contract").endswith(f"is at revision {NEXT}\n")
        assert identity(launch(new, "by-the-old")) == first
        assert states(new) == ["running"] * 2

    done = CliRunner().invoke(
        main, ["serve", "--port", "0", "--processes", "0"], env=now.environment
    )
    assert done.exit_code == 1
    assert f"has taken away ({NEXT})" in done.stderr
    assert f"revision {head()}" in done.stderr
    with psycopg.connect(now.shared.url) as connection:
        found = connection.execute("SELECT count(*) FROM resource WHERE kind = 'instance'")
        assert found.fetchone() == (2,)
