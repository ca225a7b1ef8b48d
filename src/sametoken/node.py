"""A node: wires services, request path and threads around an open store, and serves.

No other module knows the concrete services and drivers of machines.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version as installed_version
from socket import gethostname, socket
from urllib.parse import urlsplit

from sametoken.background import Background, Life
from sametoken.condition import readiness
from sametoken.counts import Told
from sametoken.errors import SametokenError
from sametoken.faults import kills
from sametoken.faults.board import Board
from sametoken.idempotency import Engine
from sametoken.migrations.upgrade import check, head
from sametoken.readings import FAMILIES, Fronts, Readings
from sametoken.server import development
from sametoken.server.app import App
from sametoken.server.asgi import Application
from sametoken.server.bounds import DEFAULT_BOUNDS
from sametoken.server.credentials import Credentials
from sametoken.server.desks import Desks, Edges
from sametoken.server.edge import Bound, Edge
from sametoken.server.ends import Ends
from sametoken.server.exposition import METRICS, metrics_at
from sametoken.server.far_writer import FarWriter
from sametoken.server.front import Front
from sametoken.server.journal import Journal
from sametoken.server.monitor import Monitor
from sametoken.server.probes import HEALTH, READY, Facts, Probes
from sametoken.server.sealing import load_sealer
from sametoken.server.tally import Tally, alone
from sametoken.server.throttling import SETTLE_SECONDS, Throttle
from sametoken.server.tracing import Tracing
from sametoken.server.writing import Jobs, OwnWriter, Writer
from sametoken.services import machines, networks, placement, volumes
from sametoken.services.machines import Machines
from sametoken.services.simulated_machines import SimulatedMachines, SimulationSettings
from sametoken.services.steps import Declaration, Steps
from sametoken.settings import Settings
from sametoken.store import nodes
from sametoken.store.nodes import Heartbeat
from sametoken.store.port import Broken, CountingStore, Store, Tx
from sametoken.store.reading import Snapshots
from sametoken.tracing import traces_of
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.mishaps import Mishaps
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


log = logging.getLogger(__name__)

# A node looks after its parts so often; one that has died is to be missed within ten seconds.
LOOK_SECONDS = 2.0
# A host's name in that of its node; a port or a process follows.
NAME_CHARACTERS_MAX = 60
# Edges that were told to stop get so much longer than their own drains take.
_ENDING_SECONDS = 5.0


def _app(
    settings: Settings,
    store: Snapshots,
    writer: Writer,
    world: World,
    in_work: Tally,
    ends: Ends,
    board: Board | None = None,
    facts: Facts | None = None,
) -> App:
    reload_sealer = partial(load_sealer, settings.database.key_file, create=False)
    takes_any = settings.choices.any_credentials
    credentials = Credentials(store, reload_sealer, world, takes_any=takes_any)
    return App(
        store, writer, credentials, world, settings.choices, in_work, ends, board,
        facts=facts, readiness=readiness,
    )  # fmt: skip


def _facts(settings: Settings, role: str, node: str) -> Facts:
    """Return what probes tell of a process, and never changes."""
    return {
        "version": installed_version("sametoken"),
        "role": role,
        "node": node,
        "store": settings.database.kind,
    }


def _ends(settings: Settings, journal: Journal, node: str, tracing: Tracing | None = None) -> Ends:
    return Ends(journal, node, dedupes=settings.choices.dedupe_invocations, tracing=tracing)


def name_of(url: str | None) -> str:
    """Name a node for people: by its host and port, a worker by its host and process."""
    host = gethostname().partition(".")[0][:NAME_CHARACTERS_MAX]
    return f"{host}/{os.getpid()}" if url is None else f"{host}:{urlsplit(url).port}"


async def serve_edge(
    settings: Settings,
    store: Snapshots,
    world: World,
    bound: Bound,
    line: socket,
    *,
    open: Tally,
    in_work: Tally,
    show: Callable[[App], None] | None = None,
) -> None:
    """Answer requests for the node whose writer is at the other end of `line`, until it says stop.

    If the writer dies, those that wait for it are answered with 503s, and the edge ends. `show`
    adds to the application what it shows beside EC2's API.
    """
    stop = asyncio.Event()
    drains: list[bool] = []

    def end(*, drain: bool) -> None:
        drains.append(drain)
        stop.set()

    def give_up(broken: SametokenError) -> None:
        log.error("%s", broken)
        end(drain=False)

    loop = asyncio.get_running_loop()
    _, writer = await loop.create_connection(lambda: FarWriter(world, end), sock=line)
    journal, traces, node = Journal(), traces_of(), name_of(bound.url)
    ends = _ends(settings, journal, node, Tracing.of(traces, world))
    app = _app(settings, store, writer, world, in_work, ends, facts=_facts(settings, "edge", node))
    app.count_all = writer.count_all
    if show is not None:
        show(app)

    def look() -> None:
        writer.tell(journal.take())
        app.check()

    watching = loop.create_task(_watch(look, stop, give_up))
    front = Front(app, Edge(app, bound, world=world, open=open), settings.drain_seconds)
    writer.told = front.told
    await front.serve(stop, lambda: all(drains))
    watching.cancel()
    writer.tell(journal.take())
    writer.end()
    if traces is not None:
        await _apart(traces.close)


async def _watch(
    check: Callable[[], None], stop: asyncio.Event, give_up: Callable[[SametokenError], None]
) -> None:
    """Check every now and then until `stop`; give what `check` found broken to `give_up`."""
    while not stop.is_set():
        try:
            check()
        except Broken as broken:
            give_up(broken)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()


async def _apart(wait: Callable[[], None]) -> None:
    """Wait in another thread, or in this one if the system has no more threads."""
    try:
        await asyncio.to_thread(wait)
    except RuntimeError:
        wait()


class Node:
    """A node around an open store: its requests, and its background threads.

    `face` is a socket on which the node answers itself, or the processes that answer for it.
    Without either the node is a worker: it drives launches that other nodes have accepted.
    `monitor` is a socket on which it tells of itself, to operators.
    """

    def __init__(
        self,
        settings: Settings,
        store: CountingStore,
        engine: Engine,
        world: World | None = None,
        *,
        face: Bound | Edges | None = None,
        monitor: Bound | None = None,
    ) -> None:
        self._face = face
        self._monitor = monitor
        self._open, self._in_work = alone(), alone()
        self.settings = settings
        self.store = store
        self.world = world or RealWorld()
        # Held by whoever moves the clock on: of two at once, each would count the other's time too.
        self.moves_clock = threading.Lock()
        # The error that made this node stop on its own; None while it runs.
        self._ended_by: SametokenError | None = None
        self.engine = engine
        # By the store's clock: rules end when it is moved on, and stand with it.
        self.faults = Board(store.seconds, settings.faults, owns_process=settings.owns_process)
        self.backlog = Backlog(self.world, settings.lag_seconds)
        # By the store's clock, too: a clock that is moved on fills the buckets.
        self._throttle = Throttle(settings.choices.rates, store.seconds)
        self.journal = Journal()
        self._jobs = Jobs(store, engine, self._throttle, self.backlog, self.world, self.journal)
        self.services = wire_services(store, self.engine, self.world, settings.simulation)
        self._traces = traces_of()
        self.name = name_of(None if face is None else face.url)
        self.background = Background(
            store, self.engine, self.services, self.world, self.backlog, Mishaps(self.faults),
            self.journal, self.name, runners=settings.runners, traces=self._traces,
            sweep_seconds=settings.sweep_seconds, gathering_seconds=settings.gathering_seconds,
        )  # fmt: skip

    @cached_property
    def app(self) -> App:
        """The application of a node that answers itself."""
        writer = OwnWriter(self._jobs, self.world)
        board = self.faults if self.settings.dev else None
        tracing = Tracing.of(self._traces, self.world)
        ends = _ends(self.settings, self.journal, self.name, tracing)
        facts = _facts(self.settings, "node", self.name)
        return _app(
            self.settings, self.store, writer, self.world, self._in_work, ends, board, facts
        )

    def beforehand(self) -> App:
        """An application for requests of this program's own, before the node answers others.

        It takes any credentials, has a token for every request, and knows no faults and no rates.
        """
        choices = replace(
            self.settings.choices, any_credentials=True, dedupe_invocations=True, rates={}
        )
        settings = replace(self.settings, choices=choices)
        throttle = Throttle({}, self.store.seconds)
        jobs = Jobs(
            self.store, self.engine, throttle, self.backlog, self.world, counts=self._jobs.counts
        )
        ends = _ends(settings, self.journal, self.name)
        return _app(settings, self.store, OwnWriter(jobs, self.world), self.world, alone(), ends)

    @property
    def url(self) -> str:
        assert self._face is not None, "a worker answers nobody"
        return self._face.url

    @property
    def monitor_url(self) -> str | None:
        """The URL for operators; None if there is none."""
        return None if self._monitor is None else self._monitor.url

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer requests and drive launches until `stop` is set; then drain, and end all threads.

        Raises `Misconfigured` or `Broken` when the node stopped on its own, see `beat` and `check`.
        """
        loop = asyncio.get_running_loop()

        def give_up(error: SametokenError) -> None:
            self._ended_by = self._ended_by or error
            loop.call_soon_threadsafe(stop.set)

        if self.settings.database.file is None:
            self.background.tell(Life(self.beat, self._leave, give_up))
            if self.settings.choices.rates:
                self.background.settle(partial(self._throttle.settle, self.store), SETTLE_SECONDS)
        if self.settings.dev and self.settings.owns_process:
            kills.watch(self.faults)
        self.background.start()
        watching = loop.create_task(_watch(self.check, stop, give_up))
        ended = asyncio.Event()
        monitoring = loop.create_task(self._tell_operators(ended))
        try:
            await self._answer(stop)
        finally:
            watching.cancel()
            await _apart(self.background.stop)
            ended.set()
            await monitoring
            if self._traces is not None:
                await _apart(self._traces.close)
        if self._ended_by is not None:
            raise self._ended_by

    def check(self) -> None:
        """Raise `Broken` if a part of the node has died, or its database is not what it was."""
        self.store.check()
        self.background.check()

    @cached_property
    def _heartbeat(self) -> Heartbeat:
        url = None if self._face is None else self._face.url
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

    @cached_property
    def _serving(self) -> Front | Desks | None:
        """Return what answers callers; None for a worker."""
        drain_seconds = self.settings.drain_seconds
        match self._face:
            case None:
                return None
            case Edges() as edges:
                patience = drain_seconds + DEFAULT_BOUNDS.drain_seconds_max + _ENDING_SECONDS
                return Desks(edges, self._jobs, self.world, patience)
            case bound:
                mark = development.MARK if self.settings.dev else b""
                edge = Edge(self.app, bound, world=self.world, open=self._open, mark=mark)
                return Front(self.app, edge, drain_seconds)

    async def _answer(self, stop: asyncio.Event) -> None:
        """Answer until `stop`, and drain, unless the node must stop at once."""
        if self._serving is None:
            await stop.wait()
        else:
            await self._serving.serve(stop, lambda: self._ended_by is None)

    @cached_property
    def readings(self) -> Readings:
        """Readings of this node; to be taken in the event loop that serves it."""
        fronts = None
        match self._serving, self._face:
            case Desks() as desks, Edges() as edges:
                fronts = Fronts(desks.told, edges.open, edges.in_work)
            case Front() as front, _:

                async def told() -> Told:
                    return front.told()

                fronts = Fronts(told, self._open, self._in_work)
        kind = self.settings.database.kind
        return Readings(self.store, self._jobs, self.background, self.faults, kind, fronts)

    def metrics(self) -> Application:
        """Return an application that answers with this node's metrics."""
        return metrics_at(FAMILIES, self.readings.take)

    async def _tell_operators(self, ended: asyncio.Event) -> None:
        """Answer at the port for operators, if there is one, until `ended`."""
        if self._monitor is None:
            return
        if isinstance(self._serving, Front):
            probes = self.app.probes
        else:
            role = "worker" if self._serving is None else "writer"
            probes = Probes(_facts(self.settings, role, self.name), self._look)
        routes: dict[str, Application] = {METRICS: self.metrics(), HEALTH: probes, READY: probes}
        await Edge(Monitor(routes), self._monitor, world=self.world).serve(ended)

    async def _look(self) -> Facts:
        self.check()
        return await asyncio.to_thread(self.store.read, readiness)
