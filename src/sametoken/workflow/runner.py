"""The runner: lease due work, call one service at a time, record the outcome.

Recovery is the ordinary path. A runner that dies leaves a lease that runs out; its successor
repeats the step with the same derived token, which is an ordinary repeated request. No transaction
is open while a service is called.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from sametoken import faults
from sametoken.errors import SametokenError, ServiceError
from sametoken.faults import Point
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.retry import BACKOFF_CAP_SECONDS, RetryBudget, backoff_seconds
from sametoken.store.port import Store, Tx
from sametoken.workflow import work as works
from sametoken.workflow.plans import PLANS, SERVICES
from sametoken.workflow.ports import Done, Later, Progress, Services, StaleOwner, StepCall
from sametoken.workflow.work import Work
from sametoken.world import World

log = logging.getLogger(__name__)


# LEASED_MAX is so few that the last of them still starts well within its lease.
LEASED_MAX = 8

# The state reason, in EC2's words, of a launch that ended for an internal cause.
INTERNAL_FAILURE = (
    "Server.InternalError",
    "Server.InternalError: Internal error on launch",
)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A step that no repeat will help: (code, message) for the instance's state reason."""

    reason: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Retry:
    """A step to repeat after a back-off."""

    why: str


_Fate = Done | Later | _Retry | _Failed


@dataclass(slots=True)
class Runner:
    """Drives instances to the state that is wanted. A thread has its own; any number per store."""

    store: Store
    services: Services
    world: World
    budgets: dict[str, RetryBudget] = field(
        default_factory=lambda: {name: RetryBudget() for name in SERVICES}
    )

    channel = works.CHANNEL

    def run_once(self) -> bool:
        """Lease the work that is due and drive it as far as it goes. False when nothing was due."""
        if not self.store.read(works.is_due):
            return False
        leased = self.store.run(lambda tx: works.lease(tx, LEASED_MAX))
        if not leased:
            return False
        faults.reach(Point.WORK_LEASED)
        for work in leased:
            self._drive(work)
        return True

    def next_due(self, tx: Tx) -> datetime | None:
        return works.next_due(tx)

    def _drive(self, work: Work) -> None:
        """Take step after step under one lease, until done, waiting, or no longer the owner."""
        held: Work | None = work
        while held is not None:
            try:
                fate = self.attempt(held)
            except StaleOwner as stale:
                log.info("%s: %s", held.instance, stale)
                return
            faults.reach(Point.STEP_ANSWERED)
            held = self.store.run(partial(self.record, work=held, fate=fate))
            faults.reach(Point.STEP_RECORDED)

    def attempt(self, work: Work) -> _Fate:
        step = work.next_step()
        for service in step.services:
            token = work.token(step, service)
            call = StepCall(
                work.instance, work.account, work.region, work.zone,
                work.generation, token, work.spec,
            )  # fmt: skip
            try:
                progress: Progress = self.services[service].call(step.verb, call)
            except StaleOwner:
                raise
            except SametokenError as error:
                return self._failure(work, service, error)
            self.budgets[service].succeeded()
            if isinstance(progress, Later):
                return progress
        return Done()

    def _failure(self, work: Work, service: str, error: SametokenError) -> _Fate:
        log.warning("%s: %s at %s: %s", work.instance, work.plan, service, error)
        if isinstance(error, ServiceError) and not error.retryable:
            return _Failed((error.code, error.message))
        return _Retry(service)

    def record(self, tx: Tx, work: Work, fate: _Fate) -> Work | None:
        """Record the step's fate. Returns the work to go on with under this lease, or None."""
        match fate:
            case Done():
                return self._step_done(tx, work)
            case Later(seconds):
                self._put_off(tx, work, replace(work, attempt=0), seconds)
            case _Retry(service):
                if work.deadline_at is not None and tx.now >= work.deadline_at:
                    return self._give_up(tx, work, INTERNAL_FAILURE)
                attempt = work.attempt + 1
                seconds = BACKOFF_CAP_SECONDS
                if self.budgets[service].spend():
                    seconds = backoff_seconds(attempt, tx.world.random())
                self._put_off(tx, work, replace(work, attempt=attempt), seconds)
            case _Failed(reason):
                return self._give_up(tx, work, reason)
        return None

    def _put_off(self, tx: Tx, work: Work, changed: Work, seconds: float) -> None:
        due_at = tx.now + timedelta(seconds=seconds)
        if work.deadline_at is not None and tx.now < work.deadline_at:
            due_at = min(due_at, work.deadline_at)
        works.record(tx, work, changed, due_at=due_at, keeps_lease=False)

    def _step_done(self, tx: Tx, work: Work) -> Work | None:
        if work.is_last_step:
            done = replace(work, step=0, attempt=0, deadline_at=None)
            # Lock the row before its work, in the order in which requests lock them.
            row = rows.find(tx, work.instance, lock=True)
            if works.record(tx, work, done, due_at=None, keeps_lease=False):
                assert row is not None, f"{work.instance} has work, and is gone"
                _arrive(tx, work, row)
            return None
        further = replace(work, step=work.step + 1, attempt=0)
        return further if works.record(tx, work, further, due_at=tx.now, keeps_lease=True) else None

    def _give_up(self, tx: Tx, work: Work, reason: tuple[str, str]) -> Work | None:
        """Switch to the plan's `on_failure`; without one repeat the plan, to leave nothing made."""
        instead = work.the_plan.on_failure
        if instead is None:
            self._put_off(tx, work, replace(work, attempt=work.attempt + 1), BACKOFF_CAP_SECONDS)
            return None
        assert PLANS[instead].deadline is None, "a way back has no deadline"
        back = replace(
            work, plan=instead, epoch=work.epoch + 1, step=0, attempt=0, deadline_at=None,
            failure=reason,
        )  # fmt: skip
        return back if works.record(tx, work, back, due_at=tx.now, keeps_lease=True) else None


def _arrive(tx: Tx, work: Work, row: Row) -> None:
    """Put the instance, locked, into the state in which its plan ends."""
    state = work.the_plan.ends_in
    if row.state == state.value:
        return
    reason = work.failure
    kept = row.doc.get("StateReason")
    if reason is None and kept and state in (InstanceState.TERMINATED, InstanceState.STOPPED):
        reason = (kept["Code"], kept["Message"])
    instances.move(
        tx,
        row,
        state,
        cause=f"{work.plan} of epoch {work.epoch}, generation {work.generation}",
        reason=reason,
        transition_reason=row.doc.get("StateTransitionReason", "") if reason else "",
    )
    assert state.value in INSTANCE.transitions, "plans end in states of the table"
