"""`Writer` in another process: an edge's end of its line to the node's writer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from sametoken.counts import Told
from sametoken.errors import Transient
from sametoken.resources.account.attempts import Kept, TokenKey
from sametoken.server.admission import Admitted
from sametoken.server.execution import Executed
from sametoken.server.frames import (
    Answer,
    Ask,
    Count,
    CountAll,
    FromWriter,
    GiveUp,
    Stop,
    Totals,
    ask_to_execute,
    counted_of,
    noted,
)
from sametoken.server.lines import LineEnd
from sametoken.server.writing import ANSWER_SECONDS_MAX
from sametoken.world import World

log = logging.getLogger(__name__)


class Stopping(Protocol):
    """Ends an edge; only with `drain` there is time to be unready for a while first."""

    def __call__(self, *, drain: bool) -> None: ...


# The writer says by itself that the time limit is over, and whether the request had begun. So much
# later an edge no longer waits for a writer that stands still.
SILENCE_SECONDS_MAX = 1.0


class FarWriter(LineEnd[FromWriter]):
    """Asks the node's writer. `stop` is called when the node stops, or the writer is gone."""

    def __init__(self, world: World, stop: Stopping) -> None:
        super().__init__(FromWriter)
        self._world = world
        self._stop = stop
        self._is_stopping = False
        self._waiting: dict[int, asyncio.Future[Answer | Totals]] = {}
        self._count = 0
        # The counts of this edge, once it has some.
        self.told: Callable[[], Told] = dict

    async def spend(self, account: str, region: str, bucket: str) -> None:
        await self._ask(partial(Ask, verb="spend", account=account, region=region, bucket=bucket))

    async def execute(self, admitted: Admitted) -> Executed:
        return await self._ask(partial(ask_to_execute, admitted=admitted))

    async def seed(self, account: str, region: str) -> None:
        await self._ask(partial(Ask, verb="seed", account=account, region=region))

    def tell(self, found: Mapping[TokenKey, Kept]) -> None:
        """Have the writer write attempts down; without it nobody does."""
        if found:
            self.send(noted(found))

    async def look(self) -> None:
        await self._ask(partial(Ask, verb="look"))

    async def count_all(self) -> Told:
        """Return the counts of all edges of the node."""
        totals = await self._answered(lambda number, until: CountAll(number))
        if not isinstance(totals, Totals):
            raise Transient(totals.unfinished)
        return totals.told()

    async def _ask(self, ask: Callable[[int, float], Ask]) -> Executed:
        answer = await self._answered(ask)
        assert isinstance(answer, Answer), "it was not asked for counts"
        return answer.executed()

    async def _answered(self, ask: Callable[[int, float], Ask | CountAll]) -> Answer | Totals:
        """Ask, and return the writer's word. Raises `Transient` if there is none."""
        if not self.is_open:
            raise Transient("the writer is gone", ran=False)
        self._count += 1
        number = self._count
        self.send(ask(number, self._world.monotonic() + ANSWER_SECONDS_MAX))
        answered: asyncio.Future[Answer | Totals] = self._loop.create_future()
        self._waiting[number] = answered
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX + SILENCE_SECONDS_MAX):
                return await answered
        except TimeoutError:
            raise Transient("the writer says nothing") from None
        finally:
            if self._waiting.pop(number, None) is not None:
                self.send(GiveUp(number))

    def heard(self, message: FromWriter) -> None:
        if isinstance(message, Stop):
            self._is_stopping = True
            self._stop(drain=message.drains)
            return
        if isinstance(message, Count):
            self.send(counted_of(self.told()))
            return
        answered = self._waiting.pop(message.number, None)
        if answered is not None and not answered.done():
            answered.set_result(message)

    def lost(self) -> None:
        """Answer all that wait, as nobody else will: whether they ran is not known."""
        for number in list(self._waiting):
            self.heard(Answer(number, unfinished="the writer is gone"))
        if not self._is_stopping:
            log.error("the writer has died; this edge ends")
        self._stop(drain=False)
