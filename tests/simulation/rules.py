"""Rules of a schedule: drawn from its seed, of all kinds that the simulator has, or of a file.

So the promises are checked under all that users can provoke. Each node has a board of its own with
these rules, which forgets when the node dies.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sametoken.faults.board import Board
from sametoken.faults.kinds import CRASH_POINTS, FORMS, OF_STEPS, Kind
from sametoken.faults.points import Point
from sametoken.faults.rules import Occasion, Rule
from sametoken.workflow.plans import PLANS
from simulation.database import ACCOUNTS
from simulation.hazards import REFUSED, log_uniform
from simulation.history import Delivery
from simulation.scheduler import MINUTE, SECOND, Scheduler
from simulation.snapshot import ResourceRow, Snapshot

# Share of schedules that have rules.
RULES_ODDS = 0.4
_RULES_MAX = 4
# Kinds that the simulated network has: all but that which needs a process.
OF_NETWORK = frozenset(
    {
        Kind.LOSE_REQUEST, Kind.DELAY_REQUEST, Kind.FAIL_REQUEST, Kind.UNAVAILABLE, Kind.THROTTLE,
        Kind.ERROR, Kind.NO_CAPACITY, Kind.NOT_YET_FOUND, Kind.LOSE_REPLY, Kind.CUT_REPLY,
        Kind.DELAY_REPLY, Kind.FAIL_REPLY, Kind.DUPLICATE, Kind.LATE_DUPLICATE,
    }
)  # fmt: skip
KINDS = sorted(OF_NETWORK | OF_STEPS)
# Kinds that some schedules have beside the others, drawn last: the other schedules of a seed are
# what they were without them.
_BESIDE, _BESIDE_ODDS = (Kind.ERROR, Kind.NOT_YET_FOUND), 0.25
# A schedule has fewer steps than requests.
_DRAWN = (*(kind for kind in KINDS if kind not in _BESIDE), *sorted(OF_STEPS) * 2)
_STEPS = sorted({step.name for plan in PLANS.values() for step in plan.steps})
_SECONDS_US_MAX = 15 * MINUTE
# Failures of steps by one rule: in a break of a day, one without an end would fail thousands.
_FAILURES_MAX = 20


def draw_rules(rng: random.Random, tokens: Sequence[str]) -> tuple[Rule, ...]:
    """Draw a few rules, each with some of the aims that its kind takes; `tokens` are callers'."""
    kinds = rng.sample(_DRAWN, rng.randint(1, _RULES_MAX))
    rules = [_draw(rng, kind, f"{kind}-{number}", tokens) for number, kind in enumerate(kinds)]
    if rng.random() < _BESIDE_ODDS:
        kind = rng.choice(_BESIDE)
        rules.append(_draw(rng, kind, f"{kind}-{len(rules)}", tokens))
    return tuple(rules)


def draw_subset(rng: random.Random, pool: Sequence[Rule]) -> tuple[Rule, ...]:
    """Draw at least one of those of `pool` that the simulator has."""
    known = [one for one in pool if one.kind in KINDS]
    chosen = [one for one in known if rng.random() < 0.6] or known[:1]
    return tuple(_bounded(replace(one, seed=rng.randrange(1_000))) for one in chosen)


def _draw(rng: random.Random, kind: Kind, name: str, tokens: Sequence[str]) -> Rule:
    form, keys = FORMS[kind], FORMS[kind].keys
    rule = Rule(
        kind, name, odds=rng.choice((1.0, 1.0, 0.5, 0.2)), seed=rng.randrange(1_000),
        times=rng.choice((None, None, 1, 2, 5)), skip=rng.choice((0, 0, 0, 1, 3)),
        until=rng.choice((None, None, 600.0)),
    )  # fmt: skip
    if "seconds" in form.needs:
        rule = replace(rule, seconds=log_uniform(rng, SECOND // 100, _SECONDS_US_MAX) / SECOND)
    if "token" in keys and rng.random() < 0.4:
        rule = replace(rule, token=tuple(rng.sample(tokens, rng.randint(1, 2))))
    if "account" in keys and rng.random() < 0.3:
        rule = replace(rule, account=(rng.choice(ACCOUNTS),))
    if "attempt" in keys and rng.random() < 0.4:
        rule = replace(rule, attempt=rng.choice(((1, 1), (1, 2), (2, 3))))
    if "step" in keys and rng.random() < 0.6:
        rule = replace(rule, step=tuple(rng.sample(_STEPS, rng.randint(1, 3))))
    if kind is Kind.CRASH:
        rule = replace(rule, point=rng.choice(CRASH_POINTS))
    if kind in (Kind.FAIL_STEP, Kind.FAIL_LAUNCH):
        rule = replace(rule, point=rng.choice(("", Point.STEP_ANSWERED)))
    if kind is Kind.MACHINE_DIES:
        rule = replace(rule, code=rng.choice(("", "Server.InternalError")))
    return _bounded(rule)


def _bounded(rule: Rule) -> Rule:
    """Let the auditor tell what failed for good, and let what fails for a while end."""
    match rule.kind:
        case Kind.FAIL_LAUNCH:
            return replace(rule, code=REFUSED)
        case Kind.FAIL_STEP:
            return replace(rule, times=min(rule.times or _FAILURES_MAX, _FAILURES_MAX))
        case _:
            return rule


class NodeBoard(Board):
    """The board of a node that starts, by the scheduler's time; `fired` counts its strikes."""

    def __init__(self, rules: Iterable[Rule], scheduler: Scheduler, fired: Counter[str]) -> None:
        super().__init__(lambda: scheduler.now_us / SECOND, rules)
        self._scheduler, self._fired = scheduler, fired

    def strike(self, occasion: Occasion, kinds: Collection[Kind]) -> tuple[Rule, ...]:
        struck = super().strike(occasion, kinds)
        for rule in struck:
            self._scheduler.note(f"{rule.name} strikes {occasion.what} {occasion.step}")
            self._fired[rule.kind.value] += 1
        return struck


def struck_for_good(seen: Snapshot, rules: Iterable[Rule]) -> set[str]:
    """Return the instances that a rule may fail for good, by the judge's own reading of its aims.

    Without it, an instance that ended by the failure of another's rule would be taken for struck.
    """
    failing = [rule for rule in rules if rule.kind is Kind.FAIL_LAUNCH]
    return {
        row.id for row in seen.of_kind("instance") if any(_is_meant(rule, row) for rule in failing)
    }


def _is_meant(rule: Rule, row: ResourceRow) -> bool:
    aims = (
        (rule.account, row.account), (rule.region, row.region), (rule.zone, row.zone),
        (rule.token, row.client_token or ""), (rule.instance_type, row.doc["InstanceType"]),
    )  # fmt: skip
    return all(
        not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)
        for patterns, text in aims
    )


def occasion_of(delivery: Delivery, board: Board) -> Occasion:
    """Return the occasion of a request that arrives, and count its try."""
    call, form = delivery.call, delivery.call.form()
    token = call.client_token or ""
    tried = board.tries((call.account, call.region, call.action, token)) if token else 1
    return Occasion(
        delivery.request_id, call.account, call.region, call.zone, call.action, token,
        form.get("InstanceType", ""), attempt=tried,
    )  # fmt: skip
