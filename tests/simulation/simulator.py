"""Simulation of a schedule, given by its seed alone: safety under faults, then liveness without.

1. Callers play under faults, until there was enough of both. Every commit and answer is audited.
2. Faults stop, dead nodes start, and all work drains within a bounded time to the end state.
3. Requests under bound tokens are repeated, and answered as before.
4. In some schedules every resource is ended and a day passes; then no row may be left.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial

from memory import checked_cache, checked_fragments
from sametoken import faults
from sametoken.faults import Point
from sametoken.faults.rules import Rule
from simulation import swarm as swarms
from simulation.acts import ENDED_BY, ending
from simulation.auditor import RETENTION_US, Auditor
from simulation.clients import TOKENS, Client, Intents, draw_palette
from simulation.cluster import Cluster, Node
from simulation.database import ACCOUNTS, REGIONS, database
from simulation.hazards import Hazards
from simulation.history import ApiCall, Fate, History, prefix_of
from simulation.makings import MAKINGS
from simulation.mishaps import Operator
from simulation.network import Network
from simulation.promises import require
from simulation.rules import RULES_ODDS, draw_rules, draw_subset
from simulation.scheduler import MINUTE, SECOND, Group, Scheduler
from simulation.snapshot import ResourceRow

# A schedule has at least these numbers of nodes, clients, tokens and transactions.
NODES_MIN, CLIENTS_MIN, TOKENS_MIN, TRANSACTIONS_MIN = 2, 2, 3, 40
# Transactions under faults, of which one number is drawn; the later phases add up to the minimum.
# Several short schedules show most bugs sooner than a long one; a few are long for bugs that need
# a long history.
PLAYED_TRANSACTIONS = (*(14,) * 17, 30, 30, 70)
# Actions of all callers together; the maximum ends schedules in which nearly all are refused.
ACTIONS_MIN, ACTIONS_MAX = 3, 60
# A schedule of a hundred transactions takes some thousand steps; with more than this it never ends.
STEPS_MAX = 30_000
# Work drains within the launch deadline, a lease, and a backoff at its cap, with room to spare.
DRAIN_US_MAX = 40 * MINUTE
# Requests under bound tokens that are repeated at the end; callers have repeated others before.
AGAIN_MAX = 4
# Repeats at the end are fewer than this: each takes a transaction unless it is malformed, so that
# a schedule soon has its least number.
AGAIN_TRIES_MAX = 400
# Rounds of ending: a resource in use (attached, addressed) can end only after its user has.
ENDING_ROUNDS = 4
# Share of schedules that end as soon as there was enough, although callers wait for answers.
HANG_UP_ODDS = 0.95
# Share of schedules that end with a restart of every node, as after an upgrade.
RESTART_ODDS = 0.4
# Schedules in a hundred that go on until everything is forgotten.
FORGET_PERCENT = 6
# Share of schedules that begin with less capacity than the callers want.
SCARCE_ODDS = 0.25


@dataclass(slots=True)
class Report:
    """Report of a schedule. `violation` is None if every promise held."""

    seed: int
    nodes: int = 0
    clients: int = 0
    tokens: int = 0
    transactions: int = 0
    trace: list[tuple[int, str, str]] = field(default_factory=list)
    hits: Counter[Point] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    # Counts of the resources made of each kind, and of the uses of tokens by action and effect.
    made: Counter[str] = field(default_factory=Counter)
    did: Counter[tuple[str, str]] = field(default_factory=Counter)
    # Kinds of faults that could happen, by their names in `Swarm`.
    faults: list[str] = field(default_factory=list)
    violation: BaseException | None = None
    # The rules of faults that were in force, and how often rules of each kind struck.
    rules: tuple[Rule, ...] = ()
    fired: Counter[str] = field(default_factory=Counter)

    def trace_digest(self) -> str:
        """Return a digest of the events in their order; equal for equal traces in any process."""
        return hashlib.blake2b(repr(self.trace).encode(), digest_size=8).hexdigest()

    def last_events(self, count: int = 40) -> str:
        return "\n".join(
            f"{at / 1e6:14.6f}s  {actor:28} {event}" for at, actor, event in self.trace[-count:]
        )


class Simulation:
    """A schedule: the cluster, its callers, the operator and the auditor, all drawn by one seed."""

    def __init__(
        self,
        seed: int,
        *,
        odds: Mapping[str, float] | None = None,
        palette: Sequence[str] | None = None,
        played: int | None = None,
        pool: Sequence[Rule] | None = None,
    ) -> None:
        def rng(name: str) -> random.Random:
            return random.Random(f"{seed}/{name}")

        self.seed = seed
        shape = rng("shape")
        self.database = database()
        self.database.load(scarce=shape.random() < SCARCE_ODDS)
        self.scheduler = Scheduler(rng("scheduler"), lambda group: None)
        rules = rng("rules")
        has_rules = float(pool is not None or rules.random() < RULES_ODDS)
        drawn = replace(swarms.draw(shape), **{"rules": has_rules, **(odds or {})})
        self.faults = [one.name for one in fields(drawn) if getattr(drawn, one.name) > 0]
        self.rules: tuple[Rule, ...] = ()
        if drawn.rules:
            self.rules = draw_rules(rules, TOKENS) if pool is None else draw_subset(rules, pool)
        self.hazards = Hazards(rng("hazards"), self.scheduler, drawn)
        self.cluster = Cluster(
            self.database, self.scheduler, rng("world"), self.hazards,
            nodes=shape.choice((2, 2, 2, 3)), rules=self.rules,
        )  # fmt: skip
        self.history = History()
        self.auditor = Auditor(
            self.database, self.history, lambda: self.scheduler.now_us,
            refused=self.hazards.refused, rules=self.rules,
        )  # fmt: skip
        self.network = Network(self.cluster, self.hazards, self.history, self.auditor.answered)
        makings = (
            draw_palette(rng("palette")) if palette is None else [MAKINGS[one] for one in palette]
        )
        self.intents = Intents(rng("intents"), makings)
        grounds = {
            account: {region: self.database.ground(account, region) for region in REGIONS}
            for account in ACCOUNTS
        }
        self.clients = [
            Client(
                f"client-{number}", grounds[ACCOUNTS[number // 2]], self.network, self.intents,
                rng(f"client-{number}"), self.hazards, self._is_enough,
            )
            for number in range(shape.choice((2, 2, 3)))
        ]  # fmt: skip
        self.forgets = shape.random() * 100 < FORGET_PERCENT
        self._again = rng("again")
        drawn_length = shape.choice(PLAYED_TRANSACTIONS)
        self._played = drawn_length if played is None else played
        self._hang_up = shape.random() < HANG_UP_ODDS
        self._restarts = shape.random() < RESTART_ODDS
        self._playing = len(self.clients)
        self.cluster.after_commit = self.auditor.look
        self.cluster.before_sweep = self.auditor.look
        self.operator = Operator(self.cluster, rng("operator"), lambda: self._playing == 0)

    def _is_enough(self) -> bool:
        actions = sum(client.actions for client in self.clients)
        return actions >= ACTIONS_MAX or (
            actions >= ACTIONS_MIN
            and self.cluster.transactions >= self._played
            and len(self.intents.tokens_used) >= TOKENS_MIN
        )

    def run(self) -> Report:
        """Run all phases. A broken promise is not raised, but reported: see `Report.violation`."""
        report = Report(self.seed, len(self.cluster.nodes), len(self.clients))
        faults.install(self.hazards.reach)
        try:
            with checked_cache(), checked_fragments(documents=True):
                self._play_all()
        except Exception as broken:  # noqa: BLE001 - a bug of the program, or a broken promise
            report.violation = broken
        finally:
            faults.install(None)
            self._end()
        report.faults = self.faults
        report.rules, report.fired = self.rules, self.cluster.fired
        report.tokens = len(self.intents.tokens_used)
        report.transactions = self.cluster.transactions
        report.trace = self.scheduler.trace
        report.hits = self.hazards.hits
        report.made, report.did = self.auditor.made, self.auditor.tokens
        for delivery in self.history.deliveries.values():
            report.codes["lost" if delivery.fate is None else delivery.fate.code or "OK"] += 1
        return report

    def _play_all(self) -> None:
        self._play()
        self._heal()
        self._ask_again()
        self._look_at_subnets()
        if self.forgets:
            self._forget()
        self.auditor.check_itself()

    def _play(self) -> None:
        group = Group("callers")
        for client in self.clients:
            self.scheduler.spawn(client.name, partial(self._let_play, client), group)
        staff = Group("staff")
        self.scheduler.spawn("operator", self.operator.work, staff)
        self.scheduler.spawn("housekeeper", self.operator.keep_house, staff)
        self._drain(until_played=True)
        self.scheduler.kill(staff)
        self.scheduler.kill(group)

    def _let_play(self, client: Client) -> None:
        client.play()
        self._playing -= 1

    def _drain(self, *, until_played: bool = False) -> None:
        """Step until no actor has anything to do; or, with `until_played`, until callers are done.

        In most schedules they stop in the middle of their calls once there was enough.
        """
        for _ in range(STEPS_MAX):
            if until_played and (self._playing == 0 or (self._hang_up and self._is_enough())):
                return
            if not self.scheduler.step():
                return
            late_us = self.scheduler.now_us - self.network.last_arrival_us
            if not until_played and late_us > DRAIN_US_MAX:
                break
        require(False, "LIVE", "the work does not drain")

    def _heal(self) -> None:
        """Stop the faults. Old messages may still arrive; then all work must drain.

        Where the nodes are not restarted, owners that were stopped wake up later, when others have
        done or undone the work that they held.
        """
        self.scheduler.note("faults stop")
        self.cluster.check_heard()
        self.hazards.swarm = swarms.CALM
        self.cluster.clear_rules()
        for node in self.cluster.nodes:
            node.world.ahead_us = 0
            if node.is_up and self._restarts:
                self.scheduler.kill(node.group)
                node.stopped()
            if not node.is_up:
                node.start()
        self.network.last_arrival_us = self.scheduler.now_us
        self._drain()
        # A node without requests may still be frozen: let its freeze end.
        thawed = [node.group.frozen_until_us for node in self.cluster.nodes]
        self.scheduler.now_us = max(self.scheduler.now_us, *thawed)
        self.cluster.check_heard()
        self.auditor.check_settled()

    def _ask_again(self) -> None:
        """Repeat intents under their tokens: bound ones must be answered as before."""
        group = Group("callers")
        asked, number = self._bound_intents() or self.intents.under_tokens(), 0
        assert asked, "nothing in the palette takes a token: no call can be repeated under it"
        while number == 0 or self.cluster.transactions < TRANSACTIONS_MIN:
            for call in self._again.sample(asked, min(len(asked), AGAIN_MAX)):
                number += 1
                self._send(f"again-{number}", call, group)
            require(number < AGAIN_TRIES_MAX, "LIVE", "{} never reach the store", asked)
            self._drain()
        self.auditor.check_settled()

    def _bound_intents(self) -> list[ApiCall]:
        bound = {
            one.intent: None
            for era in self.auditor.eras.values()
            for one in era.bound.values()
            if one.last.identities is not None
        }
        return [self.history.call_of(intent) for intent in bound]

    def _send(
        self, message: str, call: ApiCall, group: Group, heard: Callable[[Fate], None] | None = None
    ) -> None:
        def run() -> None:
            fate = self.network.request(message, call)
            require(fate is not None, "LIVE", "{} is not answered although all is well", call)
            if heard is not None and fate is not None:
                heard(fate)

        self.network.last_arrival_us = self.scheduler.now_us
        self.scheduler.spawn(message, run, group)

    def _look_at_subnets(self) -> None:
        """Check the free addresses that subnets show, which no work changes any more."""
        group = Group("callers")
        rows = self.auditor.seen.of_kind("network-interface")
        for account, region in list(dict.fromkeys((row.account, row.region) for row in rows))[:1]:
            call = ApiCall("DescribeSubnets", account, region)
            self._send("subnets", call, group, self.auditor.check_subnets)
            self._drain()

    def _forget(self) -> None:
        """End every resource, let the retention pass, and sweep: no row may be left."""
        group = Group("callers")
        # Note the clock's leaps so far, also those that one node alone knows of, since it has not
        # written since: they concern nothing that ends from now on.
        for node in self.cluster.nodes:
            self._sweep(node)
        for round in range(ENDING_ROUNDS):
            for number, row in enumerate(self._living()):
                self._send(f"end-{round}.{number}", ending(row.account, row.region, row.id), group)
            self._drain()
            self.auditor.check_settled()
        # Leaps that do not add up to a second are never noted, so that they hold all back.
        self._sleep(RETENTION_US + SECOND)
        self._sweep(self.cluster.nodes[0])
        self.auditor.check_forgotten()

    def _sweep(self, node: Node) -> None:
        self.network.last_arrival_us = self.scheduler.now_us
        node.sweep()
        self._drain()

    def _living(self) -> list[ResourceRow]:
        """Return the living resources that end only when callers ask for it."""
        return [
            row
            for row in self.auditor.seen.resources.values()
            if row.is_living and row.id not in self.auditor.fixtures
            and prefix_of(row.id) in ENDED_BY
            and row.doc.get("InterfaceType", "interface") == "interface"
        ]  # fmt: skip

    def _sleep(self, us: int) -> None:
        clocks = [0, *(node.world.behind_us for node in self.cluster.nodes)]
        self.scheduler.now_us += us + max(clocks) - min(clocks)
        self.network.last_arrival_us = self.scheduler.now_us

    def _end(self) -> None:
        """End actors and sessions: one left open would roll back in a later schedule."""
        self.scheduler.end()
        for node in self.cluster.nodes:
            node.session.reopen()


def simulate(
    seed: int,
    palette: Sequence[str] | None = None,
    played: int | None = None,
    pool: Sequence[Rule] | None = None,
    **changes: float,
) -> Report:
    """Run the schedule of `seed`.

    `changes` replace some of its odds, `palette` the actions that its callers make resources with,
    and `played` its number of transactions under faults. Its rules are some of `pool`.
    """
    return Simulation(seed, odds=changes, palette=palette, played=played, pool=pool).run()
