"""Readings of a node: all that its parts have counted, and what its database says, at one moment.

A node may be several processes. Each counts what happens in it, and the writer asks the edges when
somebody wants to know, so that a reading is of the whole node and tells nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version

from sametoken.background import SWEPT, Background
from sametoken.condition import condition
from sametoken.counts import Family, Told, Type, gauge, summed, told
from sametoken.errors import Transient
from sametoken.events import EventKind
from sametoken.faults.board import FIRED, STRIKE, Board
from sametoken.server.counts import OF_FRONTS
from sametoken.server.job_counts import OF_JOBS
from sametoken.server.probes import READY_SECONDS_MAX
from sametoken.server.request_log import REQUEST
from sametoken.server.tally import Tally
from sametoken.server.throttling import THROTTLED
from sametoken.server.writing import Jobs
from sametoken.store.counts import OF_STORES
from sametoken.store.port import CountingStore
from sametoken.workflow.telling import EVENTS as OF_LAUNCHES
from sametoken.workflow.telling import OF_RUNNERS

log = logging.getLogger(__name__)

CONNECTIONS_OPEN = Family(
    "sametoken_connections_open", Type.GAUGE, "Connections of callers that are open."
)
IN_WORK = Family(
    "sametoken_requests_in_work", Type.GAUGE, "Requests that wait for a thread or the writer."
)
DUE = Family("sametoken_backlog_due", Type.GAUGE, "Instances with work that is due and not done.")
OLDEST = Family(
    "sametoken_backlog_oldest_seconds", Type.GAUGE,
    "For how long the oldest due work has been due; 0 if none is.",
)  # fmt: skip
LEASED = Family(
    "sametoken_backlog_leased", Type.GAUGE, "Instances with due work that a node is at now."
)
AHEAD = Family(
    "sametoken_clock_offset_seconds", Type.GAUGE,
    "By how much the store's clock is ahead of this node's, by which signatures are checked.",
)  # fmt: skip
READABLE = Family(
    "sametoken_store_readable", Type.GAUGE,
    "1 if the database could be read for this; else 0, and backlog and clock are left out.",
)  # fmt: skip
BUILD = Family(
    "sametoken_build_info", Type.GAUGE, "1, with the versions as labels.",
    ("version", "python", "store"),
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    *OF_FRONTS, CONNECTIONS_OPEN, IN_WORK, *OF_JOBS, THROTTLED, *OF_RUNNERS, DUE, OLDEST, LEASED,
    FIRED, SWEPT, *OF_STORES, AHEAD, READABLE, BUILD,
)  # fmt: skip

EVENTS: tuple[EventKind, ...] = (REQUEST, *OF_LAUNCHES, STRIKE)


@dataclass(frozen=True, slots=True)
class Fronts:
    """The processes in which a node's callers are answered: their counts, and what is open now."""

    told: Callable[[], Awaitable[Told]]
    open: Tally
    in_work: Tally


@dataclass(frozen=True, slots=True)
class Readings:
    """Takes readings of one node.

    `kind` is that of its database; `fronts` is None for a worker, which answers nobody.
    """

    store: CountingStore
    jobs: Jobs
    background: Background
    board: Board
    kind: str
    fronts: Fronts | None

    async def take(self) -> Told:
        """Return the node's samples, by family."""
        parts = [*self._of_this_process(), await self._of_the_database()]
        if self.fronts is not None:
            parts += [
                await self.fronts.told(),
                {CONNECTIONS_OPEN.name: gauge(value=self.fronts.open.total())},
                {IN_WORK.name: gauge(value=self.fronts.in_work.total())},
            ]
        return summed(parts)

    def _of_this_process(self) -> list[Told]:
        runners = [one.telling.told() for one in self.background.runners]
        build = version("sametoken"), platform.python_version(), self.kind
        counts = (self.jobs.throttle.refused, self.board.fired, self.background.swept)
        return [
            self.jobs.counts.told(),
            self.store.counts.told(),
            told(counts),
            summed(runners),
            {BUILD.name: gauge(*build, value=1)},
        ]

    async def _of_the_database(self) -> Told:
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                found = await asyncio.to_thread(self.store.read, condition)
        except (Transient, TimeoutError) as error:
            log.warning("metrics: the database cannot be read: %r", error)
            return {READABLE.name: gauge(value=0)}
        return {
            DUE.name: gauge(value=found.standing.due),
            OLDEST.name: gauge(value=found.oldest_seconds),
            LEASED.name: gauge(value=found.standing.leased),
            AHEAD.name: gauge(value=found.offset_seconds),
            READABLE.name: gauge(value=1),
        }
