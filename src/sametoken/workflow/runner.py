"""The runner: lease due work, call a service for many instances at once, record what came of it.

Recovery is the ordinary path. A runner that dies leaves leases that run out; its successor repeats
each step with the same token, which is an ordinary repeated request. No transaction is open while a
service is called.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sametoken import faults
from sametoken.errors import SametokenError, ServiceError, Transient
from sametoken.faults import Point
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE, Arrival, InstanceState
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.retry import BACKOFF_CAP_SECONDS, RetryBudget, backoff_seconds
from sametoken.store.port import Store, Tx
from sametoken.workflow import turns
from sametoken.workflow import work as works
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.batches import BEGIN_SECONDS_MAX, act_together
from sametoken.workflow.plans import PLANS, SERVICES
from sametoken.workflow.ports import Done, Fate, Later, Services, StaleOwner, StepCall, Verb
from sametoken.workflow.work import Record, Work
from sametoken.world import World

log = logging.getLogger(__name__)


# At 64 a launch costs nearly as little as at 256; the rest is for days on which many accounts have
# work at once. A step of so many takes a SQLite writer for less than a tenth of a second.
LEASED_MAX = 256

# So many releases take a SQLite writer for less than a tenth of a second too.
RELEASED_MAX = 32

# The state reason, in EC2's words, of a launch that ended for an internal cause.
INTERNAL_FAILURE = (
    "Server.InternalError",
    "Server.InternalError: Internal error on launch",
)


@dataclass(frozen=True, slots=True)
class Failed:
    """A step that no repeat will help: (code, message) for the instance's state reason."""

    reason: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Retry:
    """A step to repeat after a back-off."""

    service: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A step whose fate is not recorded: another owner has the work, or the lease must run out.

    `bug` is the error that none of the services should raise.
    """

    bug: Exception | None = None


StepFate = Done | Later | Retry | Failed | Lost


@dataclass(slots=True)
class Runner:
    """Drives instances to the state that is wanted. A thread has its own; any number per store."""

    store: Store
    services: Services
    world: World
    backlog: Backlog
    leased_max: int = LEASED_MAX
    budgets: dict[str, RetryBudget] = field(
        default_factory=lambda: {name: RetryBudget() for name in SERVICES}
    )
    # The account that was last to get its share of a lease.
    turn: str = ""

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
        faults.reach(Point.WORK_LEASED)
        self._drive(leased)
        return True

    def lease(self, tx: Tx) -> tuple[datetime, list[Work]]:
        """Lease due work, in the turns of its accounts; returns the moment as well."""
        return tx.now, turns.lease(tx, self.leased_max, self.turn)

    def next_due(self, tx: Tx) -> datetime | None:
        return turns.next_due(tx)

    def _drive(self, leased: Sequence[Work]) -> None:
        """Take step after step under the leases, until all are done, waiting, or another's."""
        held, errors = list(leased), list[Exception]()
        since = self.world.monotonic()
        while held:
            if self.world.monotonic() - since > BEGIN_SECONDS_MAX:
                since = self.world.monotonic()
                held = self._renewed(held, errors)
                continue
            group = _next_group(held)
            going = {work.instance for work in group}
            held = [work for work in held if work.instance not in going]
            fates = self.attempt(group)
            errors += [fate.bug for fate in fates if isinstance(fate, Lost) and fate.bug]
            faults.reach(Point.STEP_ANSWERED)
            held += self._recorded(list(zip(group, fates, strict=True)), errors)
            faults.reach(Point.STEP_RECORDED)
        if errors:
            raise next((one for one in errors if not isinstance(one, Transient)), errors[0])

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

    def _recorded(
        self, members: Sequence[tuple[Work, StepFate]], errors: list[Exception]
    ) -> list[Work]:
        """Record the fates in one transaction; returns the work to go on with."""

        def record(some: Sequence[tuple[Work, StepFate]]) -> Sequence[Work | None]:
            return self.store.run(lambda tx: self.record(tx, some))

        known = [(work, fate) for work, fate in members if not isinstance(fate, Lost)]
        if not known:
            return []
        return _without_errors(act_together(known, record, self.world), errors)

    def attempt(self, group: Sequence[Work]) -> list[StepFate]:
        """Take the next step of each of `group`, which is the same; returns their fates."""
        step = group[0].next_step()
        fates = dict[str, StepFate]()
        going = list(group)
        for service in step.services:
            calls = [
                StepCall(
                    work.instance, work.account, work.region, work.zone, work.generation,
                    work.token(step, service), work.spec,
                )
                for work in going
            ]  # fmt: skip
            answers = self.services[service].call_many(step.verb, calls)
            for work, answer in zip(going, answers, strict=True):
                fates[work.instance] = self._fate(work, service, answer)
            going = [work for work in going if isinstance(fates[work.instance], Done)]
            if not going:
                break
        return [fates[work.instance] for work in group]

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
                return Retry(service)
        return Lost(answer)

    def record(self, tx: Tx, members: Sequence[tuple[Work, StepFate]]) -> list[Work | None]:
        """Record the fates; returns the work to go on with under each lease, or None."""
        arriving = [work for work, fate in members if isinstance(fate, Done) and work.is_last_step]
        # Lock the rows before their work, in the order in which requests lock them.
        found = rows.by_ids(tx, [work.instance for work in arriving], lock=True)
        records = [self._record_of(tx, work, fate) for work, fate in members]
        faults.reach(Point.STEP_RECORDING)
        written = works.record(tx, records)
        for one in records:
            if one.held.instance not in written:
                generation = one.held.generation
                log.info("%s: a record by %d is too late", one.held.instance, generation)
        _arrive(tx, [work for work in arriving if work.instance in written], found)
        return [
            one.changed if one.keeps_lease and one.held.instance in written else None
            for one in records
        ]

    def _record_of(self, tx: Tx, work: Work, fate: StepFate) -> Record:
        match fate:
            case Done() if work.is_last_step:
                return Record(work, replace(work, step=0, attempt=0, deadline_at=None), None)
            case Done():
                further = replace(work, step=work.step + 1, attempt=0)
                return Record(work, further, work.due_at, keeps_lease=True)
            case Later(seconds):
                return _put_off(tx, work, replace(work, attempt=0), seconds)
            case Retry(service):
                if work.deadline_at is not None and tx.now >= work.deadline_at:
                    return _give_up(tx, work, INTERNAL_FAILURE)
                attempt = work.attempt + 1
                seconds = BACKOFF_CAP_SECONDS
                if self.budgets[service].spend():
                    seconds = backoff_seconds(attempt, tx.world.random())
                return _put_off(tx, work, replace(work, attempt=attempt), seconds)
            case Failed(reason):
                return _give_up(tx, work, reason)
            case Lost():
                raise AssertionError(f"{work.instance}: a lost step has no record")


def _next_group(held: Sequence[Work]) -> list[Work]:
    """Choose who goes next: all at one step of one plan, the earliest step first.

    So they join those who are further. A step that gives something back locks its Region, and
    looks for what each instance holds: a few instances of one Region take it together.
    """
    first = min(held, key=lambda work: (work.step, work.plan))
    group = [one for one in held if (one.plan, one.step) == (first.plan, first.step)]
    if first.next_step().verb not in (Verb.HALT, Verb.RELEASE):
        return group
    place = (first.account, first.region)
    return [one for one in group if (one.account, one.region) == place][:RELEASED_MAX]


def _without_errors(
    results: Sequence[Work | Exception | None], errors: list[Exception]
) -> list[Work]:
    errors += [one for one in results if isinstance(one, Exception)]
    return [one for one in results if isinstance(one, Work)]


def _put_off(tx: Tx, work: Work, changed: Work, seconds: float) -> Record:
    due_at = tx.now + timedelta(seconds=seconds)
    if work.deadline_at is not None and tx.now < work.deadline_at:
        due_at = min(due_at, work.deadline_at)
    return Record(work, changed, due_at)


def _give_up(tx: Tx, work: Work, reason: tuple[str, str]) -> Record:
    """Switch to the plan's `on_failure`; without one repeat the plan, to leave nothing made."""
    instead = work.the_plan.on_failure
    if instead is None:
        return _put_off(tx, work, replace(work, attempt=work.attempt + 1), BACKOFF_CAP_SECONDS)
    assert PLANS[instead].deadline is None, "a way back has no deadline"
    back = replace(
        work, plan=instead, epoch=work.epoch + 1, step=0, attempt=0, deadline_at=None,
        failure=reason,
    )  # fmt: skip
    return Record(work, back, work.due_at, keeps_lease=True)


def _arrive(tx: Tx, arriving: Sequence[Work], found: Mapping[str, Row]) -> None:
    """Put the instances, locked, into the states in which their plans end."""
    arrivals = []
    for work in arriving:
        assert work.instance in found, f"{work.instance} has work, and is gone"
        row, state = found[work.instance], work.the_plan.ends_in
        if row.state != state.value:
            arrivals.append(_arrival(work, row, state))
    instances.arrive(tx, arrivals)


def _arrival(work: Work, row: Row, state: InstanceState) -> Arrival:
    assert state.value in INSTANCE.transitions, "plans end in states of the table"
    reason = work.failure
    kept = row.doc.get("StateReason")
    if reason is None and kept and state in (InstanceState.TERMINATED, InstanceState.STOPPED):
        reason = (kept["Code"], kept["Message"])
    return Arrival(
        row,
        state,
        f"{work.plan} of epoch {work.epoch}, generation {work.generation}",
        reason,
        row.doc.get("StateTransitionReason", "") if reason else "",
    )
