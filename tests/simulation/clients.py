"""Callers as they are: they repeat what got no answer, race each other, and make mistakes.

Clients share a few tokens on purpose, two of which differ in case only. Under each token there is
a first intent and some others, which another client may believe to be the token's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simulation.database import REGIONS
from simulation.hazards import Hazards, log_uniform
from simulation.history import ApiCall, Fate
from simulation.network import Network
from simulation.scheduler import HOUR, SECOND

TOKENS = ("alpha-7Q", "ALPHA-7q", "beta", "gamma")
TYPES = ("t3.micro", "t3.small")
# SDKs try three to five times.
TRIES_MAX = 4
_THINK_US_MIN, _THINK_US_MAX = 1_000, 60 * SECOND
# Long enough that entries expire between two requests of one client.
_BREAK_US_MIN, _BREAK_US_MAX = 6 * HOUR, 40 * HOUR


@dataclass(slots=True)
class Intents:
    """The launches that callers have in mind, under each token of each account and Region."""

    rng: random.Random
    _known: dict[tuple[str, str, str], list[ApiCall]] = field(default_factory=dict)
    _count: int = 0
    tokens_used: dict[str, None] = field(default_factory=dict)

    def under(self, account: str, region: str, token: str) -> ApiCall:
        """Mostly the token's first intent; now and then another."""
        known = self._known.setdefault((account, region, token), [])
        self.tokens_used[token] = None
        if not known or (len(known) < 4 and self.rng.random() < 0.25):
            known.append(self._new(account, region, token))
            return known[-1]
        return known[0] if self.rng.random() < 0.7 else self.rng.choice(known)

    def choose_token(self, rng: random.Random) -> str:
        """Three tokens early on, then mostly those: callers of one token shall meet."""
        fresh = [token for token in TOKENS if token not in self.tokens_used]
        if fresh and (len(self.tokens_used) < 3 or rng.random() < 0.1):
            return rng.choice(fresh)
        return rng.choice(list(self.tokens_used))

    def without_token(self, account: str, region: str) -> ApiCall:
        return self._new(account, region, None)

    def all(self) -> Iterator[ApiCall]:
        for known in self._known.values():
            yield from known

    def _new(self, account: str, region: str, token: str | None) -> ApiCall:
        rng = self.rng
        self._count += 1
        least = 1 if rng.random() < 0.85 else 2
        return ApiCall(
            "RunInstances", account, region, token, f"intent-{self._count}",
            zone=rng.choice(("", "", f"{region}a", f"{region}b")),
            instance_type=rng.choice(TYPES), least=least, most=least + (rng.random() < 0.15),
        )  # fmt: skip


@dataclass(slots=True)
class Client:
    """One caller. `play` does a number of things, one after the other, like an SDK's user."""

    name: str
    account: str
    network: Network
    intents: Intents
    rng: random.Random
    hazards: Hazards
    enough: Callable[[], bool]
    instances: list[tuple[str, str]] = field(default_factory=list)
    actions: int = 0
    _messages: int = 0

    def play(self) -> None:
        while not self.enough():
            self.actions += 1
            self._do_something()
            self._pause()

    def _pause(self) -> None:
        bounds = (_THINK_US_MIN, _THINK_US_MAX)
        if self.hazards.happens(self.hazards.swarm.long_break):
            bounds = (_BREAK_US_MIN, _BREAK_US_MAX)
        self.network.cluster.scheduler.block(log_uniform(self.rng, *bounds))

    def _do_something(self) -> None:
        draw = self.rng.random()
        # Most of what is done happens in one Region, so that tokens meet.
        region = REGIONS[0] if self.rng.random() < 0.9 else REGIONS[1]
        if draw < 0.55 or not self.instances:
            token = self.intents.choose_token(self.rng)
            self._launch(self.intents.under(self.account, region, token))
        elif draw < 0.6:
            self._launch(self.intents.without_token(self.account, region))
        elif draw < 0.78:
            self._act("TerminateInstances")
        elif draw < 0.87:
            self._act("StopInstances")
        elif draw < 0.95:
            self._act("StartInstances")
        else:
            self._act("DescribeInstances")

    def _launch(self, call: ApiCall) -> None:
        fate = self.call(call)
        if fate is not None and fate.result is not None:
            for instance in fate.result["Instances"]:
                place = (call.region, instance["InstanceId"])
                if place not in self.instances:
                    self.instances.append(place)

    def _act(self, action: str) -> None:
        region, id = self.rng.choice(self.instances)
        self.call(ApiCall(action, self.account, region, ids=(id,)))

    def call(self, call: ApiCall) -> Fate | None:
        """As an SDK does: repeat what was not answered, or answered with a 5xx. The last answer.

        A launch without a token is sent once: its caller knows that it has no protection.
        """
        fate: Fate | None = None
        protected = call.action != "RunInstances" or call.client_token is not None
        for number in range(TRIES_MAX if protected else 1):
            if number:
                wait_us = log_uniform(self.rng, SECOND // 10, (2**number) * SECOND)
                self.network.cluster.scheduler.block(wait_us)
            self._messages += 1
            fate = self.network.request(f"{self.name}.{self._messages}", call)
            if fate is not None and fate.status < 500:
                break
        return fate
