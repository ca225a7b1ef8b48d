"""A real `sametoken serve` process: started, killed, restarted and looked into. For tests only.

Every wait here is for another process and is bounded; a test that waits in vain fails. Only
processes started here are ever signalled, by their own handle.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from botocore.exceptions import ConnectionError as CannotConnect
from botocore.exceptions import HTTPClientError

import sametoken
from clients.nursery import Forked, nursery
from plane import LAUNCH
from sametoken.cli.database import named_database
from sametoken.faults.kinds import Kind
from sametoken.faults.reading import told
from sametoken.faults.rules import Rule
from sametoken.operate.accounts import add_key
from sametoken.operate.opening import making
from sametoken.resources.network import default_vpc
from sametoken.settings import KEY_FILE_VARIABLE
from sametoken.store.port import Tx
from sametoken.world import RealWorld
from sdk import REGION, Keys, client
from store import servers

# PATIENCE_SECONDS is so long that only a hang reaches it, even on a busy machine.
PATIENCE_SECONDS = 120.0
# STOP_SECONDS_MAX is a service manager's time between SIGTERM and SIGKILL.
STOP_SECONDS_MAX = 10.0
# Seconds between two looks at another process: short against the wait, cheap to repeat.
_LOOK_SECONDS = 0.02
# Errors of botocore when the connection was refused, or ended without an answer.
NO_ANSWER: tuple[type[Exception], ...] = (HTTPClientError, CannotConnect)
# PROCESSES is how many edges the servers have that are asked for no number of them:
# `SAMETOKEN_TEST_PROCESSES=1 make test` runs them with an edge of its own.
PROCESSES = os.environ.get("SAMETOKEN_TEST_PROCESSES", "0")
_FIRST_LINE = "sametoken serves EC2 at "


def environment(**more: str) -> dict[str, str]:
    """The environment of a subprocess: this interpreter's package, no AWS set-up of the user's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SAMETOKEN_"))
    }
    package = str(Path(sametoken.__file__).parent.parent)
    path = os.pathsep.join(part for part in (package, kept.get("PYTHONPATH")) if part)
    return {
        **kept,
        "PYTHONPATH": path,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        **more,
    }


def command(*words: str) -> list[str]:
    """`sametoken` with these words, by this interpreter."""
    return [sys.executable, "-m", "sametoken", *words]


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Look until `true()`; fail after `seconds`, naming `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        threading.Event().wait(_LOOK_SECONDS)


def prepare(database: Path) -> Keys:
    """Make a database with one more account and its default VPC; return the account's key."""
    return prepare_at(f"sqlite:///{database}")


def prepare_at(url: str) -> Keys:
    """Prepare any database in that way."""
    with making(named_database(url), RealWorld()) as here:

        def run(tx: Tx) -> Keys:
            made = Keys(*add_key(tx, here.sealer, "clients", access="full"))
            default_vpc.seed(tx, made.account, REGION)
            return made

        return here.store.run(run)


@dataclass(frozen=True)
class SharedDatabase:
    """A prepared PostgreSQL database, and the variables that its nodes need."""

    url: str
    keys: Keys
    key_file: Path

    @property
    def settings(self) -> dict[str, str]:
        return {KEY_FILE_VARIABLE: str(self.key_file)}


def new_shared_database(folder: Path) -> SharedDatabase:
    """Make one on this process's PostgreSQL server, with an account and its default VPC."""
    url, key_file = servers.new_database(), folder / "shared.key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_FILE_VARIABLE, str(key_file))
        return SharedDatabase(url, prepare_at(url), key_file)


class Server:
    """A database, and the process that serves it now, if any."""

    def __init__(
        self,
        folder: Path,
        keys: Keys,
        *,
        boot_seconds: float = 0.05,
        postgresql: str | None = None,
        settings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.database = folder / "served.db"
        self.keys = keys
        self._postgresql = postgresql
        self.settings = dict(settings or {})
        self._words = ("serve", "--port", "{port}", "--processes", PROCESSES, *options)
        self._first_line = _FIRST_LINE
        self.boot_seconds = boot_seconds
        self.log = folder / "log"
        self.url = ""
        self._process: Forked | None = None

    @classmethod
    def copied(cls, template: Path, keys: Keys, folder: Path, **options: Any) -> Self:
        """A server on a copy of a prepared database."""
        server = cls(folder, keys, **options)
        shutil.copy(template, server.database)
        shutil.copy(f"{template}.key", f"{server.database}.key")
        return server

    @classmethod
    def on_postgresql(cls, shared: SharedDatabase, folder: Path, **options: Any) -> Self:
        """Make a node of a PostgreSQL database."""
        folder.mkdir(exist_ok=True)
        return cls(folder, shared.keys, postgresql=shared.url, settings=shared.settings, **options)

    def as_worker(self, folder: Path) -> Self:
        """Make a worker of the same PostgreSQL database."""
        folder.mkdir()
        worker = type(self)(
            folder, self.keys, boot_seconds=self.boot_seconds, postgresql=self._postgresql,
            settings=self.settings,
        )  # fmt: skip
        worker._words, worker._first_line = ("worker",), "sametoken works for "
        return worker

    def advance(self, **by: float) -> None:
        """Move the clock of a PostgreSQL database on, as if that time had passed."""
        assert self._postgresql is not None, "the file has one writer, which is not us"
        us = timedelta(**by) // timedelta(microseconds=1)
        with psycopg.connect(self._postgresql) as session:
            session.execute("UPDATE store_clock SET offset_us = offset_us + %s", (us,))

    @property
    def database_url(self) -> str:
        return self._postgresql or f"sqlite:///{self.database}"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def process(self) -> Forked:
        assert self._process is not None, "start() comes first"
        return self._process

    def start(self, *, port: int = 0, crash_at: str | None = None) -> None:
        """Start, and wait for the first line; a process that crashes before it is an error.

        `crash_at`, POINT:N: it is killed where it reaches that point for the N-th time.
        """
        assert self._process is None, "one process at a time"
        killed = () if crash_at is None else self._killed_at(*crash_at.split(":"))
        with self.log.open("a") as log:
            self._process = nursery().start(
                [*(word.format(port=port) for word in self._words), "--database",
                 self.database_url, "--boot-seconds", str(self.boot_seconds), *killed],
                environment(**self.settings), log.fileno(),
            )  # fmt: skip
        output = self._process.stdout
        assert select.select([output], [], [], PATIENCE_SECONDS)[0], "the server said nothing"
        line = output.readline()
        assert line.startswith(self._first_line), f"{line!r}; log: {self.log.read_text()}"
        self.url = line.removeprefix(self._first_line).split()[0]

    def _killed_at(self, point: str, number: str = "1") -> Sequence[str]:
        """Write a rule that kills the process there; returns the options that put it in force."""
        rule = Rule(Kind.KILL, point=point, skip=int(number) - 1, times=1)
        file = self.folder / "kill.toml"
        lines = [f"{key} = {json.dumps(value)}" for key, value in told(rule).items()]
        file.write_text("\n".join(["[[rules]]", *lines]))
        return "--processes", "0", "--dev", "--faults", str(file)

    def wait_killed(self) -> None:
        """Wait until the process has killed itself."""
        self._end(PATIENCE_SECONDS, -signal.SIGKILL)

    def wait_ended(self, status: int) -> None:
        """Wait until the process has ended by itself, with this status."""
        self._end(PATIENCE_SECONDS, status)

    def kill(self) -> None:
        """Kill the process (SIGKILL): it flushes nothing and closes no connection."""
        self.process.kill()
        self._end(PATIENCE_SECONDS, -signal.SIGKILL)

    def stop(self) -> None:
        """Stop as a service manager does: SIGTERM, and so many seconds."""
        self.process.terminate()
        self._end(STOP_SECONDS_MAX, 0)

    def close(self) -> None:
        """End the process if it still runs, after a test that failed."""
        if self._process is not None:
            self.kill()

    def _end(self, seconds: float, expected: int) -> None:
        process, self._process = self.process, None
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            process.stdout.close()
        assert code == expected, f"exit status {code}; log: {self.log.read_text()}"

    def client(self, service: str = "ec2", *, keys: Keys | None = None, **config: Any) -> Any:
        return client(self.url, keys or self.keys, service, **config)

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        """Read rows behind the server's back."""
        if self._postgresql is not None:
            with psycopg.connect(self._postgresql) as session:
                query = sql.replace("%", "%%").replace("?", "%s") if parameters else sql
                return session.execute(query.encode(), parameters or None).fetchall()
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def settle(self) -> None:
        """Wait until the runners have nothing left to do."""
        until(lambda: not self._due(), "the runners' work is done")

    def _due(self) -> int:
        return int(self.rows("SELECT count(*) FROM work WHERE due_at IS NOT NULL")[0][0])

    def log_lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def has_stopped(node: Server) -> bool:
    """Has a signal stopped the process?"""
    assert node.process.poll() is None, "it ended instead"
    return node.process.is_stopped


@contextmanager
def closing_server(server: Server) -> Iterator[Server]:
    """Give `server` to the block, and kill it at the end if it still runs."""
    try:
        yield server
    finally:
        server.close()


def launch(ec2: Any, token: str | None, **more: Any) -> Any:
    """Send the RunInstances that every test here sends, changed by `more`."""
    named = {} if token is None else {"ClientToken": token}
    return ec2.run_instances(**{**LAUNCH, **named, **more})


def identity(answer: Any) -> tuple[str, ...]:
    """The reservation and its instances, in order: a repeat must answer with the same."""
    return (answer["ReservationId"], *(one["InstanceId"] for one in answer["Instances"]))


def lasting_port() -> int:
    """A free port to which a restarted server can return.

    It is below those that the kernel hands out by itself, so that no other process gets it
    meanwhile.
    """
    for port in range(20_000 + os.getpid() % 5_000, 30_000):
        with closing(socket.socket()) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("thousands of ports, and none is free")


def run(words: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, `more` in its environment."""
    return subprocess.run(
        words, env=environment(**more), capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS * 2,
    )  # fmt: skip
