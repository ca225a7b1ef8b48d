"""The application behind the HTTP edge: EC2's Query API and STS at `/`, the probes beside it.

`pipeline` turns a request into its reply. A result or a refusal is sent only after the request's
transaction has ended, or has been given up with a 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from sametoken import faults
from sametoken.counts import Told
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.faults import Point
from sametoken.faults.board import Board
from sametoken.server import browsing, development
from sametoken.server.asgi import Application
from sametoken.server.choices import Choices
from sametoken.server.credentials import Credentials
from sametoken.server.ends import Ends
from sametoken.server.exchange import Exchange, known
from sametoken.server.pipeline import Pipeline
from sametoken.server.pools import Pools
from sametoken.server.probes import HEALTH, READY, Facts, Probes
from sametoken.server.replies import Answer
from sametoken.server.stages import Stage
from sametoken.server.striking import Answering, Striker, shaped
from sametoken.server.tally import Tally
from sametoken.server.unproven import Spacing
from sametoken.server.writing import Writer
from sametoken.store.port import Tx
from sametoken.store.reading import Snapshots
from sametoken.world import World, mint_uuid

T = TypeVar("T")

_HEADERS = b"content-type: %b\r\nx-amzn-requestid: %b\r\n"


class App:
    """The endpoint of `turns`: it answers EC2's requests, and has ASGI applications for others.

    `board` has the faults that may strike requests; with None no fault ever does. `facts` are told
    by the probes, with what `readiness` finds in the database. `routes` has the applications that
    answer at paths of their own.
    """

    def __init__(
        self,
        store: Snapshots,
        writer: Writer,
        credentials: Credentials,
        world: World,
        choices: Choices,
        in_work: Tally,
        ends: Ends,
        board: Board | None = None,
        *,
        facts: Facts | None = None,
        readiness: Callable[[Tx], Facts] = lambda tx: {},
    ) -> None:
        self.store = store
        self._readiness = readiness
        self._writer = writer
        self._world = world
        self.ends = ends
        # Tells the counts of requests of all processes that answer for this node.
        self.count_all: Callable[[], Awaitable[Told]] = self._count
        self._pools = Pools(world)
        self._spacing = Spacing(world)
        self.pipeline = Pipeline(
            store, writer, credentials, world, choices, self._pools, in_work, ends,
            takes_faults=board is not None,
        )  # fmt: skip
        if ends.tracing is not None:
            self.pipeline.insert(Stage("trace", ends.tracing.mark), before="transaction")
        self.striker = None if board is None else Striker(self.pipeline, board, world, ends)
        self._answering: Answering = self.striker or self.pipeline
        self.probes = Probes(facts or {}, self._look)
        self.routes: dict[str, Application] = {HEALTH: self.probes, READY: self.probes}
        # Answers at all paths of `development.PREFIX`.
        self.control: Application = development.refuse
        # Answers at all paths of `browsing.PREFIX`; with None, nobody does.
        self.console: Application | None = None

    async def _look(self) -> Facts:
        """Return if requests can be served: the database can be read, and the writer lives."""
        self.check()
        found = await self._pools.look_up(lambda: self.store.read(self._readiness))
        await self._writer.look()
        return found

    async def read(self, reader: str, fn: Callable[[], T]) -> T:
        """Run `fn`, which reads for the application of that name, in the turn of its own.

        The threads are those of callers' reads, of which one reader never has all.
        """
        return await self._pools.read(reader, fn)

    async def _count(self) -> Told:
        return self.ends.counts.told()

    def check(self) -> None:
        """Raise `Broken` if a thread has died, or the database is not what it was."""
        self.store.check()
        self._pools.check()

    def route(self, path: str) -> Application | None:
        """Return the application at `path`; None if the path is EC2's, or nobody's."""
        if path == "/":
            return None
        if browsing.is_console(path):
            return self.console
        return self.control if development.is_control(path) else self.routes.get(path)

    def answer(
        self, request: WireRequest, reply: Callable[[Answer], None]
    ) -> asyncio.Task[Any] | None:
        """Call `reply` with the answer at once, or return a task that does, unless cancelled."""
        if self.console is not None and browsing.asks_for_page(request):
            reply(browsing.TO_CONSOLE)
            return None
        began = self._world.monotonic()
        received = self.store.seconds()
        exchange = Exchange(mint_uuid(self._world), request, received=received)
        said = self._answering.answer(exchange)
        if isinstance(said, Exchange):
            reply(self._answered(said, began))
            return None
        said.add_done_callback(partial(self._end, began, reply))
        return said

    def _end(
        self, began: float, reply: Callable[[Answer], None], task: asyncio.Task[Exchange]
    ) -> None:
        if not task.cancelled():
            reply(self._answered(task.result(), began))

    def _answered(self, exchange: Exchange, began: float) -> Answer:
        self.ends.answered(exchange, self._world.monotonic() - began)
        faults.reach(Point.REPLY_READY)
        found = known(exchange.reply)
        headers = _HEADERS % (found.content_type.encode(), exchange.request_id.encode())
        after = 0.0
        if exchange.principal is None and found.code != "-":
            after = self._spacing.delay(len(known(exchange.wire).body))
        answer = Answer(found.status, headers, found.body, after)
        return shaped(answer, exchange.strikes) if exchange.strikes else answer

    def close(self) -> None:
        """End the threads that read and prepare. Call it after the last request."""
        if self.striker is not None:
            self.striker.close()
        self._pools.close()
