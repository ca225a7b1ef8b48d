"""The real program, one step at a time: commits of requests and of runners, each from any state.

Between steps, only the answers that a process was given are kept. To find a runner's next
transaction, the runner is run again from its start, over a store that repeats those answers. The
list of answers is therefore the runner's state, and a step has the same outcome whenever it is
taken. Outcomes are remembered: the same step from the same state is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event
from typing import Any, NamedTuple, TypeVar

from admitting import admit
from exhaustive.disk import ACCOUNT, EPOCH, REGION, Age, Disk, World
from sametoken import faults
from sametoken.faults import Point
from sametoken.faults.board import Board
from sametoken.faults.rules import Rule
from sametoken.idempotency import sql_engine
from sametoken.node import wire_services
from sametoken.server.credentials import Principal
from sametoken.server.execution import Executed, execute
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.store import clock
from sametoken.store.group_commit import run_batch
from sametoken.store.jobs import Job
from sametoken.store.port import Tx
from sametoken.store.sqlite import SqliteSession
from sametoken.workflow import work
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.mishaps import Mishaps
from sametoken.workflow.runner import Runner

T = TypeVar("T")

# Answers that a runner was given since it began, each by its number in `Program.value`.
Told = tuple[int, ...]
# A member of a commit: a request, by its number, or the next transaction of a runner.
Member = int | Told

_ENGINE = sql_engine(b"exhaustive", records_attempts=True)
# The first number that a restarted process draws; no process draws as many before a crash.
_AFTER_RESTART = 1_000_000
# A fixed id, since no behaviour depends on it.
_REQUEST_ID = "request"
# Members of an answer that hold ids. Volumes are left out: they show only once attached.
_NAMED = ("ReservationId", "InstanceId", "NetworkInterfaceId")


class Answer(NamedTuple):
    """An answer to a caller: an error's code or "", and every id."""

    code: str
    ids: tuple[str, ...]


class Cut(NamedTuple):
    """A crash at any of `points`: the number of the state `left`, and the answers `said` before."""

    points: tuple[Point, ...]
    left: int
    said: tuple[int | None, ...]


class Ran(NamedTuple):
    """A commit: the state after it, each member's answer, and every place to crash."""

    after: int
    told: tuple[int, ...]
    cuts: tuple[Cut, ...]


class _Asks(BaseException):
    """Stops a runner at the first transaction whose answer it was not given yet."""


@dataclass(slots=True)
class _Retold:
    """A store for one runner: repeats the `answers` given before, then stops the runner."""

    answers: Sequence[Any]
    asked: int = 0
    reads: bool = False
    fn: Callable[[Tx], Any] | None = None

    def run(self, fn: Callable[[Tx], T]) -> T:
        return self._tell(fn, reads=False)

    def read(self, fn: Callable[[Tx], T]) -> T:
        return self._tell(fn, reads=True)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        return self._tell(fn, reads=True)

    def _tell(self, fn: Callable[[Tx], T], *, reads: bool) -> T:
        if self.asked == len(self.answers):
            self.fn, self.reads = fn, reads
            raise _Asks
        answer = self.answers[self.asked]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        told: T = answer
        return told

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "", shares: bool = False) -> Future[T]:
        raise AssertionError("a runner waits for each of its transactions")

    def seconds(self) -> float:
        raise AssertionError("a runner's moments are its transactions'")

    def check(self) -> None:
        raise AssertionError("no part dies here")

    def listen(self, channel: str) -> Event:
        raise AssertionError("runners are stepped")


def request(**form: str) -> Callable[[Tx], Answer]:
    """Admit a request of the account: everything that needs no state is done here."""
    principal = Principal("AKIAEXHAUSTIVE", ACCOUNT, "full", "secret")
    call = admit({"Version": "2016-11-15", **form}, principal, REGION, _REQUEST_ID)
    return lambda tx: _answer(execute(tx, _ENGINE, call))


class Program:
    """The program over one disk. `calls` are the transactions that callers may ask for."""

    def __init__(
        self,
        calls: Sequence[Callable[[Tx], Answer]],
        machines: SimulationSettings,
        prepare: Callable[[Tx], None] | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.world = World()
        self.disk = Disk(self.world)
        if prepare is not None:
            prepare(Tx(self.disk.reader, EPOCH, self.world))
        self.session = SqliteSession(self.disk.engine, self.world, clock.Pace(self.world))
        self._calls = calls
        self._machines = machines
        self._rules = rules
        self._values: list[Any] = []
        self._numbers: dict[str, int] = {}
        self._next: dict[Told, _Retold] = {}
        self._commits: dict[tuple[int, Age, tuple[Member, ...]], Ran] = {}
        self._looks: dict[tuple[int, Age, Told], int] = {}
        self._restarts: dict[int, int] = {}

    @property
    def executions(self) -> int:
        """Count the commits that were made, restarts included."""
        return len(self._commits) + len(self._restarts)

    def value(self, number: int) -> Any:
        """Return the answer that is kept under `number`."""
        return self._values[number]

    def _keep(self, value: Any) -> int:
        text = repr((type(value), str(value)) if isinstance(value, Exception) else value)
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._values)
            self._values.append(value)
        return number

    # -- runners ------------------------------------------------------------------------------

    def _asks(self, told: Told) -> _Retold:
        """Run a runner that was told `told` to its next transaction; `fn` is None at its end."""
        store = self._next.get(told)
        if store is None:
            store = self._next[told] = _Retold([self._values[number] for number in told])
            services = wire_services(store, _ENGINE, self.world, self._machines)
            # Decide anew each time what strikes: no rule may count.
            mishaps = Mishaps(Board(lambda: 0.0, self._rules))
            runner = Runner(store, services, self.world, Backlog(self.world), mishaps)
            try:
                runner.run_once()
            except _Asks:
                assert store.fn is not None, "it has asked for something"
        return store

    def goes_on(self, told: Told, number: int) -> Told:
        """Return the runner's state after another answer; empty if it then begins anew."""
        further = (*told, number)
        return further if self._asks(further).fn is not None else ()

    def reads_next(self, told: Told) -> bool:
        return self._asks(told).reads

    def does(self, told: Told) -> str:
        """Return the name of the runner's next transaction, for messages."""
        fn: Any = self._asks(told).fn
        inner = getattr(fn, "func", fn)
        return f"{inner.__module__.rpartition('.')[2]}.{inner.__qualname__}"

    def looked(self, state: int, age: Age, told: Told) -> int:
        """Run the runner's next transaction, which only reads, and return its answer's number."""
        key = (state, age, told)
        if key not in self._looks:
            fn = self._asks(told).fn
            assert fn is not None and self.reads_next(told), "it reads"
            self._enter(state, age)
            now, leapt, _ = clock.read(self.disk.reader, self.session.pace)
            self._looks[key] = self._keep(fn(Tx(self.disk.reader, now, self.world, leapt)))
        return self._looks[key]

    # -- commits ------------------------------------------------------------------------------

    def _enter(self, state: int, age: Age) -> None:
        self.disk.load(state)
        # Another state may be an earlier one.
        self.session.pace = clock.Pace(self.world)
        self.world.past = work.LEASE if age.lease_over else work.LEASE * 0

    def commit(self, state: int, age: Age, members: tuple[Member, ...]) -> Ran:
        """Make one commit of all `members`, as the store's writer does."""
        key = (state, age, members)
        ran = self._commits.get(key)
        if ran is None:
            self._enter(state, age)
            fns = [self._fn(member) for member in members]
            ran = self._commits[key] = self._run(state, age, fns)
        return ran

    def _fn(self, member: Member) -> Callable[[Tx], Any]:
        if isinstance(member, int):
            return self._calls[member]
        fn = self._asks(member).fn
        assert fn is not None, "a runner that has ended asks for nothing"
        return fn

    def _run(self, state: int, age: Age, fns: Sequence[Callable[[Tx], Any]]) -> Ran:
        before = self.disk.raw.serialize()
        jobs = [Job(fn) for fn in fns]
        futures = [job.future for job in jobs]
        assert all(future.set_running_or_notify_cancel() for future in futures)
        reached: list[tuple[Point, bytes, tuple[int | None, ...]]] = []

        def injector(point: Point) -> None:
            # Serializing leaves an open transaction out, so this image is what a crash leaves.
            said = tuple(self._said(one) if one.done() else None for one in futures)
            reached.append((point, self.disk.raw.serialize(), said))

        faults.install(injector)
        try:
            run_batch(self.session, jobs, lambda channels: None)
        finally:
            faults.install(None)
        after, image = self.disk.keep(), self.disk.raw.serialize()
        told = tuple(self._said(future) for future in futures)
        if age.restarted:
            return Ran(after, told, ())
        crashes: dict[tuple[int, tuple[int | None, ...]], list[Point]] = {}
        for point, left, said in reached:
            number = {before: state, image: after}.get(left)
            if number is None:
                self.disk.put(left)
                number = self.disk.keep()
            crashes.setdefault((self.restart(number), said), []).append(point)
        cuts = (Cut(tuple(points), *key) for key, points in crashes.items())
        return Ran(after, told, tuple(cuts))

    def _said(self, future: Future[Any]) -> int:
        return self._keep(future.exception() or future.result())

    def restart(self, state: int) -> int:
        """Start a node on the state that a crash has left; return the state that it serves."""
        if state not in self._restarts:
            self.disk.load(state)
            self.world.drawn = _AFTER_RESTART
            job = Job(work.break_leases)
            assert job.future.set_running_or_notify_cancel()
            run_batch(self.session, [job], lambda channels: None)
            job.future.result()
            self._restarts[state] = self.disk.keep()
        return self._restarts[state]


def _answer(executed: Executed) -> Answer:
    """Reduce an answer to what must be equal in repeats: the error's code, or the ids."""
    if executed.error is not None:
        return Answer(executed.error.code, ())
    assert executed.result is not None, "without an error there is a result"
    return Answer("", tuple(_ids(executed.result)))


def _ids(document: Any) -> Iterator[str]:
    """Yield the ids of an answer's reservation, instances and interfaces, in their order."""
    match document:
        case dict():
            for name, value in document.items():
                if name in _NAMED and isinstance(value, str):
                    yield value
                else:
                    yield from _ids(value)
        case list():
            for value in document:
                yield from _ids(value)
