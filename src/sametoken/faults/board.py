"""The board of a node: the rules that are in force on it, how often each struck, and what last.

A rule is decided by its seed and by how often it matched before, and by nothing else: the same
rules over the same requests in the same order strike the same ones. For use from any thread.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from sametoken.counts import Count, Family, Type
from sametoken.errors import Misconfigured
from sametoken.events import EventKind
from sametoken.faults.kinds import OF_PROCESSES, OF_REQUESTS, OF_STEPS, Kind
from sametoken.faults.reading import RULES_MAX
from sametoken.faults.rules import Occasion, Rule
from sametoken.nearest import did_you_mean

log = logging.getLogger(__name__)

# A call whose tries are counted: of a request its account, of a step its instance; then what tells
# it from others of theirs.
Call = tuple[Hashable, ...]

# Firings that are kept to be shown; older ones are in the log alone.
FIRINGS_MAX = 200
# Calls whose tries are counted at a time; of more, those that were quiet for longest are forgotten.
CALLS_MAX = 10_000


FIRED = Family(
    "sametoken_faults_fired_total", Type.COUNTER,
    "Strikes of faults, by kind; a reset of rules does not put them back to none.",
    ("kind",),
)  # fmt: skip


STRIKE = EventKind(
    "fault.fired", ("rule", "kind", "at", "what", "account", "token", "try"),
    "A fault struck: the rule and its kind, the action or the step at which it did, the request or "
    "the instance, and which try that was.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Firing:
    """A strike of a rule, the occasion that it struck, and when, by the board's clock."""

    at: float
    rule: Rule
    occasion: Occasion


@dataclass(slots=True)
class Standing:
    """A rule in force since the moment `since`, how often it matched, and how often it struck."""

    rule: Rule
    since: float
    matched: int = 0
    fired: int = 0

    def age(self, now: float) -> float:
        """Return how long it has been in force; anew from now if the clock was put back."""
        self.since = min(self.since, now)
        return now - self.since

    def is_over(self, now: float) -> bool:
        """Tell whether it strikes no more, whatever comes."""
        rule = self.rule
        is_late = rule.until is not None and self.age(now) >= rule.until
        return is_late or (rule.times is not None and self.fired >= rule.times)


class Board:
    """The rules of one node. `clock` tells its seconds, by which rules begin and end.

    `owns_process`: nobody else lives in the node's process, which rules may therefore kill.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        rules: Iterable[Rule] = (),
        *,
        owns_process: bool = False,
    ) -> None:
        self._clock = clock
        self._owns_process = owns_process
        self._lock = threading.Lock()
        self._standing: dict[str, Standing] = {}
        self._tries: OrderedDict[Call, int] = OrderedDict()
        # How often anything was reset, and at which of these times each account; "" is all of them.
        self.resets = 0
        self._reset_at: dict[str, int] = {}
        self._firings: deque[Firing] = deque(maxlen=FIRINGS_MAX)
        self.fired = Count(FIRED)
        # Whether any rule is for requests, for steps, for the process: cheap to look at.
        self.of_requests = False
        self.of_steps = False
        self.of_processes = False
        self.add(rules)

    # Rules

    def rules(self) -> tuple[Rule, ...]:
        with self._lock:
            return tuple(one.rule for one in self._standing.values())

    def standing(self) -> tuple[Standing, ...]:
        """Return each rule with its counts, in the order in which they are tried."""
        with self._lock:
            return tuple(replace(one) for one in self._standing.values())

    def firings(self) -> tuple[Firing, ...]:
        """Return the last strikes, the newest last."""
        with self._lock:
            return tuple(self._firings)

    def has(self, rule: Rule) -> bool:
        """Tell whether a rule, as it struck, is still in force."""
        with self._lock:
            found = self._standing.get(rule.name)
            return found is not None and found.rule == rule

    def set(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        """Have these rules in force and no others; all counts begin anew. Raises as `add` does."""
        with self._lock:
            former, self._standing = self._standing, {}
            try:
                added = self._add(rules)
            except Misconfigured:
                self._standing = former
                raise
            self._tries.clear()
            self._firings.clear()
            self._note()
        return added

    def add(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        """Have these rules in force too; returns them by the names that they have now.

        A rule without a name gets that of its kind. Raises `Misconfigured` for a name that is
        taken, and for too many rules: then none is added.
        """
        with self._lock:
            added = self._add(rules)
            self._note()
        return added

    def remove(self, names: Collection[str]) -> None:
        """Take rules off the board. Raises `Misconfigured` if one of them is not there."""
        with self._lock:
            for name in names:
                if name not in self._standing:
                    hint = did_you_mean(name, self._standing)
                    raise Misconfigured(f"there is no rule {name!r}.{hint}")
            for name in names:
                self._standing.pop(name, None)
            self._note()

    def clear(self) -> None:
        """Take all rules off the board, with what is known of tries and strikes."""
        self.set(())

    def _add(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        now, added = self._clock(), dict[str, Standing]()
        for rule in rules:
            if rule.kind in OF_PROCESSES and not self._owns_process:
                raise Misconfigured(
                    f"{rule.kind} ends a server that has a process of its own, which this one has "
                    "not: start it with `sametoken serve --dev`, or let its controller crash"
                )
            name = rule.name or self._free_name(rule.kind.value, added)
            if name in self._standing or name in added:
                raise Misconfigured(f"there is a rule {name!r} already; give this one another name")
            added[name] = Standing(replace(rule, name=name), now)
        if len(self._standing) + len(added) > RULES_MAX:
            raise Misconfigured(f"a node holds at most {RULES_MAX} rules; clear some first")
        self._standing |= added
        return tuple(one.rule for one in added.values())

    def _free_name(self, kind: str, added: Collection[str]) -> str:
        name, number = kind, 1
        while name in self._standing or name in added:
            number += 1
            name = f"{kind}-{number}"
        return name

    def _note(self) -> None:
        kinds = {one.rule.kind for one in self._standing.values()}
        self.of_requests = not kinds.isdisjoint(OF_REQUESTS)
        self.of_steps = not kinds.isdisjoint(OF_STEPS)
        self.of_processes = not kinds.isdisjoint(OF_PROCESSES)

    # Strikes

    def now(self) -> float:
        """Return the moment of the board's clock, in seconds."""
        return self._clock()

    def tries(self, call: Call) -> int:
        """Count one more try of a call, and return its number from 1."""
        with self._lock:
            number = self._tries.pop(call, 0) + 1
            self._tries[call] = number
            if len(self._tries) > CALLS_MAX:
                self._tries.popitem(last=False)
        return number

    def concerns(self, occasion: Occasion) -> bool:
        """Tell whether a rule may strike a step of that instance, now or later; counts nothing."""
        with self._lock:
            now = self._clock()
            return any(
                one.rule.kind in OF_STEPS and one.rule.is_for(occasion) and not one.is_over(now)
                for one in self._standing.values()
            )

    def forget(self, account: str = "") -> None:
        """Forget an account's tries, and what is to come late of its calls; with "" of all."""
        with self._lock:
            self.resets += 1
            self._reset_at[account] = self.resets
            for call in [one for one in self._tries if account in ("", one[0])]:
                del self._tries[call]

    def was_reset(self, account: str, resets: int) -> bool:
        """Tell whether the account was forgotten since there were so many `resets`."""
        with self._lock:
            return max(self._reset_at.get(account, 0), self._reset_at.get("", 0)) > resets

    def strike(self, occasion: Occasion, kinds: Collection[Kind]) -> tuple[Rule, ...]:
        """Return the rules of these kinds that strike now, in their order; each is counted."""
        with self._lock:
            now = self._clock()
            struck = [
                one.rule
                for one in self._standing.values()
                if one.rule.kind in kinds and _strikes(one, occasion, now)
            ]
        for rule in struck:
            self.note(rule, occasion)
        return tuple(struck)

    def note(self, rule: Rule, occasion: Occasion) -> None:
        """Take note of a strike, of a rule that may be on no board: a request's own."""
        with self._lock:
            self._firings.append(Firing(self._clock(), rule, occasion))
            self.fired.add(rule.kind.value)
        _write_line(rule, occasion)


def _write_line(rule: Rule, occasion: Occasion) -> None:
    """Log a strike."""
    log.info(
        STRIKE.of(
            rule.name,
            rule.kind.value,
            occasion.step or occasion.action or "-",
            occasion.what,
            occasion.account or "-",
            occasion.token or "-",
            occasion.attempt,
        )
    )


def _strikes(standing: Standing, occasion: Occasion, now: float) -> bool:
    rule, age = standing.rule, standing.age(now)
    if age < rule.after or (rule.until is not None and age >= rule.until):
        return False
    if not rule.matches(occasion):
        return False
    standing.matched += 1
    if standing.matched <= rule.skip or (rule.times is not None and standing.fired >= rule.times):
        return False
    if not happens(rule, standing.matched):
        return False
    standing.fired += 1
    return True


def happens(rule: Rule, number: int) -> bool:
    """Tell whether a rule's odds come true at its match of that number: always the same."""
    if rule.odds >= 1.0:
        return True
    digest = hashlib.sha256(f"{rule.seed}/{rule.name}/{number}".encode()).digest()
    return int.from_bytes(digest[:8]) < rule.odds * 2**64


def counted(standing: Sequence[Standing]) -> dict[str, dict[str, int]]:
    """Return the counts of each rule by its name."""
    return {one.rule.name: {"matched": one.matched, "fired": one.fired} for one in standing}
