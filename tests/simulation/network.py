"""Network between callers and nodes: loses, repeats, reorders and delays messages for hours."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sametoken.faults.kinds import Kind
from simulation.cluster import Cluster, Node
from simulation.hazards import Hazards, log_uniform
from simulation.history import ApiCall, Delivery, Fate, History
from simulation.scheduler import HOUR, SECOND, Actor, Group

# Time that a caller waits for an answer, as long as SDKs do (60 s).
PATIENCE_US = 60 * SECOND
_LATENCY_US_MIN, _LATENCY_US_MAX = 500, SECOND // 10
# Longer than the retention: a repeat may create again after the retention, and must not before.
_LATE_US_MAX = 40 * HOUR


@dataclass(slots=True)
class Reply:
    """Place where a caller waits for an answer; one that comes after it stopped waiting is lost."""

    waiter: Actor | None
    fate: Fate | None = None


@dataclass(slots=True)
class Network:
    """Carries each call to one of the nodes that are up."""

    cluster: Cluster
    hazards: Hazards
    history: History
    answered: Callable[[Delivery], None]
    group: Group = field(default_factory=lambda: Group("network"))
    last_arrival_us: int = 0

    @property
    def rng(self) -> random.Random:
        return self.hazards.rng

    def request(self, message: str, call: ApiCall) -> Fate | None:
        """Send a message and wait for its answer; None if no answer came in time."""
        scheduler, swarm = self.cluster.scheduler, self.hazards.swarm
        reply = Reply(scheduler.current)
        copies = 1 + self.hazards.happens(swarm.duplicate)
        for copy in range(copies):
            if self.hazards.happens(swarm.drop_request):
                scheduler.note(f"{message}.{copy} is lost")
                continue
            self._carry(f"{message}.{copy}", call, reply)
        until_us = scheduler.now_us + PATIENCE_US
        while reply.fate is None and scheduler.now_us < until_us:
            scheduler.block(until_us - scheduler.now_us)
        reply.waiter = None
        return reply.fate

    def _carry(self, request_id: str, call: ApiCall, reply: Reply) -> None:
        def arrive() -> None:
            self.last_arrival_us = self.cluster.scheduler.now_us
            nodes = self.cluster.up()
            if not nodes:
                self._return(reply, Fate(503, "ConnectionRefused", ran=False))
                return
            node = nodes[int(self.rng.random() * len(nodes))]
            delivery = self.history.arrive(request_id, call, self.cluster.database.moment_us())
            strikes = node.strikes(delivery)
            if strikes.has(Kind.LOSE_REQUEST):
                return
            if strikes.has(Kind.DUPLICATE):
                self._repeat(delivery, node, 0, reply)
            if strikes.has(Kind.LATE_DUPLICATE):
                self._repeat(delivery, node, strikes.seconds(Kind.LATE_DUPLICATE))
            node.serve(delivery, lambda answered: self._leave(answered, reply), strikes)

        late = self.hazards.happens(self.hazards.swarm.arrives_late)
        most = _LATE_US_MAX if late else _LATENCY_US_MAX
        after_us = log_uniform(self.rng, _LATENCY_US_MIN, most)
        self.cluster.scheduler.spawn(request_id, arrive, self.group, after_us=after_us)

    def _repeat(
        self, first: Delivery, node: Node, seconds: float, reply: Reply | None = None
    ) -> None:
        """Deliver a request once more, which no rule strikes."""
        request_id = f"{first.request_id}.{'late' if reply is None else 'again'}"
        unheard = reply or Reply(None)

        def arrive() -> None:
            self.last_arrival_us = self.cluster.scheduler.now_us
            if node.is_up:
                moment_us = self.cluster.database.moment_us()
                delivery = self.history.arrive(request_id, first.call, moment_us)
                node.serve(delivery, lambda answered: self._leave(answered, unheard))

        after_us = int(seconds * SECOND)
        self.cluster.scheduler.spawn(request_id, arrive, self.group, after_us=after_us)

    def _leave(self, delivery: Delivery, reply: Reply) -> None:
        """Let an answer leave its node: from here on it counts, even if it gets lost on its way."""
        fate = delivery.fate
        assert fate is not None, "an answer has a fate"
        event = f"answers {delivery.call.action}: {fate.code or fate.status}"
        self.cluster.scheduler.note(event)
        self.answered(delivery)
        if not self.hazards.happens(self.hazards.swarm.drop_reply):
            self._return(reply, fate)

    def _return(self, reply: Reply, fate: Fate) -> None:
        if reply.waiter is not None and reply.fate is None:
            reply.fate = fate
            self.cluster.scheduler.wake(reply.waiter)
