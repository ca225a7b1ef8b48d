"""One schedule, from its seed alone: safety under faults, then liveness once they stop.

1. Callers and faults, until there was enough of both. Every commit and every answer is audited.
2. Faults stop, dead nodes start, everything drains within a bounded time: the end states.
3. Every token that holds something is asked once more, and answers as it did.
4. In some schedules everything is terminated and a day passes: nothing may be left.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

from sametoken import faults
from sametoken.faults import Point
from simulation import swarm as swarms
from simulation.auditor import RETENTION_US, Auditor
from simulation.clients import Client, Intents
from simulation.cluster import Cluster
from simulation.database import ACCOUNTS, database
from simulation.hazards import Hazards
from simulation.history import ApiCall, History
from simulation.mishaps import Operator
from simulation.network import Network
from simulation.promises import require
from simulation.scheduler import MINUTE, Group, Scheduler
from simulation.world import SimulatedWorld

# What makes a schedule (docs/ARCHITECTURE.md, "How it is proved").
NODES_MIN, CLIENTS_MIN, TOKENS_MIN, TRANSACTIONS_MIN = 2, 2, 3, 40
# All callers together; the most is for schedules in which nearly everything is refused.
ACTIONS_MIN, ACTIONS_MAX = 4, 40
# A schedule of a hundred transactions takes some thousand steps; more means that it never ends.
STEPS_MAX = 30_000
# The launch deadline, a lease, a backoff at its cap, and room: all drains within this.
DRAIN_US_MAX = 40 * MINUTE
# Every so many commits the auditor looks at everything, even if no entry came or went.
OBSERVE_COMMITS = 25
# How many schedules in a hundred go on until everything is forgotten.
FORGET_PERCENT = 12
# How many schedules begin with less capacity than the callers want.
SCARCE_ODDS = 0.25


@dataclass(slots=True)
class Report:
    """What one schedule was, and what broke. `violation` None: nothing did."""

    seed: int
    nodes: int = 0
    clients: int = 0
    tokens: int = 0
    transactions: int = 0
    trace: list[tuple[int, str, str]] = field(default_factory=list)
    hits: Counter[Point] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    violation: BaseException | None = None

    def trace_digest(self) -> int:
        """Names the order of events; equal for equal traces (of this process)."""
        return hash(tuple(self.trace))

    def last_events(self, count: int = 40) -> str:
        return "\n".join(
            f"{at / 1e6:14.6f}s  {actor:28} {event}" for at, actor, event in self.trace[-count:]
        )


class Simulation:
    """Everything of one schedule."""

    def __init__(self, seed: int, *, swarm: swarms.Swarm | None = None) -> None:
        def rng(name: str) -> random.Random:
            return random.Random(f"{seed}/{name}")

        self.seed = seed
        shape = rng("shape")
        self.database = database()
        self.database.load(scarce=shape.random() < SCARCE_ODDS)
        self.scheduler = Scheduler(rng("scheduler"), lambda group: None)
        world = SimulatedWorld(self.scheduler, rng("world"))
        drawn = swarms.draw(shape) if swarm is None else swarm
        self.hazards = Hazards(rng("hazards"), self.scheduler, drawn)
        self.cluster = Cluster(
            self.database, self.scheduler, world, self.hazards,
            nodes=shape.choice((2, 2, 2, 3)), runners=shape.choice((1, 1, 2)),
        )  # fmt: skip
        self.history = History()
        self.auditor = Auditor(self.database, self.history)
        self.network = Network(self.cluster, self.hazards, self.history, self.auditor.answered)
        self.intents = Intents(rng("intents"))
        self.clients = [
            Client(
                f"client-{number}", ACCOUNTS[number // 2], self.network, self.intents,
                rng(f"client-{number}"), self.hazards, self._is_enough,
            )
            for number in range(shape.choice((2, 2, 3)))
        ]  # fmt: skip
        self.forgets = shape.random() * 100 < FORGET_PERCENT
        self._playing = len(self.clients)
        self._commits = 0
        self.cluster.after_commit = self._committed
        self.cluster.before_sweep = self.auditor.look
        self.operator = Operator(self.cluster, rng("operator"), lambda: self._playing == 0)

    def _is_enough(self) -> bool:
        actions = sum(client.actions for client in self.clients)
        return actions >= ACTIONS_MAX or (
            actions >= ACTIONS_MIN
            and self.cluster.transactions >= TRANSACTIONS_MIN
            and len(self.intents.tokens_used) >= TOKENS_MIN
        )

    def _committed(self) -> None:
        self._commits += 1
        if self._commits % OBSERVE_COMMITS == 0:
            self.auditor.observe()
        else:
            self.auditor.glance()

    def run(self) -> Report:
        """All phases. Never raises for a broken promise: see `Report.violation`."""
        report = Report(self.seed, len(self.cluster.nodes), len(self.clients))
        faults.install(self.hazards.reach)
        try:
            self._play()
            self._heal()
            self._ask_again()
            if self.forgets:
                self._forget()
        except AssertionError as broken:
            report.violation = broken
        finally:
            faults.install(None)
            self._end()
        report.tokens = len(self.intents.tokens_used)
        report.transactions = self.cluster.transactions
        report.trace = self.scheduler.trace
        report.hits = self.hazards.hits
        for delivery in self.history.deliveries.values():
            report.codes["lost" if delivery.fate is None else delivery.fate.code or "OK"] += 1
        return report

    def _play(self) -> None:
        group = Group("callers")
        for client in self.clients:
            self.scheduler.spawn(client.name, partial(self._let_play, client), group)
        staff = Group("staff")
        self.scheduler.spawn("operator", self.operator.work, staff)
        self.scheduler.spawn("housekeeper", self.operator.keep_house, staff)
        self._drain(until_played=True)
        self.scheduler.kill(staff)

    def _let_play(self, client: Client) -> None:
        client.play()
        self._playing -= 1

    def _drain(self, *, until_played: bool = False) -> None:
        """Step until nobody has anything to do; or, under faults, until the callers are done."""
        for _ in range(STEPS_MAX):
            if until_played and self._playing == 0:
                return
            if not self.scheduler.step():
                return
            late_us = self.scheduler.now_us - self.network.last_arrival_us
            if not until_played and late_us > DRAIN_US_MAX:
                break
        require(False, "LIVE", "the work does not drain")

    def _heal(self) -> None:
        """Faults stop. Old messages may still arrive; then everything must come to rest."""
        self.scheduler.note("faults stop")
        self.hazards.swarm = swarms.CALM
        for node in self.cluster.nodes:
            if node.is_up:
                # Its simulated machines know the odds they were started with.
                self.scheduler.kill(node.group)
                node.stopped()
            node.start()
        self.network.last_arrival_us = self.scheduler.now_us
        self._drain()
        self.auditor.check_settled()

    def _ask_again(self) -> None:
        """Every intent under every token, once more: bound ones answer as they did."""
        group = Group("callers")
        for number, call in enumerate(self._bound_intents()):
            self._send(f"again-{number}", call, group)
        self._drain()
        self.auditor.check_settled()

    def _bound_intents(self) -> list[ApiCall]:
        bound = {
            one.intent: None
            for era in self.auditor.eras.values()
            for one in era.bound.values()
            if one.last.identities is not None
        }
        return [self.history.of_intent(intent)[0].call for intent in bound]

    def _send(self, message: str, call: ApiCall, group: Group) -> None:
        def run() -> None:
            fate = self.network.request(message, call)
            require(fate is not None, "LIVE", f"{call} is not answered although all is well")

        self.network.last_arrival_us = self.scheduler.now_us
        self.scheduler.spawn(message, run, group)

    def _forget(self) -> None:
        """Terminate everything, let the retention pass, sweep: nothing may be left."""
        group = Group("callers")
        living = [
            row for row in self.auditor.observe().of_kind("instance") if row.state != "terminated"
        ]
        for number, row in enumerate(living):
            call = ApiCall("TerminateInstances", row.account, row.region, ids=(row.id,))
            self._send(f"end-{number}", call, group)
        self._drain()
        self.auditor.check_settled()
        self._sleep(RETENTION_US)
        node = self.cluster.nodes[0]
        self.scheduler.spawn(f"{node.name}/sweeper-last", node.sweep, node.group)
        self._drain()
        self.auditor.check_forgotten()

    def _sleep(self, us: int) -> None:
        self.scheduler.now_us += us + self.cluster.world.behind_us
        self.network.last_arrival_us = self.scheduler.now_us

    def _end(self) -> None:
        """Leave nothing behind: an unclosed connection would roll back in a later schedule."""
        self.scheduler.end()
        for node in self.cluster.nodes:
            node.session.reopen()


def simulate(seed: int, **changes: float) -> Report:
    """Run the schedule of `seed`; `changes` replace some of its odds."""
    swarm = None
    if changes:
        swarm = replace(swarms.draw(random.Random(f"{seed}/shape")), **changes)
    return Simulation(seed, swarm=swarm).run()
