"""Faults of the cluster while clients ask: drawn from the seed, spread over the run."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from chaos.clients import Load
from chaos.cluster import NODES, Cluster, Node

# Starts of a killed node, at most: its database may be away for the first ones.
_STARTS_MAX = 30
# A stopped node stays stopped until the others have acknowledged this many creates, or this long.
_STOPPED_CREATES, _STOPPED_SECONDS_MAX = 40, 1.5
# Ends the wait for the moment of the next fault when clients make no progress: then it comes
# anyway.
_STALL_SECONDS = 20.0
# Rounds of cancelling the commits that wait for the standby, before the primary crashes: in the
# second, callers whose first answer was an unknown outcome have come again.
_CANCELS = 2


@dataclass(frozen=True)
class Pace:
    """The length of a run: it ends after this many acknowledged creates and this many seconds."""

    creates: int
    seconds: float

    def fraction(self, made: int, seconds: float) -> float:
        """The part of the run that is over, from 0 to 1."""
        parts = [made / self.creates]
        if self.seconds:
            parts.append(seconds / self.seconds)
        return min(1.0, *parts)


class Faults:
    """The faults of one run, shuffled, and the thread that plays them."""

    def __init__(self, cluster: Cluster, load: Load, counts: Mapping[str, int], pace: Pace) -> None:
        self._cluster = cluster
        self._load = load
        self._pace = pace
        self._random = Random(f"{load.seed}/faults")
        self._deck = [what for what, count in counts.items() for _ in range(count)]
        self._random.shuffle(self._deck)
        self._acts: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "stop": self._stop,
            "cut": self._cut,
            "restart": self._restart,
            "failover": self._fail_over,
        }
        assert counts.keys() <= self._acts.keys(), "every fault is known"
        self._starting: list[Future[None]] = []
        self._threads = ThreadPoolExecutor(NODES, thread_name_prefix="supervisor")
        self._begun = time.monotonic()

    def play(self) -> None:
        """Play all faults; returns when the run is over and every node runs again."""
        try:
            for number, what in enumerate(self._deck, 1):
                self._wait_for(number / (len(self._deck) + 1))
                self._acts[what]()
            self._wait_for(1.0)
            for one in self._starting:
                one.result()
        finally:
            self._threads.shutdown()

    def _wait_for(self, fraction: float) -> None:
        """Wait until that part of the run is over, or the clients make no progress."""
        while True:
            made, passed = self._load.made, time.monotonic() - self._begun
            if self._pace.fraction(made, passed) >= fraction:
                return
            enough = passed >= fraction * self._pace.seconds
            patience = _STALL_SECONDS if enough else fraction * self._pace.seconds - passed
            if not self._load.wait_for(made + 1, patience) and enough:
                return

    def _note(self, what: str, where: str, count: int = 1) -> None:
        self._load.history.write("fault", what=what, where=where, count=count)

    def _node(self) -> Node:
        """Choose a node, preferably one that runs."""
        free = [node for node in self._cluster.nodes if not node.lock.locked()]
        return self._random.choice(free or list(self._cluster.nodes))

    def _kill(self) -> None:
        """Kill a node (SIGKILL), and start it again while the run goes on."""
        node = self._node()
        node.lock.acquire()
        self._note("kill", node.name)
        node.server.kill()
        self._starting.append(self._threads.submit(_start_again, node))

    def _stop(self) -> None:
        """Stop a node (SIGSTOP), and resume it (SIGCONT) when the others have gone on."""
        node = self._node()
        with node.lock:
            self._note("stop", node.name)
            node.server.process.send_signal(signal.SIGSTOP)
            try:
                self._load.wait_for(self._load.made + _STOPPED_CREATES, _STOPPED_SECONDS_MAX)
            finally:
                node.server.process.send_signal(signal.SIGCONT)

    def _cut(self) -> None:
        """Reset the connections of one node, to its callers or to the database."""
        if self._random.random() < 0.5:
            self._note("cut", "database")
            self._cluster.cut_database()
        else:
            node = self._node()
            self._note("cut", node.name)
            node.cut()

    def _restart(self) -> None:
        mode = self._random.choice(["fast", "immediate"])
        self._note("restart", mode)
        self._cluster.pair.restart(mode)

    def _fail_over(self) -> None:
        """Fence the primary and promote the standby.

        Cancel some commits first that the standby will never have: no client may have heard of them
        as done.
        """
        pair = self._cluster.pair
        self._note("failover", pair.standby.folder.name)
        pair.standby.stop()
        for _ in range(_CANCELS):
            self._note("cancelled commit", "standby away", pair.cancel_waiting_commits())
        pair.fence()
        pair.standby.start()
        pair.take_over()
        pair.rejoin()


def _start_again(node: Node) -> None:
    """Start the node until it runs, as a supervisor does."""
    try:
        for _ in range(_STARTS_MAX):
            with suppress(AssertionError):
                node.start()
                return
            with suppress(AssertionError):
                # The node has ended by itself, which is not how a killed one ends.
                node.server.close()
        raise AssertionError(f"{node.name} does not start; log: {node.server.log.read_text()}")
    finally:
        node.lock.release()
