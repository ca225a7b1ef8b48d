"""A node's threads beside answering: they drive work, ripen resources, sweep, beat, and write."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sametoken.counts import Count, Family, Type
from sametoken.errors import Misconfigured, Transient
from sametoken.idempotency import Engine
from sametoken.server.journal import Journal
from sametoken.services.housekeeping import sweep
from sametoken.spans import Traces
from sametoken.store.nodes import BEAT_SECONDS
from sametoken.store.port import Store, Tx
from sametoken.store.roll import begin, call
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.loop import Duty, Ripener, run_duty
from sametoken.workflow.mishaps import Mishaps
from sametoken.workflow.ports import Services
from sametoken.workflow.runner import GATHERING_SECONDS, Runner
from sametoken.workflow.telling import Telling
from sametoken.workflow.tracing import Tracing
from sametoken.world import World

log = logging.getLogger(__name__)

SWEPT = Family(
    "sametoken_swept_total", Type.COUNTER,
    "Rows that the sweep removed: expired entries, of tokens and of steps, and resources that only "
    "they had kept.",
)  # fmt: skip
# Attempts are written so long after they were answered: a crash loses no more.
WRITE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Life:
    """A node's heartbeat: what it tells other nodes, in transactions.

    `beat` is repeated. It raises `Misconfigured` when the node must not go on; `give_up` then gets
    that error.
    """

    beat: Callable[[Tx], None]
    leave: Callable[[Tx], None]
    give_up: Callable[[Misconfigured], None]


class Background:
    """The threads of one node. Started and stopped once."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        services: Services,
        world: World,
        backlog: Backlog,
        mishaps: Mishaps,
        journal: Journal,
        node: str,
        *,
        runners: int,
        sweep_seconds: float,
        gathering_seconds: float = GATHERING_SECONDS,
        traces: Traces | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._engine = engine
        self._world = world
        self.swept = Count(SWEPT)
        # Set once the threads are to end.
        self.ended = threading.Event()
        # Events that idle threads wait on; stop() sets them all.
        self._news: list[threading.Event] = []
        self.runners = [
            Runner(
                store,
                services,
                world,
                backlog,
                mishaps,
                node,
                gathering_seconds=gathering_seconds,
                telling=_telling(traces, world),
            )
            for _ in range(runners)
        ]
        self._threads = [
            self._driver(f"runner-{number}", one) for number, one in enumerate(self.runners)
        ]
        self._news.append(journal.news)
        self._threads += [
            self._driver("ripener", Ripener(store)),
            self._thread("sweeper", partial(self._repeat, "sweep", self._keep, sweep_seconds)),
            self._thread("scribe", self._write_down),
        ]

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=work, name=name)

    def _driver(self, name: str, duty: Duty) -> threading.Thread:
        news = self._store.listen(duty.channel)
        self._news.append(news)
        run = partial(run_duty, duty, self._store, self._world, news, self.ended)
        return self._thread(name, run)

    def tell(self, life: Life) -> None:
        """Beat from the start to the end, to tell other nodes. Call before `start`."""
        self._threads.append(self._thread("heartbeat", partial(self._beat, life)))

    def settle(self, settle: Callable[[], None], seconds: float) -> None:
        """Settle with other nodes, every so many seconds. Call before `start`."""
        run = partial(self._repeat, "settlement", settle, seconds)
        self._threads.append(self._thread("settlement", run))

    def start(self) -> None:
        """Start every thread, or none and raise `Broken` if the system has no more."""
        threads, self._threads = self._threads, []
        begin(threads, self._tell_to_end)
        self._threads = threads

    def check(self) -> None:
        """Raise `Broken` if a thread has died."""
        call(self._threads)

    def stop(self) -> None:
        """Stop every thread, and return once all have ended."""
        self._tell_to_end()
        for thread in self._threads:
            thread.join()

    def _tell_to_end(self) -> None:
        self.ended.set()
        for news in self._news:
            news.set()

    def _keep(self) -> None:
        while removed := self._store.run(lambda tx: sweep(tx, self._engine)):
            self.swept.add(by=removed)

    def _repeat(self, name: str, act: Callable[[], None], seconds: float) -> None:
        """Act now and then; an act that fails is tried again."""
        while not self._world.wait(self.ended, seconds):
            try:
                act()
            except Transient as busy:
                log.warning("%s: %s", name, busy)
            except Exception:
                log.exception("%s: our bug", name)

    def _write_down(self) -> None:
        """Write attempts down, those of a while together, and the last ones at the end."""
        while not self.ended.is_set():
            self._journal.news.wait()
            self._world.wait(self.ended, WRITE_SECONDS)
            self._write_once()
        self._write_once()

    def _write_once(self) -> None:
        try:
            self._journal.write(self._store)
        except Transient as busy:
            log.warning("attempts are not written down yet: %s", busy)
        except Exception:
            log.exception("attempts are lost: our bug")

    def _beat(self, life: Life) -> None:
        while not self.ended.is_set():
            try:
                self._say(life.beat)
            except Misconfigured as outdated:
                life.give_up(outdated)
                break
            self._world.wait(self.ended, BEAT_SECONDS)
        self._say(life.leave)

    def _say(self, change: Callable[[Tx], None]) -> None:
        try:
            self._store.run(change)
        except Transient as busy:
            log.warning("heartbeat: %s", busy)
        except Misconfigured:
            raise
        except Exception:
            log.exception("heartbeat: our bug")


def _telling(traces: Traces | None, world: World) -> Telling:
    return Telling(None if traces is None else Tracing(traces, world))
