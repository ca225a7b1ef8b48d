"""Clients like real ones: they repeat requests without an answer, race each other, make mistakes.

Clients share a few tokens on purpose, two of which differ in case only. Each token of each action
has a first intent and some others, which another client may wrongly send under it. The clients of
one schedule make only a few kinds of resources, drawn by its seed, so that their requests meet.
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
# Tokens that are used before any is used again.
TOKENS_EARLY = 3
# SDKs try a request three to five times.
TRIES_MAX = 4
_THINK_US_MIN, _THINK_US_MAX = 10_000, 60 * SECOND
# Now and then a client waits, as people do, until an instance that it launched has booted.
_BOOT_US_MIN = 3 * SECOND
# Breaks between two requests that are long enough for entries to expire.
_BREAK_US_MIN, _BREAK_US_MAX = 6 * HOUR, 40 * HOUR
# Kinds in one schedule beside those of a meeting: with more of them, requests would seldom meet.
_OTHERS_MAX = 2
_LAUNCH = "RunInstances"


def draw_palette(rng: random.Random) -> list[Making]:
    """Draw the makings of a schedule: some that meet, some others, and all that they need.

    A making that is listed twice is chosen twice as often.
    """
    wanted: list[str] = []
    if rng.random() < 0.75:
        wanted += rng.choice(MEETINGS)
    wanted += rng.sample(list(MAKINGS), rng.randint(0, _OTHERS_MAX))
    if rng.random() < 0.15:
        wanted.append(_LAUNCH)
    whole = whole_palette(wanted)
    # List launches twice in some schedules, because instances go through more than other resources.
    more = [_LAUNCH] * rng.choice((0, 0, 1)) if _LAUNCH in whole else []
    return [MAKINGS[action] for action in (*whole, *more)]


def whole_palette(actions: Iterable[str]) -> list[str]:
    """Return these actions and those that make the resources they need, each once."""
    wanted: dict[str, None] = {}
    for action in actions:
        _want(action, wanted)
    # Add a launch where no action takes a token: without one no requests would meet under a token.
    if not any(MAKINGS[action].takes_token for action in wanted):
        _want(_LAUNCH, wanted)
    return list(wanted)


def _want(action: str, wanted: dict[str, None]) -> None:
    for need in MAKINGS[action].needs:
        _want(need, wanted)
    wanted[action] = None


@dataclass(slots=True)
class Intents:
    """The intents of callers under each token, by account, Region and action."""

    rng: random.Random
    palette: list[Making]
    tokens_used: dict[str, None] = field(default_factory=dict)
    _known: dict[tuple[str, str, str, str], list[ApiCall]] = field(default_factory=dict)
    _count: int = 0

    def under(self, ground: Ground, making: Making, token: str) -> ApiCall:
        """Return mostly the token's first intent, else another. Raises `NothingThereError`."""
        place = (ground.account, ground.region, making.action, token)
        known = self._known.get(place, [])
        if not known or (len(known) < 4 and self.rng.random() < 0.25):
            new = self._new(ground, making, token)
            self.tokens_used[token] = None
            # Two intents of an action that makes no resource may have equal parameters: keep one.
            known = self._known.setdefault(place, known)
            if not making.makes and new in known:
                return new
            known.append(new)
            return new
        return known[0] if self.rng.random() < 0.7 else self.rng.choice(known)

    def under_tokens(self) -> list[ApiCall]:
        """Return every intent under a token, whether its request was sent or not."""
        return [call for calls in self._known.values() for call in calls]

    def choose_token(self, rng: random.Random) -> str:
        """Choose a new token in the beginning, later mostly a used one, so that callers meet."""
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
    """A caller. `play` makes calls one after the other, as the user of an SDK does."""

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
        """Make a call, and return its action."""
        # Nine of ten calls go to one Region, so that requests meet under their tokens.
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
        """Draft a request of the palette, of which the resources it needs are there already.

        Early requests mostly have a token, so that callers soon meet under some.
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
        """Draft an act on a resource that callers know; None while they know none."""
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
        """Send a call, repeat it as an SDK does, and return the last answer.

        A call is repeated after a 5xx or no answer. If it makes a resource without a token it is
        sent once, because its caller knows that a repeat could make another.
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
