"""Serving a database: its store opened, its node made, its socket bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sametoken.errors import Misconfigured, SametokenError
from sametoken.node import Node
from sametoken.operate.accounts import ensure_key
from sametoken.operate.collecting import uncollected
from sametoken.operate.forking import Show, forked_edges
from sametoken.operate.opened import Opened
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.server.desks import Edges
from sametoken.server.edge import Bound, Listener, PortInUse, bind
from sametoken.settings import Settings
from sametoken.store.gate import LockFile, register_node
from sametoken.store.sqlite import check_usable
from sametoken.workflow import work
from sametoken.world import World

# A port that is in use is tried for so long, so often.
NOTICE_SECONDS = 1.0
_LOOK_SECONDS = 0.02


@contextmanager
def registered_node(
    settings: Settings, world: World, *, answers: bool = True, show: Show | None = None
) -> Iterator[Node]:
    """A node of the database, its store open and its socket bound; of a file the only one.

    A node that does not answer is a worker. `show` is called with each application that answers
    for it, in the process that it answers in. Raises `Misconfigured` when it cannot be.
    """
    settings.check_faults()
    database = settings.database
    if database.file is not None and not answers:
        raise Misconfigured(
            f"{database} is a file with one server, which drives its launches itself; workers are "
            "for PostgreSQL."
        )
    face = _facing(settings, world, show) if answers else nullcontext()
    registration = nullcontext() if database.file is None else registered(database.file)
    # The face is first: edges are forked while there is no thread, no lock and no open database.
    with (
        face as shown,
        registration as lock,
        _monitoring(settings) as monitor,
        open_store(database, world) as store,
    ):
        if lock is not None:
            store.run(work.break_leases)
        engine = prepared(store, database, world)
        for key in settings.access_keys:
            ensure_key(Opened(database, store), key)
        with uncollected():
            node = Node(settings, store, engine, world, face=shown, monitor=monitor)
        if isinstance(shown, Edges):
            shown.begin()
        elif show is not None and shown is not None and not settings.dev:
            show(node.app, store)
        if lock is not None:
            lock.write(node.url)
        else:
            # Before anybody is told that it serves: it counts as living, and may live.
            store.run(node.beat)
        yield node


@contextmanager
def _monitoring(settings: Settings) -> Iterator[Bound | None]:
    """Listen for operators, if they asked for it. In no edge: they are forked by then."""
    if settings.metrics_port is None:
        yield None
        return
    bound = bind(Listener(settings.metrics_host, settings.metrics_port))
    try:
        yield bound
    finally:
        bound.socket.close()


@contextmanager
def in_thread(node: Node) -> Iterator[None]:
    """Serve in a thread of this process for the block.

    At its end, raises `Misconfigured` or `Broken` if the node had stopped on its own.
    """
    assert node.app is not None, "whatever is wrong with it is met here, not in the thread"
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    failures: list[SametokenError] = []

    def serve() -> None:
        try:
            loop.run_until_complete(node.serve(stop))
        except SametokenError as failure:
            failures.append(failure)
        finally:
            # Its threads would else end a little later than the block.
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=serve, name="sametoken")
    thread.start()
    try:
        yield
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def _facing(settings: Settings, world: World, show: Show | None) -> Iterator[Bound | Edges]:
    """Listen, in this process or in edges of their own, without an answer to anybody yet."""
    settings.check_bind()
    listener = Listener(settings.host, settings.port, settings.tls_cert, settings.tls_key)
    bound = _bound(listener, settings.processes or 1, world)
    try:
        if not settings.processes:
            yield bound
            return
        with forked_edges(settings, bound, world, show) as edges:
            # Closed here, so that nobody waits at a socket whose edges have all died.
            bound.socket.close()
            yield edges
    finally:
        bound.socket.close()


def _bound(listener: Listener, sharers: int, world: World) -> Bound:
    """Bind; the edges of a node that was killed hold its port until they notice."""
    until = world.monotonic() + NOTICE_SECONDS
    while True:
        try:
            return bind(listener, sharers)
        except PortInUse:
            if world.monotonic() > until:
                raise
        world.wait(threading.Event(), _LOOK_SECONDS)


@contextmanager
def registered(file: Path) -> Iterator[LockFile]:
    """Be the one server of a SQLite file for the block. Raises `Misconfigured` if another is."""
    check_usable(file)
    lock = register_node(file)
    try:
        yield lock
    finally:
        lock.close()
