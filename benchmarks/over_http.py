"""A real `sametoken serve`, and one client process on the same machine: a caller's view.

Two servers, each with a store of its own: one with few instances stored, one with many. Requests
are signed before the clock starts. Beside them the floor: GetCallerIdentity, which costs a
connection, a form, a signature and a log line, but no transaction and no instance.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import crowd
from connections import Signer, send
from measure import Run, cpu_seconds_of, http_table, interleave
from stores import LAUNCH, REGION

from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepare
from sametoken.server.sealing import load_sealer
from sametoken.settings import database_of
from sametoken.world import RealWorld

CONNECTIONS = (8, 64)
PAGE = 100
# Ids that "describe one" asks for in turn, at most.
DESCRIBED_MAX = 500
START_SECONDS_MAX = 30.0
DRAIN_SECONDS_MAX = 90.0
_POLL_SECONDS = 0.05
# Launches of one round: enough for the figure, few enough that they soon run.
_LAUNCHES_MAX = 400


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, a key of its reading account, and one of the account that launches."""

    process: subprocess.Popen[str]
    database: Path
    reads: Signer
    launches: Signer
    described: tuple[str, ...]


def measure(folder: Path, *, rounds: int, seconds: float, stored: tuple[int, ...]) -> None:
    """Print one table for each number of stored instances."""
    with ExitStack() as stack:
        servers = {
            count: stack.enter_context(_served(folder / f"http-{count}", count)) for count in stored
        }
        subjects: dict[str, Callable[[], Run]] = {}
        for count, server in servers.items():
            for name, measured in _subjects(server, seconds).items():
                subjects[f"{count}/{name}"] = measured
        runs = interleave(rounds, subjects)
        left = {count: _instances(server.database) for count, server in servers.items()}
    for count in stored:
        _print(count, left[count], runs, rounds)


def _subjects(server: Server, seconds: float) -> dict[str, Callable[[], Run]]:
    signer = server.reads
    one = [signer.request("DescribeInstances", {"InstanceId.1": id}) for id in server.described]
    page = [signer.request("DescribeInstances", {"MaxResults": PAGE})]
    who = [signer.request("GetCallerIdentity", {}, service="sts")]
    subjects: dict[str, Callable[[], Run]] = {}
    for connections in CONNECTIONS:
        launch = partial(_launch, server, connections, seconds)
        subjects[f"RunInstances, {connections} connections"] = launch
        for name, requests in (
            ("Describe one id", one),
            (f"Describe a page of {PAGE}", page),
            ("floor: GetCallerIdentity", who),
        ):
            subjects[f"{name}, {connections} connections"] = partial(
                _send, server, requests, connections, seconds
            )
    return subjects


def _send(server: Server, requests: list[bytes], connections: int, seconds: float) -> Run:
    before = cpu_seconds_of(server.process.pid)
    address = server.reads.address
    run = send(address, itertools.cycle(requests), connections=connections, seconds=seconds)
    return replace(run, server_cpu_seconds=cpu_seconds_of(server.process.pid) - before)


def _launch(server: Server, connections: int, seconds: float) -> Run:
    """Launch under new tokens; then wait for the server, which drives the launches meanwhile."""
    requests = [
        server.launches.request("RunInstances", {**LAUNCH, "ClientToken": uuid.uuid4().hex})
        for _ in range(_LAUNCHES_MAX)
    ]
    before = cpu_seconds_of(server.process.pid)
    run = send(server.reads.address, requests, connections=connections, seconds=seconds)
    run = replace(run, server_cpu_seconds=cpu_seconds_of(server.process.pid) - before)
    _await_drained(server.database)
    return run


@contextmanager
def _served(folder: Path, stored: int) -> Iterator[Server]:
    """`sametoken serve` on a new store in which both accounts have `stored` running instances."""
    folder.mkdir()
    database = folder / "plane.db"
    world = RealWorld()
    sealer = load_sealer(database_of(database).key_file, create=True)
    keys = []
    with open_store(database_of(database), world) as store:
        prepare(store, sealer, world)
        for name in ("reads", "launches"):
            made = partial(add_key, sealer=sealer, account_name=name, access="full")
            keys.append(store.run(made))
    places = [(account, REGION) for account, _, _ in keys]
    crowd.seed(database, places=places, living=2 * stored, ended=0)
    command = [sys.executable, "-m", "sametoken", "serve", "--port", "0", "--boot-seconds", "0"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--database", f"sqlite:///{database}"],
            stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            address = await_address(process)
            reads, launches = (Signer(address, key, secret) for _, key, secret in keys)
            yield Server(process, database, reads, launches, _some_ids(database, keys[0][0]))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=DRAIN_SECONDS_MAX)
            if process.stdout is not None:
                process.stdout.close()


def await_address(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None, "the server's output is piped"
    words = process.stdout.readline().split()
    url = next((word for word in words if word.startswith("http://")), None)
    assert url is not None, f"the server did not say where it serves: {' '.join(words)}"
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None and parts.port is not None, f"{url} names host and port"
    return parts.hostname, parts.port


def _ask(database: Path, sql: str, *values: str | int) -> list[tuple[str | int, ...]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=START_SECONDS_MAX)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def _some_ids(database: Path, account: str) -> tuple[str, ...]:
    query = "SELECT id FROM resource WHERE kind = 'instance' AND account = ? LIMIT ?"
    return tuple(str(id) for (id,) in _ask(database, query, account, DESCRIBED_MAX))


def _instances(database: Path) -> int:
    return int(_ask(database, "SELECT count(*) FROM resource WHERE kind = 'instance'")[0][0])


def _await_drained(database: Path) -> None:
    """Wait until every launch is done, so that the next round has the machine for itself."""
    query = "SELECT count(*) FROM work WHERE due_at IS NOT NULL"
    wait_until(lambda: _ask(database, query)[0][0] == 0)


def wait_until(drained: Callable[[], bool]) -> None:
    until = time.monotonic() + DRAIN_SECONDS_MAX
    while not drained():
        if time.monotonic() > until:
            raise TimeoutError("the launches do not come to an end")
        time.sleep(_POLL_SECONDS)


def _print(count: int, left: int, runs: Mapping[str, list[Run]], rounds: int) -> None:
    print(
        f"\n## Over HTTP: {count:,} instances stored in each of two accounts ({left:,} in the "
        f"store at the end), {rounds} rounds\n"
    )
    mine = {
        name.partition("/")[2]: found
        for name, found in runs.items()
        if name.partition("/")[0] == str(count)
    }
    print(http_table(mine))
