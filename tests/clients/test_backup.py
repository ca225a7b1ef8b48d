"""Backups made and restored as docs/backup.md shows: by its own commands, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clients.holdings import held, whole
from clients.process import (
    PATIENCE_SECONDS,
    Server,
    closing_server,
    environment,
    identity,
    launch,
    prepare,
    until,
)
from ec2.asking import AT_ONCE
from plane import running_plane
from sametoken.cli import main
from sametoken.errors import Misconfigured
from sametoken.server.sealing import KEY_VARIABLE, new_key
from sametoken.settings import Database, read_database
from sametoken.workflow.work import LEASE
from sdk import Keys
from store import servers

_PAGE = Path(__file__).parents[2] / "docs" / "backup.md"
_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
# Headings of that page; a test here runs each.
BACK_UP_FILE, RESTORE_FILE = "Back up a SQLite file", "Restore a SQLite file"
DUMP, RESTORE_DUMP = "Back up a PostgreSQL database", "Restore a PostgreSQL database"


def shown() -> dict[str, list[str]]:
    """The commands that the page shows, by the section they are in."""
    found = {
        heading: [
            line.removeprefix("$ ")
            for block in _BLOCK.findall(text)
            for line in block.splitlines()
            if line.startswith("$ ")
        ]
        for heading, text in _SECTION.findall(_PAGE.read_text())
    }
    return {heading: commands for heading, commands in found.items() if commands}


def follow(heading: str, folder: Path, **more: str) -> str:
    """Run the commands under `heading` in `folder`; return their output."""
    path = [str(Path(sys.executable).parent), str(servers.programs()), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-euc", "\n".join(shown()[heading])], cwd=folder,
        env=environment(PATH=os.pathsep.join(path), **more), timeout=PATIENCE_SECONDS,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def by_command(database: Path, copy: Path) -> str:
    done = CliRunner().invoke(main, ["backup", str(copy), "--database", f"sqlite:///{database}"])
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def refused(*words: str, **more: str) -> str:
    done = CliRunner().invoke(main, list(words), env=more)
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.stderr
    return done.stderr


def instances(client: Any) -> dict[str, str]:
    """The state of each instance."""
    found = client.describe_instances()["Reservations"]
    return {one["InstanceId"]: one["State"]["Name"] for each in found for one in each["Instances"]}


def test_every_command_of_the_page_is_run_here() -> None:
    assert set(shown()) == {BACK_UP_FILE, RESTORE_FILE, DUMP, RESTORE_DUMP}


# -- SQLite -------------------------------------------------------------------------------------


def test_a_restored_file_replays_what_it_holds_and_makes_the_rest_once(
    template: tuple[Path, Keys], tmp_path: Path
) -> None:
    # Boot slowly, so that the machine is not yet running when the copy is made.
    server = Server.copied(*template, tmp_path, boot_seconds=2.0)
    for end in ("", ".key"):
        Path(f"{server.database}{end}").rename(tmp_path / f"plane.db{end}")
    server.database = tmp_path / "plane.db"
    with closing_server(server):
        server.start()
        ended, *held_by_copy = [identity(launch(server.client(), f"before-{n}")) for n in range(3)]
        said = follow(BACK_UP_FILE, tmp_path)
        assert "backups/monday.db is a copy of" in said
        assert "plane.db.key" in said, "it says which key belongs to it"
        lost = identity(launch(server.client(), "after"))
        server.client().terminate_instances(InstanceIds=[ended[1]])
        server.kill()
        (tmp_path / "plane.db.key").unlink()

        follow(RESTORE_FILE, tmp_path)
        server.boot_seconds = 0.05
        server.start()
        again = [identity(launch(server.client(), f"before-{n}")) for n in range(3)]
        assert again == [ended, *held_by_copy]
        server.settle()
        # The lost launch was not repeated, so the restored server knows nothing of it.
        assert set(instances(server.client())) == {id for _, id in again}
        made = [identity(launch(server.client(), "after")) for _ in range(2)]
        assert made[0] == made[1]
        assert not set(made[0]) & set(lost)
        server.settle()
        assert set(instances(server.client()).values()) == {"running"}
        assert held(server) == whole(running=4)


def reached(acknowledged: list[tuple[str, ...]], count: int) -> bool:
    return len(acknowledged) >= count


def test_copies_of_a_busy_server_are_each_of_one_moment(server: Server, tmp_path: Path) -> None:
    server.start()
    acknowledged: list[tuple[str, ...]] = []
    enough = threading.Event()

    def keep_launching(caller: int) -> None:
        client = server.client()
        for number in range(10_000):
            if enough.is_set():
                return
            acknowledged.append(identity(launch(client, f"{caller}-{number}")))

    callers = [threading.Thread(target=keep_launching, args=(n,)) for n in range(3)]
    for caller in callers:
        caller.start()
    held_before: dict[Path, set[str]] = {}
    try:
        for number in range(4):
            target = len(acknowledged) + 5
            until(partial(reached, acknowledged, target), "they go on launching")
            copy = tmp_path / f"copy-{number}"
            held_before[copy] = {instance for _, instance in list(acknowledged)}
            by_command(server.database, copy)
    finally:
        enough.set()
        for caller in callers:
            caller.join()
    for copy, expected in held_before.items():
        looked_at = Server(tmp_path, server.keys)
        looked_at.database = copy
        [[sound]] = looked_at.rows("PRAGMA integrity_check")
        assert sound == "ok"
        there = {
            row[0] for row in looked_at.rows("SELECT id FROM resource WHERE kind = 'instance'")
        }
        assert there >= expected, "what was answered before it began is in it"
        counts = held(looked_at)
        assert counts["entries"] == len(there)
        assert [name for name in counts if name.startswith(("a ", "an ", "work "))] == []


def test_a_restored_file_without_its_key_is_refused_and_gets_no_other(
    template: tuple[Path, Keys], tmp_path: Path
) -> None:
    by_command(template[0], tmp_path / "restored.db")
    key = tmp_path / "restored.db.key"
    words = ["serve", "--port", "0", "--database", f"sqlite:///{tmp_path}/restored.db"]
    said = f"the key file {key} is missing; restore it or set SAMETOKEN_KEY"
    assert said in refused(*words)
    assert not key.exists()
    said = "this database's secrets are sealed with key"
    assert said in refused(*words, **{KEY_VARIABLE: new_key()})


def test_a_copy_from_before_a_rekey_needs_the_former_key_which_may_stand_beside_the_new_one(
    template: tuple[Path, Keys], tmp_path: Path
) -> None:
    served, copy = tmp_path / "plane.db", tmp_path / "copy.db"
    keys = prepare(served)
    former = Path(f"{served}.key").read_text()
    by_command(served, copy)
    in_file = ["--database", f"sqlite:///{served}"]
    assert CliRunner().invoke(main, ["accounts", "rekey", *in_file]).exit_code == 0
    current = Path(f"{served}.key").read_text()
    assert current != former

    key = Path(f"{copy}.key")
    key.touch(0o600)
    listed = ["accounts", "keys", "clients", "--database", f"sqlite:///{copy}"]
    key.write_text(current)
    assert "sealed with key" in refused(*listed)
    key.write_text(current + former)
    assert keys.secret in CliRunner().invoke(main, listed).stdout
    assert CliRunner().invoke(main, ["accounts", "rekey", *listed[3:]]).exit_code == 0
    assert former not in key.read_text()
    assert keys.secret in CliRunner().invoke(main, listed).stdout


def test_a_backup_replaces_nothing_and_makes_no_database(tmp_path: Path) -> None:
    database, copy = tmp_path / "some.db", tmp_path / "copy"
    prepare(database)
    url = f"sqlite:///{database}"
    copy.write_text("of yesterday")
    for target in (copy, database):
        before = target.read_bytes()
        assert "is there already" in refused("backup", str(target), "--database", url)
        assert target.read_bytes() == before
    said = refused("backup", str(tmp_path / "no" / "copy"), "--database", url)
    assert f"there is no folder {tmp_path / 'no'}" in said
    said = refused("backup", str(tmp_path / "x"), "--database", f"sqlite:///{tmp_path}/y.db")
    assert f"there is no database at {tmp_path}/y.db" in said
    assert "pg_dump" in refused("backup", str(tmp_path / "x"), "--database", "postgresql://u@h/d")
    assert {path.name for path in tmp_path.iterdir()} <= {
        "copy", "some.db", "some.db.key", "some.db-gate", "some.db-turn",
    }  # fmt: skip


def test_a_copy_is_for_its_owner_only(template: tuple[Path, Keys], tmp_path: Path) -> None:
    by_command(template[0], tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


# -- PostgreSQL ---------------------------------------------------------------------------------


def other_key(folder: Path) -> Path:
    file = folder / "another-key"
    file.write_text(new_key())
    file.chmod(0o600)
    return file


@contextmanager
def restored_dump(database: Database, folder: Path) -> Iterator[Database]:
    """Restore the dump into a new database."""
    url = f"{database.url.rpartition('/')[0]}/restored"
    follow(RESTORE_DUMP, folder, SAMETOKEN_DATABASE=database.url, RESTORED_DATABASE=url)
    yield replace(database, url=url)
    servers.drop_database(url)


def test_a_restored_dump_replays_what_it_holds_and_makes_the_rest_once(tmp_path: Path) -> None:
    database = read_database(servers.new_database(), tmp_path / "key")
    with running_plane(tmp_path, database=database, boot_seconds=2.0) as plane:
        keys = plane.account("restored")
        client = plane.client(keys=keys)
        held_by_copy = [identity(launch(client, f"before-{n}")) for n in range(2)]
        follow(DUMP, tmp_path, SAMETOKEN_DATABASE=database.url)
        lost = identity(launch(client, "after"))

    with restored_dump(database, tmp_path) as restored:
        wrong = replace(restored, key_file=other_key(tmp_path))
        with (
            pytest.raises(Misconfigured, match="sealed with key"),
            running_plane(tmp_path, database=wrong),
        ):
            pass
        with running_plane(tmp_path, database=restored) as plane:
            client = plane.client(keys=keys)
            again = [identity(launch(client, f"before-{n}")) for n in range(2)]
            assert again == held_by_copy
            assert set(instances(client)) == {id for _, id in held_by_copy}
            made = [identity(launch(client, "after")) for _ in range(2)]
            assert made[0] == made[1]
            assert not set(made[0]) & set(lost)
            ids = [id for _, id in [*held_by_copy, made[0]]]
            # Wait out the lease: the work that a node held when the dump was made stays its own so
            # long.
            plane.advance(LEASE)
            client.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=AT_ONCE)
            assert set(instances(client)) == set(ids)
