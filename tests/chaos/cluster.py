"""Three nodes over a primary with a synchronous standby; connections to them can be cut.

Clients reach every node through a relay; the last node reaches the database through one as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from chaos.relay import Relay
from clients.process import Server, closing_server, until
from sametoken.cli.database import named_database
from sametoken.operate.accounts import add_key
from sametoken.operate.opening import making
from sametoken.resources.kit import counters
from sametoken.resources.network import default_vpc
from sametoken.settings import KEY_FILE_VARIABLE
from sametoken.store.port import Tx
from sametoken.world import RealWorld
from sdk import REGION, Keys
from store.standbys import Pair

NODES = 3
_NAME = "plane"
# _LEASE is longer than a lease: once faults are over, the store's clock is moved by it.
_LEASE = {"minutes": 2}
# Quotas are no subject of this run; these two kinds have small ones.
_QUOTAS = {"route-table/*/*": 1_000_000, "network-acl/*/*": 1_000_000}


@dataclass(frozen=True)
class Account:
    """An account, with its default VPC's subnets and group."""

    keys: Keys
    vpc: str
    subnets: tuple[tuple[str, str], ...]  # (zone, subnet)
    region: str = REGION


class Node:
    """A node: killed and started, stopped and resumed; its `port` for clients stays."""

    def __init__(self, name: str, server: Server, relay: Relay) -> None:
        self.name = name
        self.server = server
        self._relay = relay
        self.port = relay.open(name)
        # The lock is held by the thread that starts or ends the node's process.
        self.lock = threading.Lock()

    def start(self) -> None:
        self.server.start()
        self._relay.aim(self.name, self.server.port)

    def cut(self) -> None:
        """Reset the connections of the node's callers."""
        self._relay.cut(self.name)


class Cluster:
    """The nodes, the database pair and the relay between them."""

    def __init__(
        self, pair: Pair, nodes: Sequence[Node], accounts: Sequence[Account], relay: Relay
    ) -> None:
        self.pair = pair
        self.nodes = nodes
        self.accounts = accounts
        self._relay = relay

    @property
    def url(self) -> str:
        return self.pair.url(_NAME)

    def cut_database(self) -> None:
        """Reset the last node's connections to the database."""
        for server in self.pair.servers:
            self._relay.cut(server.folder.name)

    def count(self, sql: str) -> int:
        with psycopg.connect(self.url) as session:
            row = session.execute(sql.encode()).fetchone()
            assert row is not None, "a count is one row"
            return int(row[0])

    def settle(self, unfinished: str, seconds: float) -> None:
        """Let leases of dead nodes run out, once faults are over, and wait for the last work.

        `unfinished` counts the work that is left. Returns after `seconds` at the latest: the
        checker tells what is unfinished.
        """
        self.nodes[0].server.advance(**_LEASE)
        try:
            until(lambda: not self.count(unfinished), "the last work is done", seconds)
        except AssertionError:
            return


@contextmanager
def running_cluster(folder: Path, accounts: int) -> Iterator[Cluster]:
    """Run a cluster with so many accounts for the block. Ends every process it started."""
    with ExitStack() as stack:
        pair = Pair(folder)
        stack.callback(pair.stop)
        pair.start()
        pair.ask(f"CREATE DATABASE {_NAME}")
        key_file = folder / "shared.key"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(KEY_FILE_VARIABLE, str(key_file))
            made = _prepare(pair.url(_NAME), accounts)
        relay = stack.enter_context(Relay())
        through = _ways_to(relay, pair)
        nodes = []
        for number in range(NODES):
            url = pair.url(_NAME, ports=through if number + 1 == NODES else ())
            place = folder / f"node-{number}"
            place.mkdir()
            server = Server(
                place, made[0].keys, postgresql=url, settings={KEY_FILE_VARIABLE: str(key_file)}
            )
            stack.enter_context(closing_server(server))
            nodes.append(Node(place.name, server, relay))
        with ThreadPoolExecutor(NODES) as threads:
            list(threads.map(Node.start, nodes))
        yield Cluster(pair, nodes, made, relay)


def _ways_to(relay: Relay, pair: Pair) -> tuple[int, ...]:
    ports = []
    for server in pair.servers:
        name = server.folder.name
        ports.append(relay.open(name))
        relay.aim(name, server.port)
    return tuple(ports)


def _prepare(url: str, count: int) -> list[Account]:
    """Make the schema and the accounts, each with its default VPC."""

    def run(tx: Tx) -> list[Keys]:
        for name, maximum in _QUOTAS.items():
            counters.set_maximum(tx, name, maximum)
        keys = [
            Keys(*add_key(tx, here.sealer, f"clients-{number}", access="full"))
            for number in range(count)
        ]
        for one in keys:
            default_vpc.seed(tx, one.account, REGION)
        return keys

    with making(named_database(url), RealWorld()) as here:
        keys = here.store.run(run)
    with psycopg.connect(url) as session:
        return [_account(session, one) for one in keys]


def _account(session: psycopg.Connection[tuple[str, ...]], keys: Keys) -> Account:
    found = session.execute(
        "SELECT kind, zone, id FROM resource WHERE account = %s AND kind IN ('vpc', 'subnet')"
        " ORDER BY zone",
        (keys.account,),
    ).fetchall()
    [vpc] = [id for kind, _, id in found if kind == "vpc"]
    return Account(keys, vpc, tuple((zone, id) for kind, zone, id in found if kind == "subnet"))
