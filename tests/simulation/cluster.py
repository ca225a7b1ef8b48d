"""Cluster of simulated nodes over one store: the program's engine, group commit, runner, services.

A node's crash loses everything that has not committed. A node answers requests as
`sametoken.server.pipeline` does, without HTTP and signatures: admit, one transaction, reply.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from admitting import admit
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import Transient
from sametoken.faults.rules import Rule
from sametoken.idempotency import sql_engine
from sametoken.node import wire_services
from sametoken.server.credentials import Principal
from sametoken.server.hidden import Hidden
from sametoken.services.housekeeping import sweep
from sametoken.services.machines import Machines, OneByOne
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.services.steps import Steps
from sametoken.store.clock import Pace
from sametoken.store.group_commit import run_batch
from sametoken.store.jobs import JobQueue
from sametoken.store.port import Tx
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.loop import Duty, Ripener
from sametoken.workflow.mishaps import Mishaps
from sametoken.workflow.ports import Local, Service
from sametoken.workflow.runner import Runner
from simulation import answering
from simulation.database import Database, Session
from simulation.fairness import WatchedRunner
from simulation.hazards import (
    HazardousDriver,
    Hazards,
    exposed,
    hazardous,
    log_uniform,
)
from simulation.history import ApiCall, Delivery
from simulation.node_store import Store
from simulation.parts import Parts
from simulation.rules import OF_NETWORK, NodeBoard, occasion_of
from simulation.scheduler import SECOND, Actor, Group, Scheduler
from simulation.striking import Strikes
from simulation.world import SimulatedWorld

T = TypeVar("T")

UNSTRUCK = Strikes()

# Time after which a runner that found no work, although some was due, looks again.
POLL_US = 5_000
# A batch is left to grow for a time between these bounds.
GATHER_US = (1_000, SECOND)
# After so many batches of a node, it is asked for all instances.
LOOKED_AFTER = 20
# A runner leases at most one of these numbers of rows at a time.
LEASED_MAX = (1, 2, 3, 8, 256)
RESTART_US_MIN, RESTART_US_MAX = SECOND // 10, 200 * SECOND

# Selects when the next task of each duty is due, and the store's clock.
_DUE = """
    SELECT (SELECT min(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END)
            FROM work WHERE due_at IS NOT NULL),
        (SELECT min(due_at) FROM ripening), offset_us, high_us
    FROM store_clock
"""
_PLACES = "SELECT DISTINCT account, region FROM resource WHERE kind = 'instance' ORDER BY 1, 2"
# Channels of the duties, in the order of the columns of `_DUE`.
_CHANNELS = (Runner.channel, Ripener.channel)


def _run(action: Read, request: Request, tx: Tx) -> Document:
    return action.run(tx, request)


class Node:
    """A process: a writer, runners, and a thread for each request."""

    def __init__(self, cluster: Cluster, name: str, runners: int) -> None:
        self.cluster = cluster
        self.name = name
        self.group = Group(name)
        self.runners = runners
        self.world = SimulatedWorld(cluster.scheduler, cluster.world_rng, cluster.hazards.skew_us())
        self.is_up = False
        self.starts = 0

    def start(self) -> None:
        """Start the process with empty memory."""
        assert not self.is_up, f"{self.name} runs already"
        cluster, scheduler = self.cluster, self.cluster.scheduler
        self.is_up = True
        self.starts += 1
        self.jobs = JobQueue()
        self.pace = Pace(self.world)
        self.session = Session(cluster.database.engine, self.world, self.pace, cluster.hazards)
        self.store = Store(self)
        self.engine = sql_engine(b"simulated", records_attempts=True)
        self.board = NodeBoard(cluster.rules, scheduler, cluster.fired)
        self.hidden = Hidden(self.board.now)
        self.services = {
            name: exposed(name, self._expose(service), cluster.hazards, self._detach)
            for name, service in wire_services(
                self.store, self.engine, self.world, SimulationSettings()
            ).items()
        }
        self.backlog = Backlog(self.world)
        self._writer_waits = False
        self._batches = 0
        self._writer = scheduler.spawn(f"{self.name}/writer", self._write, self.group)
        self._sweeper = scheduler.spawn(f"{self.name}/sweeper", self._keep, self.group)
        self.parts = Parts(scheduler, self.group)
        self.parts.all += [self._writer, self._sweeper]
        for number in range(self.runners):
            runner = WatchedRunner(
                self.store, self.services, self.world, self.backlog, Mishaps(self.board),
                leased_max=cluster.hazards.rng.choice(LEASED_MAX),
            )  # fmt: skip
            name = f"{self.name}/runner-{number}"
            self.parts.all.append(scheduler.spawn(name, partial(self._drive, runner), self.group))
        ripener = partial(self._drive, Ripener(self.store))
        self.parts.all.append(scheduler.spawn(f"{self.name}/ripener", ripener, self.group))

    def _expose(self, service: Service) -> Local:
        """Let a step's effect fail for one instance, and the driver's caller be stopped."""
        hazards = self.cluster.hazards
        if isinstance(service, Steps):
            return replace(service, declared=hazardous(service.declared, hazards))
        assert isinstance(service, Machines), "the others are declared alone"
        driver = HazardousDriver(service.driver, hazards)
        alone = OneByOne(driver, self.world)
        return replace(service, driver=hazards.rng.choice((driver, alone)))

    def _detach(self, name: str, run: Callable[[], None]) -> None:
        self.cluster.scheduler.spawn(f"{self.name}/{name}", run, self.group)

    def stopped(self) -> None:
        """Drop everything of a process that has ended; its open transaction is rolled back."""
        self.is_up = False
        for channel, idle in self.cluster.idle.items():
            self.cluster.idle[channel] = [one for one in idle if one.group is not self.group]
        self.session.reopen()

    def wake_writer(self) -> None:
        if self._writer_waits:
            self.cluster.scheduler.wake(self._writer)

    def _write(self) -> None:
        cluster = self.cluster
        while True:
            batch = self.jobs.take(1 + int(cluster.hazards.rng.random() * 4))
            if not batch:
                self._writer_waits = True
                cluster.scheduler.block()
                self._writer_waits = False
                self._let_gather()
                continue
            cluster.transactions += len(batch)
            run_batch(self.session, batch, self._announce)
            cluster.after_commit()
            self._batches += 1
            if self._batches % LOOKED_AFTER == 0:
                self._look_at_instances()

    def _look_at_instances(self) -> None:
        """Show all instances, of which some have changed since this node showed them last."""
        for account, region in self.cluster.database.query(_PLACES):
            principal = Principal("AKIASIMULATED", account, "full", "secret")
            form = ApiCall("DescribeInstances", account, region).form()
            admitted = admit(form, principal, region, "look")
            assert isinstance(admitted.action, Read)
            self.store.look(partial(_run, admitted.action, admitted.request))

    def _let_gather(self) -> None:
        """Delay the writer now and then, so that several transactions wait, and it groups them."""
        hazards = self.cluster.hazards
        if hazards.happens(hazards.swarm.gather):
            self.cluster.scheduler.block(log_uniform(hazards.rng, *GATHER_US))
        else:
            hazards.switch()

    def _let_gather_work(self) -> None:
        """Delay a runner now and then, so that several launches wait, and go together."""
        hazards = self.cluster.hazards
        if hazards.happens(hazards.swarm.gather_work):
            self.cluster.scheduler.block(log_uniform(hazards.rng, *GATHER_US))

    def _announce(self, channels: set[str]) -> None:
        # Only runners are woken at once: a ripening is due later, and its duty is woken then.
        if Runner.channel not in channels:
            return
        for actor in list(self.cluster.idle[Runner.channel]):
            # A notification from another node may be lost; the runner then wakes when work is due.
            if actor.group is self.group or self.cluster.hazards.rng.random() < 0.3:
                self.cluster.rouse(Runner.channel, actor)

    def _drive(self, duty: Duty) -> None:
        scheduler = self.cluster.scheduler
        while True:
            try:
                self._let_gather_work()
                if duty.run_once():
                    continue
            except Transient:
                scheduler.block(SECOND)
                continue
            scheduler.block(POLL_US)
            actor = scheduler.current
            assert actor is not None, "a runner is an actor"
            self.cluster.idle[duty.channel].append(actor)
            scheduler.block()

    def lose_part(self) -> None:
        """Let a thread die, but no writer: it dies only by a bug, with the batch that met it."""
        idle = list(self.cluster.idle.values())
        self.parts.lose_one(self.cluster.hazards.rng, idle, but=self._writer)

    def _keep(self) -> None:
        while True:
            self.cluster.scheduler.block()
            self._sweep()

    def sweep(self) -> None:
        """Have the node's sweeper sweep, if it lives."""
        self.cluster.scheduler.wake(self._sweeper)

    def _sweep(self) -> None:
        """Sweep until nothing is left to remove."""
        try:
            self.cluster.before_sweep()
            while self.store.run(lambda tx: sweep(tx, self.engine)):
                self.cluster.before_sweep()
        except Transient:
            self.cluster.scheduler.note("sweep put off")

    def strikes(self, delivery: Delivery) -> Strikes:
        """Decide which rules strike a request that arrives."""
        return Strikes(self.board.strike(occasion_of(delivery, self.board), OF_NETWORK))

    def serve(
        self, delivery: Delivery, done: Callable[[Delivery], None], strikes: Strikes = UNSTRUCK
    ) -> None:
        """Answer a request in a thread of its own; `done` is called when the reply leaves."""
        run = partial(answering.serve, self, delivery, done, strikes)
        self.cluster.scheduler.spawn(f"{self.name}/{delivery.request_id}", run, self.group)


class Cluster:
    """The nodes, their shared store, and the hazards they are exposed to."""

    def __init__(
        self,
        database: Database,
        scheduler: Scheduler,
        world_rng: random.Random,
        hazards: Hazards,
        *,
        nodes: int,
        runners: int = 1,
        rules: Iterable[Rule] = (),
    ) -> None:
        self.database, self.scheduler, self.world_rng = database, scheduler, world_rng
        self.hazards = hazards
        self.rules = tuple(rules)
        self.fired = Counter[str]()
        self.transactions = 0
        # SQLite's count of changes, and the row that `_DUE` selected at that count.
        self._dues: tuple[int, Any] = (-1, None)
        self.idle: dict[str, list[Actor]] = {channel: [] for channel in _CHANNELS}
        self.init = Group("init")
        self.after_commit: Callable[[], None] = lambda: None
        self.before_sweep: Callable[[], None] = lambda: None
        scheduler.on_crash = self._crashed
        scheduler.next_due_us = self._next_due_us
        scheduler.on_due = self._rouse_due
        self.nodes = [Node(self, f"node-{number}", runners) for number in range(nodes)]
        for node in self.nodes:
            node.start()

    def check_heard(self) -> None:
        for node in self.up():
            node.parts.check_heard()

    def clear_rules(self) -> None:
        """Have no rule in force any more, on any node."""
        self.rules = ()
        for node in self.up():
            node.board.clear()

    def up(self) -> list[Node]:
        return [node for node in self.nodes if node.is_up]

    def rouse(self, channel: str, actor: Actor) -> None:
        self.idle[channel].remove(actor)
        self.scheduler.wake(actor)

    def _rouse_due(self) -> None:
        for due_us, channel, actor in self._dues_us():
            if due_us <= self.scheduler.now_us:
                self.rouse(channel, actor)

    def _next_due_us(self) -> int | None:
        """Return the scheduler's time at which the first task of an idle actor is due."""
        return min((due_us for due_us, _, _ in self._dues_us()), default=None)

    def _dues_us(self) -> list[tuple[int, str, Actor]]:
        """Return when the first task of each idle actor is due, by the clock of its node."""
        if not any(self.idle.values()):
            return []
        changes = self.database.raw.total_changes
        if self._dues[0] != changes:
            [row] = self.database.query(_DUE)
            self._dues = changes, row
        *dues, offset, high = self._dues[1]
        now_us = self.scheduler.now_us
        ahead_us = {node.group.name: _moment_us(node.pace, offset) - now_us for node in self.nodes}
        return [
            (
                now_us if due <= high else max(now_us, due - ahead_us[actor.group.name]),
                channel,
                actor,
            )
            for channel, due in zip(_CHANNELS, dues, strict=True)
            if due is not None
            for actor in self.idle[channel]
        ]

    def _crashed(self, group: Group) -> None:
        for node in self.nodes:
            if node.group is group and node.is_up:
                self.scheduler.note(f"{node.name} is dead")
                self.scheduler.kill(group)
                node.stopped()
                self._restart_later(node)

    def _restart_later(self, node: Node) -> None:
        rng: random.Random = self.hazards.rng
        after_us = log_uniform(rng, RESTART_US_MIN, RESTART_US_MAX)
        starts = node.starts

        def restart() -> None:
            if not node.is_up and node.starts == starts:
                self.scheduler.note(f"{node.name} starts again")
                node.start()

        self.scheduler.spawn(f"{node.name}/init", restart, self.init, after_us=after_us)


def _moment_us(pace: Pace, offset_us: int) -> int:
    """Return the moment of a node's next transaction, unless another has raised the mark."""
    return max(pace.goes_on().moment_us, pace.host_us() + offset_us)
