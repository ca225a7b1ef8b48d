"""The desks of a node: opened for all of its edges, told to stop, and waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from socket import socket

from sametoken.counts import Told, summed
from sametoken.errors import Misconfigured
from sametoken.server.desk import Desk
from sametoken.server.frames import Stop
from sametoken.server.tally import Tally
from sametoken.server.writing import Jobs
from sametoken.world import World

log = logging.getLogger(__name__)

# An edge that does not tell its counts within so many seconds is told of as it was before.
COUNT_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Edges:
    """Edge processes, and this end of each one's line, which the process closes by its end alone.

    `begin` lets them open the database, and returns once they serve. `forget` takes what a dead one
    had counted out of the node's tallies, `open` of connections and `in_work` of requests.
    """

    url: str
    lines: tuple[socket, ...]
    begin: Callable[[], None]
    forget: Callable[[int], None]
    open: Tally
    in_work: Tally


class Desks:
    """Serves the edges of a node. Serves once."""

    def __init__(self, edges: Edges, jobs: Jobs, world: World, patience_seconds: float) -> None:
        self._edges = edges
        self._jobs = jobs
        self._world = world
        self._patience_seconds = patience_seconds
        self._open: dict[int, Desk] = {}
        self._all: list[Desk] = []
        self._all_gone = asyncio.Event()
        self._is_stopping = False

    async def serve(self, stop: asyncio.Event, drains: Callable[[], bool]) -> None:
        """Serve the edges until `stop`; then let them drain and end.

        An edge that dies is missed, but the node goes on with the others. Raises `Misconfigured`
        once there is none.
        """
        loop = asyncio.get_running_loop()
        for place, line in enumerate(self._edges.lines):
            desk = self._open[place] = Desk(
                self._jobs, self._world, partial(self._gone, place), self.told
            )
            self._all.append(desk)
            await loop.create_connection(partial(_same, desk), sock=line)
        waits = [loop.create_task(event.wait()) for event in (stop, self._all_gone)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        if not stop.is_set():
            raise Misconfigured("every edge of this node has died; its log may say why")
        self._is_stopping = True
        for desk in self._open.values():
            desk.send(Stop(drains()))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_seconds):
                await self._all_gone.wait()
        for desk in list(self._open.values()):
            desk.end()

    async def told(self) -> Told:
        """Return the counts of all edges, those that have died included."""
        counting = [asyncio.ensure_future(desk.count()) for desk in self._open.values()]
        if counting:
            _, late = await asyncio.wait(counting, timeout=COUNT_SECONDS_MAX)
            for one in late:
                one.cancel()
        return summed(desk.counts for desk in self._all)

    def _gone(self, place: int) -> None:
        del self._open[place]
        self._edges.forget(place)
        if not self._is_stopping:
            log.error("an edge has died, with its connections; %d go on", len(self._open))
        if not self._open:
            self._all_gone.set()


def _same(desk: Desk) -> Desk:
    return desk
