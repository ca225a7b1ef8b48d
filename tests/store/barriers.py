"""Sessions on a real PostgreSQL, run through all orders: each stops before each of its acts.

A single session runs at a time, to its next stop, to its end, or to a lock that a stopped session
holds; PostgreSQL reports which session waits for which. Orders are tried depth first, each from a
fresh start. If two waiters are woken at once, PostgreSQL picks the next. So sessions that may wait
together do the same acts, and either pick leads to the same orders.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import sqlalchemy as sa

from sametoken.errors import SametokenError
from sametoken.idempotency.entries import Known, Ledger
from sametoken.idempotency.ledger import Entry, Outcome, Scope
from sametoken.store.pgpipe import Piped
from sametoken.store.port import Store, Tx
from store.stores import HANG_SECONDS

# The pause before PostgreSQL is asked again whether a running session waits.
_LOOK_SECONDS = 0.001
_LOOKS_MAX = int(HANG_SECONDS / _LOOK_SECONDS)
_WHO_WAITS = "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::int[]) AS pid"
_OVER = "over"


class Session:
    """A thread with a transaction of its own; `act` is given the session, to stop in.

    With `settles`, the server has carried out all that the session sent before it stops. Without,
    statements whose answers nobody looks at are carried out as late as they may be: at the next
    look, or with the commit.
    """

    def __init__(
        self, name: str, act: Callable[[Session, Tx], Any], *, settles: bool = True
    ) -> None:
        self.name = name
        self.at = ""
        self.pid = 0
        self.result: Any = None
        self._act = act
        self._settles = settles
        self._pipe: Any = None
        self._go_on = threading.Semaphore(0)
        self._stopped = threading.Event()
        self._is_given_up = False

    def start(self, store: Store) -> threading.Thread:
        thread = threading.Thread(target=self._live, args=(store,), name=self.name)
        thread.start()
        return thread

    def _live(self, store: Store) -> None:
        try:
            self.result = store.run(self._run)
        except Exception as error:  # noqa: BLE001 - the test judges what its session raised
            self.result = error
        self.at = _OVER
        self._stopped.set()

    def _run(self, tx: Tx) -> Any:
        assert isinstance(tx.connection, Piped)
        self._pipe = tx.connection.pipe
        self.pid = tx.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        try:
            value = self._act(self, tx)
        except SametokenError:
            self.stop_before("roll back")
            raise
        self.stop_before("commit")
        return value

    def stop_before(self, what: str) -> None:
        if self._settles:
            self._pipe.settle()
        self.at = what
        self._stopped.set()
        assert self._go_on.acquire(timeout=HANG_SECONDS), "nobody lets it go on"
        assert not self._is_given_up, "the order has failed already"

    def let_go(self) -> None:
        self._stopped.clear()
        self._go_on.release()

    def give_up(self) -> None:
        """Have it roll back at its next stop, so that no other session waits for it."""
        self._is_given_up = True
        self._go_on.release()

    @property
    def runs(self) -> bool:
        return not self._stopped.is_set()

    def look_away(self) -> None:
        self._stopped.wait(_LOOK_SECONDS)


class SteppedLedger(Ledger):
    """The real ledger, which stops before each of its acts on the entry."""

    def __init__(self, session: Session) -> None:
        super().__init__(records_attempts=True)
        self.session = session

    def claim(self, tx: Tx, scope: Scope, client_token: str) -> Entry:
        self.session.stop_before("claim")
        return super().claim(tx, scope, client_token)

    def claim_settled(self, tx: Tx, asked: Sequence[Known]) -> set[tuple[Scope, str]]:
        self.session.stop_before("claim together")
        return super().claim_settled(tx, asked)

    def settle(self, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]) -> None:
        self.session.stop_before("settle")
        super().settle(tx, entry, outcome, resources)

    def fail(self, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        self.session.stop_before("fail")
        super().fail(tx, entry, outcome)

    def sweep(self, tx: Tx, limit: int, until: datetime | None = None) -> int:
        self.session.stop_before("sweep")
        return super().sweep(tx, limit, until)


@dataclass(slots=True)
class Order:
    """An order of turns: which session went on at each turn, of how many that could."""

    wanted: Sequence[int]
    taken: list[tuple[int, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    # The sessions in the order in which their transactions ended.
    ended: list[Session] = field(default_factory=list)
    waits: int = 0

    def choose(self, able: Sequence[Session]) -> Session:
        turn = len(self.taken)
        index = self.wanted[turn] if turn < len(self.wanted) else 0
        assert index < len(able), f"it went another way than before: {self}"
        self.taken.append((index, len(able)))
        return able[index]

    def following(self) -> list[int] | None:
        """Return the choices of the next order: it differs at the last turn with a choice left."""
        left = list(self.taken)
        while left and left[-1][0] + 1 == left[-1][1]:
            left.pop()
        return [*(index for index, _ in left[:-1]), left[-1][0] + 1] if left else None

    def __str__(self) -> str:
        return ", ".join(self.told)


def run(store: Store, sessions: Sequence[Session], order: Order, watch: Watch) -> None:
    """Take the sessions from their beginnings to their ends, in the wanted order."""
    threads = [session.start(store) for session in sessions]
    try:
        _take_turns(sessions, order, watch)
    except BaseException:
        for session in sessions:
            session.give_up()
        raise
    finally:
        for thread in threads:
            thread.join(HANG_SECONDS)
            assert not thread.is_alive(), f"a session hangs: {order}"


def _take_turns(sessions: Sequence[Session], order: Order, watch: Watch) -> None:
    watch.until_all_stand(sessions)
    while able := [one for one in sessions if not one.runs and one.at != _OVER]:
        chosen = order.choose(able)
        before = [one for one in sessions if one.at == _OVER]
        order.told.append(f"{chosen.name} {chosen.at}s")
        chosen.let_go()
        watch.until_all_stand(sessions)
        if chosen.runs:
            order.told[-1] += " (waits)"
            order.waits += 1
        order.ended += [one for one in sessions if one.at == _OVER and one not in before]


class Watch:
    """Asks PostgreSQL, on a connection of its own, which session waits for which."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def until_all_stand(self, sessions: Sequence[Session]) -> None:
        """Wait until each session has stopped, or waits for a stopped one."""
        for _ in range(_LOOKS_MAX):
            running = [one for one in sessions if one.runs]
            if not running or self._all_wait(running, sessions):
                return
            running[0].look_away()
        raise AssertionError("a session neither stops nor waits")

    def _all_wait(self, running: Sequence[Session], sessions: Sequence[Session]) -> bool:
        rows = self._connection.execute(_WHO_WAITS, [[one.pid for one in running]]).fetchall()
        blockers: dict[int, list[int]] = dict(rows)
        standing = {one.pid for one in sessions if one not in running}
        # Sessions in a deadlock do not count as waiting: PostgreSQL will end one of them by itself.
        found, size = set(standing), -1
        while size != len(found):
            size = len(found)
            found |= {pid for pid, by in blockers.items() if found.intersection(by)}
        return found.issuperset(blockers)


def orders(attempt: Callable[[Order], None]) -> Iterator[Order]:
    """Yield all orders; `attempt` runs each of them first."""
    wanted: list[int] | None = []
    while wanted is not None:
        order = Order(wanted)
        attempt(order)
        yield order
        wanted = order.following()
