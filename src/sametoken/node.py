"""One node: settings in, everything wired, served until told to stop.

The only module that knows concrete stores, services and drivers.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import version as installed_version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sametoken.background import Background, Life
from sametoken.errors import Misconfigured
from sametoken.idempotency import Engine, sql_engine
from sametoken.migrations.upgrade import check, contract, head, upgrade
from sametoken.resources.account import accounts
from sametoken.server.app import App
from sametoken.server.credentials import Credentials
from sametoken.server.edge import Edge, Listener
from sametoken.server.sealing import Sealer, load_sealer
from sametoken.services.machines import Machines
from sametoken.services.networks import Networks
from sametoken.services.placement import Placement
from sametoken.services.simulated_machines import SimulatedMachines, SimulationSettings
from sametoken.services.volumes import Volumes
from sametoken.settings import Database, Settings
from sametoken.store import nodes
from sametoken.store.gate import LockFile, register_node
from sametoken.store.nodes import Heartbeat
from sametoken.store.port import Store, Tx
from sametoken.store.sqlite import SqliteStore, change_schema, check_usable
from sametoken.workflow import work as works
from sametoken.workflow.plans import MACHINES, NETWORKS, PLACEMENT, VOLUMES
from sametoken.workflow.ports import Services
from sametoken.world import RealWorld, World, mint_uuid

if TYPE_CHECKING:
    from sametoken.store.postgresql import PostgresqlStore

# The name of the sealed key that the digests of callers' parameters are keyed with.
DIGEST_KEY = "digest-key"
FIRST_ACCOUNT = "default"


@contextmanager
def open_store(database: Database, world: World) -> Iterator[Store]:
    """The store of a database, brought to this program's schema, made when it is not there."""
    store: SqliteStore | PostgresqlStore
    if database.file is not None:
        check_usable(database.file)
        change_schema(database.file, upgrade)
        store = SqliteStore(database.file, world)
    else:
        postgresql = _postgresql()
        postgresql.change_schema(database.url, upgrade)
        store = postgresql.PostgresqlStore(database.url, world)
    try:
        yield store
    finally:
        store.close()


def contract_schema(database: Database) -> None:
    """Bring the database to this program's schema, and take away what only older programs use.

    Raises `Misconfigured`, nothing changed, while a node runs that may use it.
    """
    if database.file is not None:
        # Its one server, of whatever version, holds its lock file for as long as it runs.
        with _registered(database):
            change_schema(database.file, partial(contract, living=list))
        return

    _postgresql().change_schema(
        database.url,
        lambda connection: contract(connection, living=partial(nodes.lock, connection)),
    )


def _postgresql() -> ModuleType:
    """The module that needs the driver, which only those who use PostgreSQL have."""
    try:
        return import_module("sametoken.store.postgresql")
    except ModuleNotFoundError as missing:
        raise Misconfigured(
            f"PostgreSQL needs {missing.name}: pip install 'sametoken[postgresql]'"
        ) from None


def find_sealer(store: Store, key_file: Path | None) -> Sealer:
    """The sealer of a deployment. A new key is made only where nothing is sealed yet.

    Raises `Misconfigured` when a restored database came without its key.
    """
    sealed = store.read(partial(accounts.sealed_setting, name=DIGEST_KEY))
    return load_sealer(key_file, create=sealed is None)


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
    """API and background of one process. `serve()` returns once it was told to stop and all ended.

    Without `edge` it is a worker: it drives what others were asked for.
    """

    def __init__(
        self, settings: Settings, store: Store, world: World | None = None, *, answers: bool = True
    ) -> None:
        if answers:
            _check_bind(settings)
        self.settings = settings
        self.store = store
        self.world = world or RealWorld()
        # Why it ended by itself.
        self._outdated: Misconfigured | None = None
        file = settings.database.key_file
        self.engine = prepare(store, find_sealer(store, file), self.world)
        credentials = Credentials(store, lambda: load_sealer(file, create=False), self.world)
        self.app = App(store, self.engine, credentials, self.world, settings.choices)
        listener = Listener(settings.host, settings.port, settings.tls_cert, settings.tls_key)
        self.edge = Edge(self.app, listener, world=self.world) if answers else None
        self.services = wire_services(store, self.engine, settings.simulation)
        self.background = Background(
            store, self.engine, self.services, self.world,
            runners=settings.runners, sweep_seconds=settings.sweep_seconds,
        )  # fmt: skip

    @property
    def url(self) -> str:
        assert self.edge is not None, "a worker answers nobody"
        scheme = "https" if self.settings.tls_cert else "http"
        host, port = self.edge.address()
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer and drive until `stop` is set; then drain, and end every thread we started."""
        if self.settings.database.file is None:
            loop = asyncio.get_running_loop()

            def give_up(outdated: Misconfigured) -> None:
                self._outdated = outdated
                loop.call_soon_threadsafe(stop.set)

            self.background.tell(Life(self.beat, self._leave, give_up))
        self.background.start()
        try:
            if self.edge is None:
                await stop.wait()
            else:
                await self._answer(self.edge, stop)
        finally:
            await asyncio.to_thread(self.background.stop)
            self.app.close()
        if self._outdated is not None:
            raise self._outdated

    @cached_property
    def _heartbeat(self) -> Heartbeat:
        url = None if self.edge is None else self.url
        return Heartbeat(mint_uuid(self.world), url, installed_version("sametoken"), head())

    def beat(self, tx: Tx) -> None:
        """Tell others that this node lives.

        Raises `Misconfigured` when what it uses of the schema was taken away: it was paused, or cut
        off, for so long that it was taken for dead. Asked after its row is written, see
        `nodes.lock`.
        """
        nodes.beat(tx, self._heartbeat)
        check(tx.connection)

    def _leave(self, tx: Tx) -> None:
        nodes.leave(tx, self._heartbeat)

    async def _answer(self, edge: Edge, stop: asyncio.Event) -> None:
        """Serve until `stop`; then first be seen as not ready, for as long as was chosen."""
        unready = asyncio.Event()
        serving = asyncio.create_task(edge.serve(unready))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self.app.is_ready = False
        drains = self.settings.drain_seconds and self._outdated is None
        if drains and not serving.done():
            await asyncio.wait({serving}, timeout=self.settings.drain_seconds)
        unready.set()
        stopping.cancel()
        await serving


@contextmanager
def registered_node(settings: Settings, world: World, *, answers: bool = True) -> Iterator[Node]:
    """A node of the database, its store open and its socket bound; of a file the only one."""
    with _registered(settings.database) as lock, open_store(settings.database, world) as store:
        if lock is not None:
            store.run(works.break_leases)
        node = Node(settings, store, world, answers=answers)
        if node.edge is not None:
            node.edge.bind()
        if lock is not None:
            lock.write(node.url)
        else:
            # Before anybody is told that it serves: it counts as living, and may live.
            store.run(node.beat)
        yield node


@contextmanager
def _registered(database: Database) -> Iterator[LockFile | None]:
    if database.file is None:
        yield None
        return
    check_usable(database.file)
    lock = register_node(database.file)
    try:
        yield lock
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
