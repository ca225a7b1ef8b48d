"""The runner: lease due work, have services act for many instances at once, record what came of it.

Recovery is the ordinary path. A runner that dies leaves leases that run out; its successor repeats
each step with the same token, which is an ordinary repeated request. No transaction is open while
anything outside the database is called.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sametoken import faults
from sametoken.errors import SametokenError, ServiceError, Transient
from sametoken.faults import Point
from sametoken.retry import RetryBudget
from sametoken.store.port import Store, Tx
from sametoken.workflow import turns
from sametoken.workflow import work as works
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.batches import BEGIN_SECONDS_MAX, act_together
from sametoken.workflow.mishaps import Crashed, Hands, Mishaps
from sametoken.workflow.plans import SERVICES
from sametoken.workflow.ports import Done, Fate, Later, Local, Services, StaleOwner, StepCall, Verb
from sametoken.workflow.records import Failed, Lost, Recorded, Retry, StepFate, record
from sametoken.workflow.stretches import Stretch, call_of, stretch_from
from sametoken.workflow.telling import Telling
from sametoken.workflow.work import Record, Work
from sametoken.world import World

log = logging.getLogger(__name__)


# At 64 a launch costs nearly as little as at 256; the rest is for days on which many accounts have
# work at once. A stretch of so many takes a SQLite writer for about a tenth of a second.
LEASED_MAX = 256

# Seconds from one lease to the next, unless the one before had much: what is accepted meanwhile
# goes together, since a few launches cost as many transactions as many do. A node that has nothing
# to do begins at once, and a launch takes seconds to boot.
GATHERING_SECONDS = 0.05
MUCH = 64

# So many releases take a SQLite writer for less than a tenth of a second too.
RELEASED_MAX = 32


@dataclass(slots=True)
class Runner:
    """Drives instances to the state that is wanted. A thread has its own; any number per store."""

    store: Store
    services: Services
    world: World
    backlog: Backlog
    mishaps: Mishaps | None = None
    # The name of this node, for people.
    node: str = ""
    leased_max: int = LEASED_MAX
    gathering_seconds: float = GATHERING_SECONDS
    budgets: dict[str, RetryBudget] = field(
        default_factory=lambda: {name: RetryBudget() for name in SERVICES}
    )
    # The account that was last to get its share of a lease.
    turn: str = ""
    # When the next lease is to be taken, by the monotonic clock.
    rests_until: float = 0.0

    telling: Telling = field(default_factory=Telling)

    channel = works.CHANNEL

    def run_once(self) -> bool:
        """Lease the work that is due and drive it as far as it goes. False when nothing was due.

        Raises the bugs that single members met, once the others are driven.
        """
        if not self.store.read(turns.is_due):
            self.backlog.note_idle()
            return False
        now, leased = self.store.run(self.lease)
        self.backlog.note_lease(now, leased, self.leased_max)
        self.turn = turns.last_turn(leased, self.turn)
        if not leased:
            return False
        self.telling.leased(leased)
        self.gather(len(leased))
        faults.reach(Point.WORK_LEASED)
        self._drive_all(leased)
        return True

    def lease(self, tx: Tx) -> tuple[datetime, list[Work]]:
        """Lease due work, in the turns of its accounts; returns the moment as well."""
        return tx.now, turns.lease(tx, self.leased_max, self.turn, self.node)

    def gather(self, leased: int) -> None:
        """After a lease of so many, let more gather before the next one, unless it was much."""
        if leased < MUCH:
            self.rests_until = self.world.monotonic() + self.gathering_seconds

    def rest_seconds(self) -> float:
        return max(0.0, self.rests_until - self.world.monotonic())

    def next_due(self, tx: Tx) -> datetime | None:
        return turns.next_due(tx)

    def _drive_all(self, leased: Sequence[Work]) -> None:
        """Drive all, and last and apart from them those that a mishap may strike."""
        errors = list[Exception]()
        marked = {} if self.mishaps is None else self.mishaps.marked(self.store, leased)
        self._drive([work for work in leased if work.instance not in marked], errors)
        for work in leased:
            if self.mishaps is not None and work.instance in marked:
                hands = Hands(self._call, self._take, partial(self._record, errors))
                try:
                    self.mishaps.drive(work, marked[work.instance], hands)
                except Crashed as point:
                    self.telling.crashed(work, str(point))
                    self.forget(work)
        if errors:
            raise next((one for one in errors if not isinstance(one, Transient)), errors[0])

    def forget(self, work: Work) -> None:
        """Forget what a new runner does not know either, and this work, which waits for one."""
        with suppress(Transient):
            self.store.run(lambda tx: works.abandon(tx, work))
        self.budgets = {name: RetryBudget() for name in SERVICES}
        self.turn = ""

    def _drive(self, leased: Sequence[Work], errors: list[Exception]) -> None:
        """Take step after step under the leases, until all are done, waiting, or another's."""
        held = list(leased)
        # Work whose stretch has failed: its next step is called for alone.
        apart = set[str]()
        since = self.world.monotonic()
        while held:
            if self.world.monotonic() - since > BEGIN_SECONDS_MAX:
                since = self.world.monotonic()
                held = self._renewed(held, errors)
                continue
            group, stretch = self._next_group(held, apart)
            going = {work.instance for work in group}
            held = [work for work in held if work.instance not in going]
            if stretch is None:
                apart -= going
                held += self._called(group, errors)
            else:
                held += self._stretched(group, stretch, apart, errors)
            faults.reach(Point.STEP_RECORDED)

    def _next_group(
        self, held: Sequence[Work], apart: set[str]
    ) -> tuple[list[Work], Stretch | None]:
        """Choose who goes next, and the stretch that they take; None if they take a single step.

        The earliest step of a plan goes first, so that they join those who are further. A step that
        gives something back locks its Region, and looks for what each instance holds: a few
        instances of one Region take it together.
        """
        first = min(held, key=lambda work: (work.instance not in apart, work.step, work.plan))
        stretch = None if first.instance in apart else stretch_from(first, self.services)
        if stretch is None:
            group = [
                one
                for one in held
                if (one.plan, one.step) == (first.plan, first.step)
                and (one.instance in apart) == (first.instance in apart)
            ]
        else:
            group = [one for one in held if stretch.has(one)]
        if not first.next_step().gives_back:
            return group, stretch
        place = (first.account, first.region)
        return [one for one in group if (one.account, one.region) == place][:RELEASED_MAX], stretch

    def _renewed(self, held: Sequence[Work], errors: list[Exception]) -> list[Work]:
        """Lease anew what is held still; the rest has another owner by now."""

        def renew(members: Sequence[Work]) -> list[Work | None]:
            kept = self.store.run(
                lambda tx: works.record(
                    tx, [Record(one, one, one.due_at, keeps_lease=True) for one in members]
                )
            )
            return [one if one.instance in kept else None for one in members]

        return _without_errors(act_together(held, renew, self.world), errors)

    # -- stretches ----------------------------------------------------------------------------

    def _stretched(
        self,
        group: Sequence[Work],
        stretch: Stretch,
        apart: set[str],
        errors: list[Exception],
    ) -> list[Work]:
        """Take a stretch, and do what is left of its last step; returns the work to go on with.

        Members that fail are put `apart`, to be called for: an error is its own step's.
        """

        def take(some: Sequence[Work]) -> Sequence[Work | Recorded | None]:
            return self.store.run(lambda tx: stretch.take(tx, some))

        self.telling.begin()
        taken = act_together(group, take, self.world)
        failed = [
            work for work, one in zip(group, taken, strict=True) if isinstance(one, Exception)
        ]
        apart.update(work.instance for work in failed)
        self.telling.recorded([one for one in taken if isinstance(one, Recorded)])
        now_held = [one.going if isinstance(one, Recorded) else one for one in taken]
        on = [one for one in now_held if isinstance(one, Work)]
        for service in {name for step in stretch.steps for name in step.services}:
            self.budgets[service].succeeded(len(on))
        if not stretch.left:
            return [*failed, *on]
        fates: dict[str, StepFate] = {}
        going = on
        for service in stretch.left:
            if not going:
                break
            step = going[0].next_step()
            calls = [call_of(work, step, service) for work in going]
            answers = stretch.locals[service].finish_many(step.verb, calls)
            for work, answer in zip(going, answers, strict=True):
                fates[work.instance] = self._fate(work, service, answer)
            going = [work for work in going if isinstance(fates[work.instance], Done)]
        faults.reach(Point.STEP_ANSWERED)
        return [*failed, *self._recorded([(work, fates[work.instance]) for work in on], errors)]

    # -- single steps -------------------------------------------------------------------------

    def _called(self, group: Sequence[Work], errors: list[Exception]) -> list[Work]:
        """Call for the next step of `group`, and record it; returns the work to go on with."""
        fates = self.attempt(group)
        faults.reach(Point.STEP_ANSWERED)
        return self._recorded(list(zip(group, fates, strict=True)), errors)

    def attempt(self, group: Sequence[Work]) -> list[StepFate]:
        """Call for the next step of each of `group`, which is the same; returns their fates."""
        self.telling.begin()
        step = group[0].next_step()
        fates: dict[str, StepFate] = {work.instance: Done() for work in group}
        going = list(group)
        for service in step.services:
            calls = [call_of(work, step, service) for work in going]
            answers = self.services[service].call_many(step.verb, calls)
            for work, answer in zip(going, answers, strict=True):
                fates[work.instance] = self._fate(work, service, answer)
            going = [work for work in going if isinstance(fates[work.instance], Done)]
            if not going:
                break
        return [fates[work.instance] for work in group]

    def _call(self, work: Work) -> StepFate:
        [fate] = self.attempt([work])
        faults.reach(Point.STEP_ANSWERED)
        return fate

    def _take(self, work: Work) -> None:
        """Take the next step at the services on this database, and do nothing outside of it."""
        step = work.next_step()
        for name in step.services:
            if isinstance(service := self.services[name], Local):
                self._take_at(service, step.verb, call_of(work, step, name))

    def _take_at(self, service: Local, verb: Verb, call: StepCall) -> None:
        def take(calls: Sequence[StepCall]) -> Sequence[Fate]:
            return self.store.run(lambda tx: service.take_many(tx, verb, calls))

        act_together([call], take, self.world)

    def _record(self, errors: list[Exception], work: Work, fate: StepFate) -> Work | None:
        recorded = self._recorded([(work, fate)], errors)
        faults.reach(Point.STEP_RECORDED)
        return next(iter(recorded), None)

    def _recorded(
        self, members: Sequence[tuple[Work, StepFate]], errors: list[Exception]
    ) -> list[Work]:
        """Record the fates in one transaction; returns the work to go on with."""

        def write(some: Sequence[tuple[Work, StepFate]]) -> Sequence[Recorded]:
            return self.store.run(lambda tx: record(tx, some))

        errors += [fate.bug for _, fate in members if isinstance(fate, Lost) and fate.bug]
        known = [(work, fate) for work, fate in members if not isinstance(fate, Lost)]
        if not known:
            return []
        written = act_together(known, write, self.world)
        self.telling.recorded([one for one in written if isinstance(one, Recorded)])
        now_held = [one.going if isinstance(one, Recorded) else one for one in written]
        return _without_errors(now_held, errors)

    def _fate(self, work: Work, service: str, answer: Fate) -> StepFate:
        match answer:
            case Done() | Later():
                self.budgets[service].succeeded()
                return answer
            case StaleOwner():
                log.info("%s: %s", work.instance, answer)
                return Lost()
            case SametokenError():
                log.warning("%s: %s at %s: %s", work.instance, work.plan, service, answer)
                if isinstance(answer, ServiceError) and not answer.retryable:
                    return Failed((answer.code, answer.message))
                return Retry(self.budgets[service].spend(), _said(service, answer))
        return Lost(answer)


def _said(service: str, error: SametokenError) -> str:
    """Return an error of a service as one line of a history."""
    code = error.code if isinstance(error, ServiceError) else type(error).__name__
    return f"{service}: {code}: {error}"


def _without_errors(
    results: Sequence[Work | Exception | None], errors: list[Exception]
) -> list[Work]:
    errors += [one for one in results if isinstance(one, Exception)]
    return [one for one in results if isinstance(one, Work)]
