"""Forking the edges of a node: processes that read requests and answer them, for its one writer.

Forking comes before anything has a thread or is open: in an edge a thread would be missing, with
its locks held; a connection to a file belongs to one process; and a lock on a file would outlive
the node. An edge waits for the word to begin, and ends when the writer's end of its line closes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import mmap
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sametoken.ec2.protocol.model import ServiceModel
from sametoken.errors import Misconfigured
from sametoken.node import serve_edge
from sametoken.operate.drivers import snapshots_of
from sametoken.server.app import App
from sametoken.server.desks import Edges
from sametoken.server.edge import Bound
from sametoken.server.tally import Tally
from sametoken.settings import Settings
from sametoken.store.port import Store
from sametoken.world import World

log = logging.getLogger(__name__)

_PLATFORM = "linux"
# A byte on a line, before any frame: from the writer that the database may be opened, and back from
# the edge once it has.
_WORD = b"!"
# Edges of a node, unless told otherwise: one a core. Four keep a writer busy.
_USUAL_EDGES = 4
# Bytes of a count: of connections, and of requests in work, each edge has one.
_COUNT_BYTES = 8


# Adds to an application, before it answers, what it shows beside EC2's API; with the store of its
# process, or None in one that does not write.
Show = Callable[[App, Store | None], None]


@contextmanager
def forked_edges(
    settings: Settings, bound: Bound, world: World, show: Show | None = None
) -> Iterator[Edges]:
    """Fork the edges that answer at `bound`, for the block; none outlives it.

    Raises `Misconfigured` on systems where a fork is not sound.
    """
    check_can_fork(sys.platform)
    assert threading.active_count() == 1, "a fork takes no other thread along"
    count = bound.sharers
    shared = memoryview(mmap.mmap(-1, 2 * count * _COUNT_BYTES)).cast("Q")
    open, in_work = shared[:count], shared[count:]
    _load_what_is_shared()
    lines: list[socket.socket] = []
    children: list[int] = []

    def begin() -> None:
        for line in lines:
            line.send(_WORD)
        if not all(line.recv(len(_WORD)) for line in lines):
            raise Misconfigured("an edge of this node did not start; its log says why")

    def forget(place: int) -> None:
        open[place] = in_work[place] = 0

    try:
        for place in range(count):
            ours, theirs = socket.socketpair()
            lines.append(ours)
            child = os.fork()
            if child == 0:
                for line in lines:
                    line.close()
                tallies = Tally(open, place), Tally(in_work, place)
                _live(settings, bound, world, theirs, *tallies, show)
            theirs.close()
            children.append(child)
        yield Edges(bound.url, tuple(lines), begin, forget, Tally(open), Tally(in_work))
    finally:
        for line in lines:
            line.close()
        for child in children:
            # Kill: if it still runs, it has not begun, or has not ended in time.
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def usual_edges(platform: str = sys.platform, cores: int | None = None) -> int:
    """Return how many edges a node has unless told otherwise."""
    if platform != _PLATFORM:
        return 0
    count = len(os.sched_getaffinity(0)) if cores is None else cores
    return min(count, _USUAL_EDGES) if count > 1 else 0


def check_can_fork(platform: str) -> None:
    """Raise `Misconfigured` unless a program of that platform may go on after a fork."""
    if platform != _PLATFORM:
        raise Misconfigured(
            "Edges of their own need Linux: elsewhere a forked process may not go on safely. "
            "Serve with --processes 0, in one process."
        )


def _load_what_is_shared() -> None:
    """Load what all processes read and none changes, so that it is in memory once."""
    gc.disable()
    for service in ("ec2", "sts"):
        ServiceModel.load(service)
    gc.enable()
    # The collector marks what it looks at, which would copy it into each process.
    gc.freeze()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _live(
    settings: Settings,
    bound: Bound,
    world: World,
    line: socket.socket,
    open: Tally,
    in_work: Tally,
    show: Show | None,
) -> None:
    """Be an edge, to the end of the process."""
    status = 1
    try:
        # Ignored: service managers signal all processes of a node, and the writer says when to end.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        # A copy that stays open to the end of the process, by which the writer notices it.
        with line.dup():
            if line.recv(len(_WORD)):
                with snapshots_of(settings.database, world) as store:
                    line.send(_WORD)
                    asyncio.run(
                        serve_edge(
                            settings, store, world, bound, line,
                            open=open, in_work=in_work, show=show and (lambda app: show(app, None)),
                        )
                    )  # fmt: skip
        status = 0
    except BaseException:
        log.exception("an edge ends: our bug")
    finally:
        logging.shutdown()
        os._exit(status)
