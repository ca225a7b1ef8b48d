"""Mishaps of nodes, and the operator's work: crashes, freezes, changed limits, sweeps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sametoken.errors import Transient
from sametoken.resources.kit import counters
from sametoken.store.port import Tx
from simulation.cluster import Cluster, Node
from simulation.hazards import log_uniform
from simulation.scheduler import HOUR, MINUTE, SECOND
from simulation.usage import COUNTED

_TICK_US_MIN, _TICK_US_MAX = 2_000, 20 * MINUTE
# Enough ticks to disturb every phase of a schedule; more would fall into long breaks.
_TICKS_MAX = 40
_FREEZE_US_MIN, _FREEZE_US_MAX = 10_000, 10 * MINUTE
_BACK_US_MAX = 2 * MINUTE
_AHEAD_US_MAX = 72 * HOUR


@dataclass(slots=True)
class Operator:
    """Causes mishaps at every tick, until `enough` holds or the ticks are used up."""

    cluster: Cluster
    rng: random.Random
    enough: Callable[[], bool]
    ticks: int = 0

    def work(self) -> None:
        scheduler, hazards = self.cluster.scheduler, self.cluster.hazards
        swarm = hazards.swarm
        for _ in range(_TICKS_MAX):
            if self.enough():
                return
            scheduler.block(log_uniform(self.rng, _TICK_US_MIN, _TICK_US_MAX))
            self.cluster.check_heard()
            nodes = self.cluster.up()
            if not nodes or self.enough():
                continue
            node = self.rng.choice(nodes)
            self.ticks += 1
            if hazards.happens(swarm.crash_node):
                scheduler.note(f"{node.name} loses power")
                scheduler.crash(node.group)
            elif hazards.happens(swarm.freeze_node):
                for_us = log_uniform(self.rng, _FREEZE_US_MIN, _FREEZE_US_MAX)
                scheduler.note(f"{node.name} freezes for {for_us} us")
                scheduler.freeze(node.group, for_us)
            elif hazards.happens(swarm.part_dies):
                node.lose_part()
            elif hazards.happens(swarm.sweep):
                node.sweep()
            elif hazards.happens(swarm.limits):
                self._on(node, "limits", partial(self._set_limit, node))
            elif hazards.happens(swarm.clock_back):
                node.world.behind_us += log_uniform(self.rng, SECOND, _BACK_US_MAX)
            elif hazards.happens(swarm.clock_ahead):
                self._on(node, "clock", partial(self._be_ahead, node))

    def keep_house(self) -> None:
        """Sweep from time to time, also in long breaks, when little else happens."""
        while not self.enough():
            self.cluster.scheduler.block(log_uniform(self.rng, HOUR, 12 * HOUR))
            for node in self.cluster.up()[:1]:
                node.sweep()
                self.ticks += 1

    def _be_ahead(self, node: Node) -> None:
        """Have a node's clock be ahead for a while, long enough to make everything expire."""
        ahead_us = log_uniform(self.rng, MINUTE, _AHEAD_US_MAX)
        self.cluster.scheduler.note(f"{node.name}'s clock is ahead by {ahead_us} us")
        node.world.ahead_us = ahead_us
        self.cluster.scheduler.block(log_uniform(self.rng, SECOND, MINUTE))
        node.world.ahead_us = 0

    def _on(self, node: Node, name: str, run: Callable[[], None]) -> None:
        self.cluster.scheduler.spawn(f"{node.name}/{name}-{self.ticks}", run, node.group)

    def _set_limit(self, node: Node) -> None:
        """Set a limit, mostly below what callers want, now and then above it again."""
        held = ("capacity/*/t3.micro", "capacity/*/*", "capacity/*/*", "vcpus/*/*")
        quotas = [f"{kind}/*/*" for kind in COUNTED]
        name = self.rng.choice(held if self.rng.random() < 0.6 else quotas)
        maximum = self.rng.choice((0, 1, 2, 3, 50))
        if name.startswith("vcpus"):
            maximum *= 4

        def change(tx: Tx) -> None:
            counters.set_maximum(tx, name, maximum)

        try:
            node.store.run(change)
            self.cluster.scheduler.note(f"{name} is {maximum} now")
        except Transient:
            self.cluster.scheduler.note(f"{name} could not be set")
