"""A command that only reads, or needs what is there, changes nothing it was not meant for.

Each is given what is no database of ours, on both stores: it refuses in a sentence, and what was
there is compared byte by byte with what is there afterwards.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql

from clients.commands import commands
from clients.process import Server, SharedDatabase, identity, launch, new_shared_database, run
from sametoken.cli import main
from sametoken.settings import FIRST_ACCOUNT, KEY_FILE_VARIABLE
from sdk import Keys
from store import servers

Words = tuple[str, ...]
Snapshot = dict[str, Any]

READING: Mapping[Words, Words] = {
    ("accounts", "list"): (),
    ("accounts", "keys"): (FIRST_ACCOUNT,),
    ("tokens", "list"): (),
    ("tokens", "explain"): ("known",),
    ("launches", "list"): (),
    ("limits", "list"): (),
    ("clock",): (),
    ("clock", "show"): (),
    ("env",): (),
    ("run",): ("true",),
}
WRITING: Mapping[Words, Words] = {
    ("accounts", "rekey"): (),
    ("accounts", "signatures"): (FIRST_ACCOUNT, "--v2"),
    ("limits", "set"): ("vpc/*/*", "7"),
    ("limits", "unset"): ("vpc/*/*",),
    ("console", "password"): ("--unset",),
}
# The other commands: they make a database, have one of their own, take none, ask its server, or go
# on until a launch is done.
MAKING = {("serve",), ("worker",), ("migrate",), ("accounts", "create")}
APART = {
    ("demo",), ("accounts", "new-key"), ("backup",), ("completion",), ("config", "show"),
    ("faults", "check"), ("faults", "scenarios"), ("limits", "throttle"), ("launches", "watch"),
}  # fmt: skip
ORDERS = {("clock", "freeze"), ("clock", "resume"), ("clock", "advance"), ("reset",)}
ORDERS |= {("console", "link")}
ORDERS |= {("snapshot", one) for one in ("save", "load", "list", "delete")}
ORDERS |= {("faults", one) for one in ("list", "set", "add", "clear")}
ASKED = [(*command, *more) for command, more in {**READING, **WRITING}.items()]


def test_every_command_is_tried_here_or_said_to_make_a_database() -> None:
    names = ("accounts", "tokens", "launches", "limits", "snapshot", "faults", "config", "console")
    groups = {(), *((name,) for name in names)}
    assert {*commands(main)} - groups == {*READING, *WRITING, *MAKING, *APART, *ORDERS}


def invoked(*words: str, url: str) -> Result:
    # The option first: what follows `run` is another command's.
    count = 2 if words[:2] in {**READING, **WRITING} else 1
    done = CliRunner().invoke(main, [*words[:count], "--database", url, *words[count:]])
    assert "Traceback" not in done.output
    return done


def refused(*words: str, url: str) -> str:
    done = invoked(*words, url=url)
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert isinstance(done.exception, SystemExit), done.exception
    sentence = done.stderr.removeprefix("Error: ").strip()
    assert "\n" not in sentence
    return sentence


def files(folder: Path) -> Snapshot:
    """Every file below `folder`, with its bytes and its time."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.is_file() and path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
    }


def rows(url: str) -> Snapshot:
    """Every table of a PostgreSQL database, with its rows and where they are."""
    with psycopg.connect(url) as session:
        tables = session.execute(
            "SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        query = sql.SQL("SELECT ctid, xmin, t.* FROM {} t")
        return {
            f"{schema}.{table}": session.execute(
                query.format(sql.Identifier(schema, table))
            ).fetchall()
            for schema, table in tables
        }


# -- files ----------------------------------------------------------------------------------------


def missing(path: Path) -> None:
    """Leave the place empty."""


def folder(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.touch()


def letter(path: Path) -> None:
    path.write_text("this is no database, but it is longer than a header of one\n" * 100)


def somebody_elses(path: Path) -> None:
    """As most programs leave theirs, with a table that Alembic makes for everybody."""
    with closing(sqlite3.connect(path)) as session:
        session.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        session.execute("INSERT INTO alembic_version VALUES ('0001')")
        session.execute("CREATE TABLE account (id INTEGER)")
        session.commit()


def of_our_names(path: Path) -> None:
    """A table that is called like ours, and is another."""
    with closing(sqlite3.connect(path)) as session:
        session.execute("CREATE TABLE schema_revision (number INTEGER)")


def logged(path: Path) -> None:
    """In WAL mode, closed: the log went with the last one who had it open."""
    somebody_elses(path)
    with closing(sqlite3.connect(path)) as session:
        session.execute("PRAGMA journal_mode=WAL")
        session.execute("SELECT * FROM account")
    assert not path.with_name(f"{path.name}-wal").exists()


_KILLED = """
import os, signal, sqlite3, sys
session = sqlite3.connect(sys.argv[1], isolation_level=None)
session.execute("PRAGMA journal_mode=WAL")
session.execute("CREATE TABLE other (id INTEGER)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_program(path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert path.with_name(f"{path.name}-wal").stat().st_size
    assert path.with_name(f"{path.name}-shm").exists()


def without_the_index_of_its_log(path: Path) -> None:
    left_by_a_killed_program(path)
    path.with_name(f"{path.name}-shm").unlink()


STRANGE_FILES: Mapping[Callable[[Path], None], str] = {
    missing: "there is no database at {}. Name another with --database",
    folder: "cannot use {} as the database: ",
    empty: "{} is not a database of sametoken's",
    letter: "cannot use {} as the database: file is not a database. Name another with --database",
    somebody_elses: "{} is not a database of sametoken's: it has no table schema_revision",
    of_our_names: "cannot use {} as the database: no such column",
    logged: "{} is not a database of sametoken's",
    left_by_a_killed_program: "{} is not a database of sametoken's",
    without_the_index_of_its_log: "{}-wal has not been folded into some.db",
}


def named(words: Words) -> str:
    return "-".join(word for word in words if word.isalpha())


@pytest.mark.parametrize("words", ASKED, ids=named)
@pytest.mark.parametrize("make", STRANGE_FILES, ids=lambda make: make.__name__)
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], words: Words
) -> None:
    path = tmp_path / "some.db"
    make(path)
    before = files(tmp_path)
    assert STRANGE_FILES[make].format(path) in refused(*words, url=f"sqlite:///{path}")
    assert files(tmp_path) == before


@pytest.mark.parametrize("make", STRANGE_FILES, ids=lambda make: make.__name__)
def test_no_backup_is_made_of_a_file_that_is_not_ours(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "some.db"
    make(path)
    before = files(tmp_path)
    said = refused("backup", str(tmp_path / "copy"), url=f"sqlite:///{path}")
    assert STRANGE_FILES[make].format(path) in said
    assert files(tmp_path) == before


# -- PostgreSQL -----------------------------------------------------------------------------------


def absent() -> str:
    return servers.shared().url("no_such_database")


def nothing_in_it() -> str:
    return servers.new_database()


def another_programs() -> str:
    url = servers.new_database()
    with psycopg.connect(url) as session:
        session.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        session.execute("INSERT INTO alembic_version VALUES ('0001')")
        session.execute("CREATE TABLE account (id integer)")
    return url


STRANGE_DATABASES: Mapping[Callable[[], str], str] = {
    absent: 'database "no_such_database" does not exist. Name another database with --database',
    nothing_in_it: "is not a database of sametoken's: it has no table schema_revision",
    another_programs: "is not a database of sametoken's: it has no table schema_revision",
}


@pytest.fixture(scope="module", params=STRANGE_DATABASES, ids=lambda make: make.__name__)
def strange(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A database's URL, and what is said of it. All commands share it: none changes it."""
    make: Callable[[], str] = request.param
    return make(), STRANGE_DATABASES[make]


@pytest.mark.parametrize("words", ASKED, ids=named)
def test_a_database_that_is_not_ours_is_refused_and_left_as_it_is(
    strange: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Words
) -> None:
    url, why = strange
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "shared.key"))
    before = None if "does not exist" in why else rows(url)
    said = refused(*words, url=url)
    assert why in said
    assert "sametoken@127.0.0.1" in said, "it says which one"
    assert before is None or rows(url) == before
    assert list(tmp_path.iterdir()) == []


# -- ours -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ASKED, ids=named)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(
    store: str,
    template: tuple[Path, Keys],
    newer_shared: SharedDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: Words,
) -> None:
    path = tmp_path / "some.db"
    shutil.copy(template[0], path)
    with closing(sqlite3.connect(path)) as session:
        session.execute(_TAKEN_AWAY)
        session.execute(_NEWER)
        session.commit()
        session.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    snapshot, url = partial(files, tmp_path), f"sqlite:///{path}"
    if store == "postgresql":
        snapshot, url = partial(rows, newer_shared.url), newer_shared.url
        monkeypatch.setenv(KEY_FILE_VARIABLE, str(newer_shared.key_file))
    before = snapshot()
    said = refused(*words, url=url)
    assert "the database is at revision 9999: sametoken 9.9.9 has taken away (9999)" in said
    assert snapshot() == before


_TAKEN_AWAY = "INSERT INTO schema_revision VALUES ('9999', 'contract', '9.9.9')"
_NEWER = "UPDATE alembic_version SET version_num = '9999'"


@pytest.fixture(scope="module")
def newer_shared(tmp_path_factory: pytest.TempPathFactory) -> SharedDatabase:
    made = new_shared_database(tmp_path_factory.mktemp("newer"))
    with psycopg.connect(made.url) as session:
        session.execute(_TAKEN_AWAY)
        session.execute(_NEWER)
    return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedDatabase:
    return new_shared_database(tmp_path_factory.mktemp("shared"))


READ = [(*command, *more) for command, more in READING.items() if command != ("run",)]


def read_everything(url: str) -> str:
    """The output of every listing of a database of ours."""
    told = []
    for words in READ:
        done = invoked(*words, url=url)
        retained = "nothing is kept of" not in done.stderr
        assert (done.exit_code == 0) == retained, done.output
        told.append(done.stdout)
    return "\n".join(told)


def test_a_file_that_nobody_serves_is_read_and_left_as_it_is(
    template: tuple[Path, Keys], tmp_path: Path
) -> None:
    shutil.copy(template[0], tmp_path / "some.db")
    shutil.copy(f"{template[0]}.key", tmp_path / "some.db.key")
    before = files(tmp_path)
    assert template[1].access_key_id in read_everything(f"sqlite:///{tmp_path}/some.db")
    assert files(tmp_path) == before


def test_a_postgresql_database_is_read_and_left_as_it_is(
    shared: SharedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(shared.key_file))
    before = rows(shared.url)
    assert shared.keys.access_key_id in read_everything(shared.url)
    assert rows(shared.url) == before


def test_what_a_killed_server_has_answered_is_read_and_left_as_it_is(server: Server) -> None:
    server.start()
    made = identity(launch(server.client(), "known"))
    server.kill()
    folder = server.database.parent
    assert server.database.with_name("served.db-wal").stat().st_size
    before = files(folder)
    told = read_everything(server.database_url)
    assert made[1] in told
    assert f"AWS_ENDPOINT_URL_EC2={server.url}" in told
    assert files(folder) == before


def test_a_server_is_read_beside_by_a_process_of_its_own(server: Server) -> None:
    server.start()
    made = identity(launch(server.client(), "known"))
    words = ["tokens", "explain", "known", "--database", server.database_url]
    done = run([sys.executable, "-m", "sametoken", *words])
    assert made[1] in done.stdout, done.stderr
    assert identity(launch(server.client(), "known")) == made
    server.stop()
    assert not server.database.with_name("served.db-wal").exists(), "its log was folded"


def test_a_database_that_was_migrated_alone_is_read_and_gets_no_account(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/some.db"
    assert CliRunner().invoke(main, ["migrate", "--database", url]).exit_code == 0
    before = files(tmp_path)
    for words in (("accounts", "list"), ("tokens", "list"), ("limits", "list")):
        assert invoked(*words, url=url).exit_code == 0
    assert "there is no account 'default'; there is none yet" in refused("env", url=url)
    assert "there is no account 'default'" in refused("accounts", "keys", FIRST_ACCOUNT, url=url)
    assert files(tmp_path) == before


@pytest.fixture(autouse=True)
def no_command_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`sametoken run` becomes another program; in these tests it never gets that far."""

    def runs(*_: object) -> None:
        raise AssertionError("it was to be refused")

    with monkeypatch.context() as patch:
        patch.setattr("os.execvpe", runs)
        yield
