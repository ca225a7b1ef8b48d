"""Store of a simulated node: transactions through the node's writer, snapshots of the database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from memory import check_written
from sametoken.store import clock
from sametoken.store.jobs import Job
from sametoken.store.kept import Kept
from sametoken.store.port import Tx

if TYPE_CHECKING:
    from simulation.cluster import Node

T = TypeVar("T")


class Store:
    """Implements `sametoken.store.port.Store` for a node: actors may switch at each transaction."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._kept = Kept()

    def run(self, fn: Callable[[Tx], T]) -> T:
        hazards, scheduler = self._node.cluster.hazards, self._node.cluster.scheduler
        hazards.switch()
        future = self._put(fn, is_own=True)
        self.wait(future)
        scheduler.block(0)
        return future.result()

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "", shares: bool = False) -> Future[T]:
        return self._put(fn, is_own=False)

    def _put(self, fn: Callable[[Tx], T], *, is_own: bool) -> Future[T]:
        hazards = self._node.cluster.hazards

        def member(tx: Tx) -> T:
            value = fn(tx)
            check_written(tx)
            hazards.in_transaction(tx)
            return value

        job = Job(member)
        self._node.jobs.put(job, is_own=is_own)
        self._node.wake_writer()
        return job.future

    def wait(self, future: Future[T], timeout_us: int | None = None) -> None:
        """Wait until the transaction's outcome is known, or the timeout is over."""
        scheduler = self._node.cluster.scheduler
        actor = scheduler.current
        assert actor is not None, "only actors wait"
        until_us = None if timeout_us is None else scheduler.now_us + timeout_us
        future.add_done_callback(lambda _: scheduler.wake(actor))
        while not future.done() and (until_us is None or scheduler.now_us < until_us):
            scheduler.block(None if until_us is None else until_us - scheduler.now_us)

    def read(self, fn: Callable[[Tx], T]) -> T:
        self._node.cluster.hazards.switch()
        return self.look(fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        return self.look(fn, hurried=True)

    def look(self, fn: Callable[[Tx], T], *, hurried: bool = False) -> T:
        """Read, without a switch of actors before."""
        cluster, world = self._node.cluster, self._node.world
        connection = cluster.database.reader()
        changes = cluster.database.raw.total_changes
        now, leapt, _ = clock.read(connection, self._node.pace)
        value = fn(Tx(connection, now, world, leapt, kept=self._kept, hurried=hurried))
        assert cluster.database.raw.total_changes == changes, "what only reads wrote something"
        return value

    def seconds(self) -> float:
        return self._node.pace.seconds()

    def check(self) -> None:
        raise AssertionError("the cluster looks after a node's parts")

    def listen(self, channel: str) -> Event:
        raise AssertionError("idle runners are woken by the cluster")
