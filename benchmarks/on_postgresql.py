"""A single node and two on one PostgreSQL database, until the launches run; beside them DBOS.

RunInstances over eight accounts, so that the lock of one account is not the limit. In the rounds
with one node the other is stopped (SIGSTOP), not merely idle: it would drive half of the launches.
A node, its database and its clients fill two CPUs; so the two are also compared with each node held
to a share of a CPU, as if there were CPUs for more. The floor is pgbench: one bare row a commit.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import names
import psycopg
from asking import signer_of
from databases import await_driven, postgresql_durability, postgresql_server
from fixtures import Key, make_accounts
from legs import Leg
from load import send_to_each
from measure import Run, Stopwatch, Unmeasured
from processes import cpu_seconds_of, family
from servers import Server, ours
from shares import NoShares, held_to
from stores import LAUNCH
from workflows import dbos

from sametoken.settings import Database
from store.servers import PostgresServer, programs

ACCOUNTS = 8
CONNECTIONS = 32
# SHARE is of one CPU. Two nodes, with the load they put on database and clients, then fit into two
# CPUs.
SHARE = 0.3
# Launches that are signed for each second of a round: more than a node accepts.
_SIGNED_A_SECOND = 3000
_TPS = re.compile(r"tps = ([\d.]+)")


def measure(leg: Leg) -> None:
    leg.folder.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(postgresql_server())
        leg.figures.about["postgresql"] = postgresql_durability(server)
        database = Database(server.url(), None, leg.folder / "nodes.key")
        keys = make_accounts(database, ACCOUNTS)
        nodes = [
            stack.enter_context(ours(database, leg.folder / f"{name}.log"))
            for name in ("one", "two")
        ]
        with psycopg.connect(server.url(), autocommit=True) as session:
            session.execute("CREATE DATABASE workflows")
        workflows = stack.enter_context(
            dbos(server.url("workflows"), leg.scale.workflows, leg.folder / "dbos.log")
        )
        cluster = Cluster(server, database, nodes, keys, 2 * leg.scale.seconds)
        subjects: dict[str, Callable[[], Run]] = {
            names.PG_ONE: partial(cluster.launch, 1),
            names.PG_TWO: partial(cluster.launch, 2),
            names.PG_HELD_ONE: partial(cluster.launch_held, 1),
            names.PG_HELD_TWO: partial(cluster.launch_held, 2),
            names.DBOS_POSTGRESQL: workflows,
            names.PG_BARE: partial(_pgbench, server),
        }
        leg.interleave(subjects)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes of one database, with the keys of its accounts. `seconds` are those of a round."""

    server: PostgresServer
    database: Database
    nodes: Sequence[Server]
    keys: Sequence[Key]
    seconds: float

    def launch(self, count: int) -> Run:
        """Launch under new tokens on `count` nodes, the accounts in turn, until the last one runs.

        Nodes take requests before they drive launches: a slow one would only run up a backlog.
        """
        requests = {node.address: self._signed(node, count) for node in self.nodes[:count]}
        postmaster = int((self.server.data / "postmaster.pid").read_text().split()[0])
        with self._alone(count):
            before, database_before = self._cpu_seconds(), cpu_seconds_of(postmaster)
            logged = _logged_bytes(self.database)
            watch = Stopwatch()
            run = send_to_each(requests, connections=CONNECTIONS, seconds=self.seconds)
            await_driven(self.database)
            took = watch.seconds
            used = self._cpu_seconds() - before
            database_used = cpu_seconds_of(postmaster) - database_before
        beside = {
            "database CPU us": 1e6 * database_used / run.done,
            "log bytes": (_logged_bytes(self.database) - logged) / run.done,
        }
        return replace(run, seconds=took, cpu_seconds=used, beside=beside)

    def _signed(self, node: Server, count: int) -> list[bytes]:
        signers = [signer_of(node, key) for key in self.keys]
        return [
            signers[number % len(signers)].request(
                "RunInstances", {**LAUNCH, "ClientToken": uuid.uuid4().hex}
            )
            for number in range(int(_SIGNED_A_SECOND * self.seconds / count))
        ]

    def launch_held(self, count: int) -> Run:
        """Launch with each node held to its share of a CPU."""
        with ExitStack() as stack:
            for node in self.nodes:
                try:
                    pids = [one.pid for one in family(node.pid)]
                    stack.enter_context(held_to(pids, SHARE))
                except NoShares as error:
                    raise Unmeasured(f"nodes cannot be held to a share: {error}") from error
            return self.launch(count)

    @contextmanager
    def _alone(self, count: int) -> Iterator[None]:
        """Let `count` nodes run, and the others stand still."""
        try:
            for node in self.nodes[count:]:
                node.pause()
            yield
        finally:
            for node in self.nodes[count:]:
                node.go_on()

    def _cpu_seconds(self) -> float:
        return sum(cpu_seconds_of(node.pid) for node in self.nodes)


def _logged_bytes(database: Database) -> int:
    """Bytes of write-ahead log that the server has written so far."""
    with psycopg.connect(database.url) as session:
        query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        [(count,)] = session.execute(query).fetchall()
        return int(count)


def _pgbench(server: PostgresServer) -> Run:
    with psycopg.connect(server.url(), autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, text text)")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("INSERT INTO bare (text) VALUES ('a row');\n")
        script.flush()
        done = subprocess.run(
            [str(programs() / "pgbench"), "--no-vacuum", "--file", script.name,
             "--client", str(CONNECTIONS), "--jobs", "2", "--time", "1", server.url()],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = _TPS.search(done.stdout)
    assert found is not None, done.stdout
    return Run(round(float(found[1])), 1.0, 0.0)
