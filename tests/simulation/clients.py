"""Callers as they are: they repeat what got no answer, race each other, and make mistakes.

Clients share a few tokens on purpose, two of which differ in case only. Under each token of each
action there is a first intent and some others, which another client may believe to be the token's.
In any one schedule they make things of a few kinds only, drawn by its seed, so that those meet.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from simulation.acts import ACTS, ENDED_BY, ENDING, ending
from simulation.database import REGIONS
from simulation.ground import Draft, Ground, NothingThereError
from simulation.hazards import Hazards, log_uniform
from simulation.history import ApiCall, Fate, in_form
from simulation.makings import MAKINGS, MEETINGS, Making
from simulation.network import Network
from simulation.scheduler import HOUR, SECOND

TOKENS = ("alpha-7Q", "ALPHA-7q", "beta", "gamma")
# How many of them are used before any is used again.
TOKENS_EARLY = 3
# SDKs try three to five times.
TRIES_MAX = 4
_THINK_US_MIN, _THINK_US_MAX = 10_000, 60 * SECOND
# As people do, they wait for what they launch, now and then: long enough for it to boot.
_BOOT_US_MIN = 3 * SECOND
# Long enough that entries expire between two requests of one client.
_BREAK_US_MIN, _BREAK_US_MAX = 6 * HOUR, 40 * HOUR
# Kinds in one schedule beside those of a meeting: with more of them hardly two requests would meet.
_OTHERS_MAX = 2
_LAUNCH = "RunInstances"


def draw_palette(rng: random.Random) -> list[Making]:
    """What a schedule's callers make, each as often as it is listed: things that meet, some others,
    and whatever those need."""
    wanted: list[str] = []
    if rng.random() < 0.75:
        wanted += rng.choice(MEETINGS)
    wanted += rng.sample(list(MAKINGS), rng.randint(0, _OTHERS_MAX))
    if rng.random() < 0.15:
        wanted.append(_LAUNCH)
    whole = whole_palette(wanted)
    # An instance goes through more than anything else, so there shall be several.
    more = [_LAUNCH] * rng.choice((0, 0, 1)) if _LAUNCH in whole else []
    return [MAKINGS[action] for action in (*whole, *more)]


def whole_palette(actions: Iterable[str]) -> list[str]:
    """These actions and what they need, each once."""
    wanted: dict[str, None] = {}
    for action in actions:
        _want(action, wanted)
    # Callers of something without a token alone would never meet under one.
    if not any(MAKINGS[action].takes_token for action in wanted):
        _want(_LAUNCH, wanted)
    return list(wanted)


def _want(action: str, wanted: dict[str, None]) -> None:
    for need in MAKINGS[action].needs:
        _want(need, wanted)
    wanted[action] = None


@dataclass(slots=True)
class Intents:
    """What callers have in mind to make, under each token of each action, account and Region."""

    rng: random.Random
    palette: list[Making]
    tokens_used: dict[str, None] = field(default_factory=dict)
    _known: dict[tuple[str, str, str, str], list[ApiCall]] = field(default_factory=dict)
    _count: int = 0

    def under(self, ground: Ground, making: Making, token: str) -> ApiCall:
        """Mostly the token's first intent; now and then another. Raises `NothingThereError`."""
        place = (ground.account, ground.region, making.action, token)
        known = self._known.get(place, [])
        if not known or (len(known) < 4 and self.rng.random() < 0.25):
            new = self._new(ground, making, token)
            self.tokens_used[token] = None
            # What has no text of its own to tell two intents apart may come out the same.
            known = self._known.setdefault(place, known)
            if not making.makes and new in known:
                return new
            known.append(new)
            return new
        return known[0] if self.rng.random() < 0.7 else self.rng.choice(known)

    def under_tokens(self) -> list[ApiCall]:
        """All that anybody has asked for under a token, or was about to."""
        return [call for calls in self._known.values() for call in calls]

    def choose_token(self, rng: random.Random) -> str:
        """Some tokens early on, then mostly those: callers of one token shall meet."""
        fresh = [token for token in TOKENS if token not in self.tokens_used]
        if fresh and (len(self.tokens_used) < TOKENS_EARLY or rng.random() < 0.1):
            return rng.choice(fresh)
        return rng.choice(list(self.tokens_used))

    def without_token(self, ground: Ground, making: Making) -> ApiCall:
        return self._new(ground, making, None)

    def _new(self, ground: Ground, making: Making, token: str | None) -> ApiCall:
        self._count += 1
        mark = f"intent-{self._count}"
        asked = making.drafted(Draft(ground, self.rng, mark))
        zone = "" if making.zone is None else asked.get(making.zone, "")
        parameters = in_form(asked)
        if not making.makes:
            mark = f"{making.action}{parameters}"
        return ApiCall(making.action, ground.account, ground.region, token, mark, zone, parameters)


@dataclass(slots=True)
class Client:
    """One caller. `play` does a number of things, one after the other, like an SDK's user."""

    name: str
    grounds: dict[str, Ground]
    network: Network
    intents: Intents
    rng: random.Random
    hazards: Hazards
    enough: Callable[[], bool]
    actions: int = 0
    _messages: int = 0

    def play(self) -> None:
        while not self.enough():
            self.actions += 1
            self._pause(self._do_something())

    def _pause(self, action: str) -> None:
        bounds = (_THINK_US_MIN, _THINK_US_MAX)
        if action == _LAUNCH and self.rng.random() < 0.5:
            bounds = (_BOOT_US_MIN, _THINK_US_MAX)
        if self.hazards.happens(self.hazards.swarm.long_break):
            bounds = (_BREAK_US_MIN, _BREAK_US_MAX)
        self.network.cluster.scheduler.block(log_uniform(self.rng, *bounds))

    def _do_something(self) -> str:
        """One call, whose action is the answer."""
        # Most of what is done happens in one Region, so that tokens meet.
        ground = self.grounds[REGIONS[0] if self.rng.random() < 0.9 else REGIONS[1]]
        draw = self.rng.random()
        call = None
        if draw > 0.84:
            call = self._ending(ground)
        elif draw > 0.52:
            call = self._act(ground)
        call = call or self._making(ground)
        self.call(call, ground)
        return call.action

    def _making(self, ground: Ground) -> ApiCall:
        """Something of the palette: whatever needs what is not there yet is left for later.

        Early on mostly what takes a token, so that callers soon meet under some.
        """
        order = self.rng.sample(self.intents.palette, len(self.intents.palette))
        if len(self.intents.tokens_used) < TOKENS_EARLY and self.rng.random() < 0.7:
            order.sort(key=lambda making: not making.takes_token)
        for making in order:
            try:
                if making.takes_token and self.rng.random() < 0.92:
                    token = self.intents.choose_token(self.rng)
                    return self.intents.under(ground, making, token)
                return self.intents.without_token(ground, making)
            except NothingThereError:
                continue
        raise AssertionError("a palette has something that needs nothing")

    def _ending(self, ground: Ground) -> ApiCall | None:
        prefixes = [prefix for prefix in ENDED_BY if ground.ids.get(prefix)]
        if not prefixes:
            return None
        id = ground.pick(self.rng.choice(prefixes), self.rng)
        assert id is not None, "there is one of each of these kinds"
        return ending(ground.account, ground.region, id)

    def _act(self, ground: Ground) -> ApiCall | None:
        """Something that can be done to what there is; None while there is nothing."""
        possible, draft = [], Draft(ground, self.rng, "")
        for act in ACTS:
            try:
                possible += [(act, act.asks(draft))] * act.weight
            except NothingThereError:
                continue
        if not possible:
            return None
        act, asked = self.rng.choice(possible)
        return ApiCall(act.action, ground.account, ground.region, parameters=in_form(asked))

    def call(self, call: ApiCall, ground: Ground) -> Fate | None:
        """As an SDK does: repeat what was not answered, or answered with a 5xx. The last answer.

        What makes something without a token is sent once: its caller knows it has no protection.
        """
        fate: Fate | None = None
        protected = call.action not in MAKINGS or call.client_token is not None
        for number in range(TRIES_MAX if protected else 1):
            if number:
                wait_us = log_uniform(self.rng, SECOND // 10, (2**number) * SECOND)
                self.network.cluster.scheduler.block(wait_us)
            self._messages += 1
            fate = self.network.request(f"{self.name}.{self._messages}", call)
            if fate is not None and fate.status < 500:
                break
        if fate is not None and fate.result is not None:
            ground.learn(fate.result)
            if call.action in MAKINGS and MAKINGS[call.action].makes:
                ground.made(MAKINGS[call.action].told(fate.result))
            if call.action in ENDING and self.rng.random() < 0.85:
                for id in call.ids:
                    ground.forget(id)
        return fate
