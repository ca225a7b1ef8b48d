"""A node: wires services, request path and threads around an open store, and serves.

No other module knows the concrete services and drivers of machines.
"""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from importlib.metadata import version as installed_version

from sametoken.background import Background, Life
from sametoken.errors import Misconfigured
from sametoken.idempotency import Engine
from sametoken.migrations.upgrade import check, head
from sametoken.server.app import App
from sametoken.server.credentials import Credentials
from sametoken.server.edge import Edge, Listener
from sametoken.server.sealing import load_sealer
from sametoken.services import machines, networks, placement, volumes
from sametoken.services.machines import Machines
from sametoken.services.simulated_machines import SimulatedMachines, SimulationSettings
from sametoken.services.steps import Declaration, Steps
from sametoken.settings import Settings
from sametoken.store import nodes
from sametoken.store.nodes import Heartbeat
from sametoken.store.port import Store, Tx
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.plans import MACHINES, NETWORKS, PLACEMENT, VOLUMES
from sametoken.workflow.ports import Services
from sametoken.world import RealWorld, World, mint_uuid


def wire_services(
    store: Store, engine: Engine, world: World, simulation: SimulationSettings
) -> Services:
    """Make the four services, over one store."""

    def steps(declared: Declaration) -> Steps:
        return Steps(declared, store, engine, world)

    return {
        PLACEMENT: steps(placement.SERVICE),
        VOLUMES: steps(volumes.SERVICE),
        NETWORKS: steps(networks.SERVICE),
        MACHINES: Machines(steps(machines.SERVICE), SimulatedMachines(store, simulation)),
    }


class Node:
    """The API and the background threads of one process.

    Without `edge` the node is a worker: it drives launches that other nodes have accepted.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        engine: Engine,
        world: World | None = None,
        *,
        answers: bool = True,
    ) -> None:
        if answers:
            settings.check_bind()
        self.settings = settings
        self.store = store
        self.world = world or RealWorld()
        # The error that made this node stop on its own; None while it runs.
        self._outdated: Misconfigured | None = None
        self.engine = engine
        reload_sealer = partial(load_sealer, settings.database.key_file, create=False)
        credentials = Credentials(store, reload_sealer, self.world)
        self.backlog = Backlog(self.world, settings.lag_seconds)
        self.app = App(store, self.engine, credentials, self.world, self.backlog, settings.choices)
        listener = Listener(settings.host, settings.port, settings.tls_cert, settings.tls_key)
        self.edge = Edge(self.app, listener, world=self.world) if answers else None
        self.services = wire_services(store, self.engine, self.world, settings.simulation)
        self.background = Background(
            store, self.engine, self.services, self.world, self.backlog,
            runners=settings.runners, sweep_seconds=settings.sweep_seconds,
        )  # fmt: skip

    @property
    def url(self) -> str:
        assert self.edge is not None, "a worker answers nobody"
        scheme = "https" if self.settings.tls_cert else "http"
        host, port = self.edge.address()
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer requests and drive launches until `stop` is set; then drain, and end all threads.

        Raises `Misconfigured` when the node stopped on its own, see `beat`.
        """
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
        """Write the heartbeat that tells other nodes that this one lives.

        Raises `Misconfigured` when the schema no longer has what this version uses: the node was
        paused or cut off for so long that it was taken for dead, and the schema was contracted.
        Checks after writing: while a schema change holds the table (`nodes.lock`), the write waits,
        and the check then finds the change.
        """
        nodes.beat(tx, self._heartbeat)
        check(tx.connection)

    def _leave(self, tx: Tx) -> None:
        nodes.leave(tx, self._heartbeat)

    async def _answer(self, edge: Edge, stop: asyncio.Event) -> None:
        """Serve until `stop`; then answer /ready with no for `drain_seconds`, and end."""
        unready = asyncio.Event()
        serving = asyncio.create_task(edge.serve(unready))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        self.app.probes.is_ready = False
        drains = self.settings.drain_seconds and self._outdated is None
        if drains and not serving.done():
            await asyncio.wait({serving}, timeout=self.settings.drain_seconds)
        unready.set()
        stopping.cancel()
        await serving
