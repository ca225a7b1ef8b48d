"""One node: settings in, everything wired, served until told to stop.

The only module that knows concrete stores, services and drivers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sametoken.errors import Misconfigured, Transient
from sametoken.idempotency import Engine, sql_engine
from sametoken.migrations.upgrade import upgrade
from sametoken.resources import accounts
from sametoken.server.app import App
from sametoken.server.credentials import Credentials
from sametoken.server.edge import Edge, Listener
from sametoken.server.sealing import Sealer, key_file, load_sealer
from sametoken.services.housekeeping import sweep
from sametoken.services.machines import Machines
from sametoken.services.networks import Networks
from sametoken.services.placement import Placement
from sametoken.services.simulated_machines import SimulatedMachines, SimulationSettings
from sametoken.services.volumes import Volumes
from sametoken.settings import Settings
from sametoken.store.gate import claim_node
from sametoken.store.port import Store, Tx
from sametoken.store.sqlite import SqliteStore, change_schema, check_usable
from sametoken.workflow import work as works
from sametoken.workflow.loop import Ripener, run_duty
from sametoken.workflow.plans import MACHINES, NETWORKS, PLACEMENT, VOLUMES
from sametoken.workflow.ports import Services
from sametoken.workflow.runner import Runner
from sametoken.world import RealWorld, World

log = logging.getLogger(__name__)

# The name of the sealed key that the digests of callers' parameters are keyed with.
DIGEST_KEY = "digest-key"
FIRST_ACCOUNT = "default"


@contextmanager
def open_store(database: Path, world: World) -> Iterator[SqliteStore]:
    """The store of a file, brought to this program's schema, made when it is not there."""
    check_usable(database)
    change_schema(database, upgrade)
    store = SqliteStore(database, world)
    try:
        yield store
    finally:
        store.close()


def prepare(store: Store, sealer: Sealer, world: World) -> Engine:
    """Make what a deployment needs once: its digest key and its first account. The engine."""

    def run(tx: Tx) -> str:
        found = accounts.sealed_setting(tx, DIGEST_KEY)
        if found is not None:
            return sealer.unseal(*found)
        key = world.token_hex(64)
        accounts.keep_sealed_setting(tx, DIGEST_KEY, sealer.seal(key))
        if not accounts.list_keys(tx):
            add_key(tx, sealer, FIRST_ACCOUNT, access="full")
        return key

    return sql_engine(bytes.fromhex(store.run(run)))


def add_key(
    tx: Tx,
    sealer: Sealer,
    account_name: str,
    *,
    access: accounts.Access,
    access_key_id: str | None = None,
    secret: str | None = None,
) -> tuple[str, str, str]:
    """A new access key: (account id, access key id, secret). Random where not given."""
    id = access_key_id or accounts.mint_access_key_id(tx.world)
    made = secret or tx.world.token_hex(40)
    sealed = sealer.seal(made)
    account = accounts.create(tx, account_name, access_key_id=id, sealed=sealed, access=access)
    return account, id, made


def wire_services(store: Store, engine: Engine, simulation: SimulationSettings) -> Services:
    """The four services, over one store."""
    return {
        PLACEMENT: Placement(store, engine),
        VOLUMES: Volumes(store, engine),
        NETWORKS: Networks(store, engine),
        MACHINES: Machines(store, engine, SimulatedMachines(store, simulation)),
    }


class Node:
    """API and runners of one process. `serve()` returns once `stop()` was called and all ended."""

    def __init__(self, settings: Settings, store: SqliteStore, world: World | None = None) -> None:
        _check_bind(settings)
        self.settings = settings
        self.store = store
        self.world = world or RealWorld()
        file = key_file(settings.database)
        sealer = load_sealer(file, create=True)
        self.engine = prepare(store, sealer, self.world)
        credentials = Credentials(store, lambda: load_sealer(file, create=False), self.world)
        self.app = App(
            store,
            self.engine,
            credentials,
            self.world,
            settings.choices,
        )
        listener = Listener(settings.host, settings.port, settings.tls_cert, settings.tls_key)
        self.edge = Edge(self.app, listener, world=self.world)
        self.services = wire_services(store, self.engine, settings.simulation)
        self._stop = threading.Event()

    @property
    def url(self) -> str:
        scheme = "https" if self.settings.tls_cert else "http"
        host, port = self.edge.address()
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer and drive until `stop` is set; then drain, and end every thread we started."""
        threads = [
            threading.Thread(target=self._run, name=f"runner-{number}")
            for number in range(self.settings.runners)
        ]
        threads.append(threading.Thread(target=self._ripen, name="ripener"))
        threads.append(threading.Thread(target=self._sweep, name="sweeper"))
        for thread in threads:
            thread.start()
        try:
            await self.edge.serve(stop)
        finally:
            self._stop.set()
            await asyncio.to_thread(self._join, threads)
            self.app.close()

    @staticmethod
    def _join(threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join()

    def _run(self) -> None:
        duty = Runner(self.store, self.services, self.world)
        run_duty(duty, self.store, self.world, self._stop)

    def _ripen(self) -> None:
        run_duty(Ripener(self.store), self.store, self.world, self._stop)

    def _sweep(self) -> None:
        while not self.world.wait(self._stop, self.settings.sweep_seconds):
            try:
                while self.store.run(lambda tx: sweep(tx, self.engine)):
                    pass
            except Transient as busy:
                log.warning("sweep: %s", busy)


@contextmanager
def claimed_node(settings: Settings, world: World) -> Iterator[Node]:
    """The one serving node of a database file, its store open and its socket bound."""
    check_usable(settings.database)
    lock = claim_node(settings.database)
    try:
        with open_store(settings.database, world) as store:
            store.run(works.break_leases)
            node = Node(settings, store, world)
            node.edge.bind()
            lock.write(node.url)
            yield node
    finally:
        lock.close()


def _check_bind(settings: Settings) -> None:
    if not _is_loopback(settings.host) and settings.tls_cert is None and not settings.insecure_bind:
        raise Misconfigured(
            f"{settings.host} is reachable from other machines. Serve TLS with --tls-cert and "
            "--tls-key, or pass --insecure-bind if something in front of it does."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
