"""A single node and two on one PostgreSQL database: the gain of the second node.

RunInstances over eight accounts, so that the lock of one account is not the limit; each counts once
its machine runs. In the rounds with one node the other is stopped (SIGSTOP), not merely idle: it
would drive half of the launches. A node, its database and its clients fill two CPUs; so the two are
also compared with each node held to a share of a CPU, as if there were CPUs for more. Beside them
the floor: pgbench, which commits one bare row a transaction over as many connections.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
from connections import Signer, send_to_each
from measure import Run, cpu_seconds_of, http_table, interleave
from over_http import DRAIN_SECONDS_MAX, await_address, wait_until
from shares import NoShares, held_to
from stores import LAUNCH, REGION

from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepare
from sametoken.resources.network import default_vpc
from sametoken.server.sealing import load_sealer
from sametoken.settings import KEY_FILE_VARIABLE, Database
from sametoken.world import RealWorld

# Import the server from a wheel, as the tests run it.
sys.path.append(str(Path(__file__).parent.parent / "tests"))
from store.servers import PostgresServer, programs

ACCOUNTS = 8
CONNECTIONS = 32
# Launches signed before a round's clock starts: more than it can launch.
_LAUNCHES_MAX = 1200
# SHARE is of one CPU. Two nodes, with the load they put on database and clients, then fit into two
# CPUs.
SHARE = 0.3
_TPS = re.compile(r"tps = ([\d.]+)")

ONE, TWO = "launches, one node", "launches, two nodes"
HELD_ONE = f"launches, one node held to {SHARE} CPU"
HELD_TWO = f"launches, two nodes held to {SHARE} CPU each"


def measure(folder: Path, *, rounds: int, seconds: float) -> None:
    """Print the table, and the database's promise about a commit."""
    with ExitStack() as stack:
        server = stack.enter_context(postgresql_server())
        database = Database(server.url(), None, folder / "nodes.key")
        keys = _prepare(database)
        nodes = [stack.enter_context(_node(database, folder, name)) for name in ("one", "two")]
        signers = [[Signer(address, *key) for key in keys] for _, address in nodes]
        processes = [process for process, _ in nodes]
        launch = partial(_launch, database, processes, signers, seconds)
        subjects: dict[str, Callable[[], Run]] = {ONE: partial(launch, 1), TWO: partial(launch, 2)}
        try:
            with held_to(processes[0].pid, SHARE):
                pass
        except NoShares as error:
            print(f"\nNodes cannot be held to a share of a CPU here: {error}")
        else:
            for name, count in ((HELD_ONE, 1), (HELD_TWO, 2)):
                subjects[name] = partial(_launch_held, processes, partial(launch, count))
        subjects["floor: one bare row a commit"] = partial(_pgbench, server, seconds)
        runs = interleave(rounds, subjects)
        print(f"\n## Nodes on PostgreSQL ({ACCOUNTS} accounts, {CONNECTIONS} connections)\n")
        print(f"{durability(server)}; {os.cpu_count()} CPUs for client, nodes and database.\n")
        print(http_table(runs))
        print(f"\nA second node: {_gain(runs[ONE], runs[TWO])} times the launches of one.")
        if HELD_TWO in runs:
            print(f"With {SHARE} CPU for each: {_gain(runs[HELD_ONE], runs[HELD_TWO])} times.")


def _gain(one: Sequence[Run], two: Sequence[Run]) -> str:
    """The median of the rounds' ratios, and their range."""
    found = sorted(b.rate / a.rate for a, b in zip(one, two, strict=True))
    return f"{found[len(found) // 2]:.2f} ({found[0]:.2f}–{found[-1]:.2f})"


@contextmanager
def postgresql_server() -> Iterator[PostgresServer]:
    """Start a durable server in a folder of its own, which may need another owner than us."""
    with tempfile.TemporaryDirectory(prefix="sametoken-postgresql-") as name:
        server = PostgresServer(Path(name))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def durability(server: PostgresServer) -> str:
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
    shown = []
    with psycopg.connect(server.url()) as session:
        for name in names:
            [(value,)] = session.execute(f"SHOW {name}".encode()).fetchall()
            shown.append(f"{name}={value}")
    return "PostgreSQL: " + ", ".join(shown)


def _prepare(database: Database) -> list[tuple[str, str]]:
    """Make the accounts, each with its default VPC, and return their keys."""
    world = RealWorld()
    sealer = load_sealer(database.key_file, create=True)
    keys = []
    with open_store(database, world) as store:
        prepare(store, sealer, world)
        for number in range(ACCOUNTS):
            name = f"account-{number}"
            made = partial(add_key, sealer=sealer, account_name=name, access="full")
            account, key, secret = store.run(made)
            store.run(partial(default_vpc.seed, account=account, region=REGION))
            keys.append((key, secret))
    return keys


@contextmanager
def _node(
    database: Database, folder: Path, name: str
) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    command = [sys.executable, "-m", "sametoken", "serve", "--port", "0", "--boot-seconds", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", KEY_FILE_VARIABLE: str(database.key_file)}
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--database", database.url],
            stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
        )  # fmt: skip
        try:
            yield process, await_address(process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=DRAIN_SECONDS_MAX)
            if process.stdout is not None:
                process.stdout.close()


def _launch(
    database: Database,
    processes: Sequence[subprocess.Popen[str]],
    signers: Sequence[Sequence[Signer]],
    seconds: float,
    count: int,
) -> Run:
    """Launch under new tokens on `count` nodes, the accounts in turn, until the last one runs.

    Nodes take requests before they drive launches: a slow one would only run up a backlog.
    """
    for process in processes[count:]:
        process.send_signal(signal.SIGSTOP)
    try:
        requests = {
            mine[0].address: [
                mine[number % ACCOUNTS].request(
                    "RunInstances", {**LAUNCH, "ClientToken": uuid.uuid4().hex}
                )
                for number in range(_LAUNCHES_MAX // count)
            ]
            for mine in signers[:count]
        }
        before = sum(cpu_seconds_of(process.pid) for process in processes)
        started = time.perf_counter()
        run = send_to_each(requests, connections=CONNECTIONS, seconds=seconds)
        wait_until(lambda: not _work_left(database))
        took = time.perf_counter() - started
        used = sum(cpu_seconds_of(process.pid) for process in processes) - before
    finally:
        for process in processes[count:]:
            process.send_signal(signal.SIGCONT)
    return replace(run, seconds=took, server_cpu_seconds=used)


def _launch_held(processes: Sequence[subprocess.Popen[str]], launch: Callable[[], Run]) -> Run:
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(held_to(process.pid, SHARE))
        return launch()


def _work_left(database: Database) -> bool:
    with psycopg.connect(database.url) as session:
        query = "SELECT 1 FROM work WHERE due_at IS NOT NULL LIMIT 1"
        return session.execute(query).fetchone() is not None


def _pgbench(server: PostgresServer, seconds: float) -> Run:
    with psycopg.connect(server.url(), autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, text text)")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("INSERT INTO bare (text) VALUES ('a row');\n")
        script.flush()
        done = subprocess.run(
            [str(programs() / "pgbench"), "--no-vacuum", "--file", script.name,
             "--client", str(CONNECTIONS), "--jobs", "2", "--time", str(max(1, round(seconds))),
             server.url()],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = _TPS.search(done.stdout)
    assert found is not None, done.stdout
    count = round(float(found[1]) * seconds)
    return Run(count, seconds, 0.0, latencies_ms=(1000 * CONNECTIONS / float(found[1]),))
