"""Records: what came of a step, written to the work row; and instances that arrive by it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sametoken import faults
from sametoken.faults import Point
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE, Arrival, InstanceState
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.retry import BACKOFF_CAP_SECONDS, backoff_seconds
from sametoken.store.port import Tx
from sametoken.workflow import work as works
from sametoken.workflow.history import What, cut, mark, milliseconds
from sametoken.workflow.ports import Done, Later
from sametoken.workflow.work import Record, Work

log = logging.getLogger(__name__)

# The state reason, in EC2's words, of a launch that ended for an internal cause.
INTERNAL_FAILURE = (
    "Server.InternalError",
    "Server.InternalError: Internal error on launch",
)


@dataclass(frozen=True, slots=True)
class Failed:
    """A step that no repeat will help: (code, message) for the instance's state reason.

    `cause` is added for people: the fault that failed it.
    """

    reason: tuple[str, str]
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A step to repeat, for the error `why`: after a back-off, or only after its cap."""

    soon: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A step whose fate is not recorded: another owner has the work, or the lease must run out.

    `bug` is the error that none of the services should raise.
    """

    bug: Exception | None = None


@dataclass(frozen=True, slots=True)
class Dies:
    """A last step that is taken, of a machine that dies in `seconds`, for `reason`.

    The instance then goes the way of `plan`, unless it is stopped or ended sooner.
    """

    seconds: float
    plan: str
    reason: tuple[str, str]


StepFate = Done | Later | Retry | Failed | Lost | Dies


class Recorded(NamedTuple):
    """A record of a fate, made at `now`. Unless it `is_kept`, another owner has the work.

    It tells of the steps from `first` on, up to that of the work as it was held. `row` is that of
    an instance which arrives, as it was before.
    """

    fate: StepFate
    record: Record
    is_kept: bool
    now: datetime
    first: int
    row: Row | None = None

    @property
    def going(self) -> Work | None:
        """Return the work to go on with under the lease; None if there is none."""
        return self.record.changed if self.is_kept and self.record.keeps_lease else None


def record(tx: Tx, members: Sequence[tuple[Work, StepFate]]) -> list[Recorded]:
    """Record the fates, each unless its work has another owner by now."""
    arriving = [
        work for work, fate in members if isinstance(fate, Done | Dies) and work.is_last_step
    ]
    # Lock the rows before their work, in the order in which requests lock them.
    found = rows.by_ids(tx, [work.instance for work in arriving], lock=True)
    records = [_record_of(tx, work, fate) for work, fate in members]
    faults.reach(Point.STEP_RECORDING)
    written = works.record(tx, records)
    for one in records:
        if one.held.instance not in written:
            generation = one.held.generation
            log.info("%s: a record by %d is too late", one.held.instance, generation)
    _arrive(tx, [work for work in arriving if work.instance in written], found)
    return [
        Recorded(
            fate, one, work.instance in written, tx.now, work.step, found.get(work.instance),
        )
        for one, (work, fate) in zip(records, members, strict=True)
    ]  # fmt: skip


def _record_of(tx: Tx, work: Work, fate: StepFate) -> Record:
    now_ms = milliseconds(tx.now)
    match fate:
        case Done():
            return _done(work.noting(mark(What.DONE, now_ms, work.step)), work, now_ms)
        case Later(seconds, why):
            return _put_off(tx, work, 0, seconds, What.LATER, why)
        case Retry(soon, why):
            if work.deadline_at is not None and tx.now >= work.deadline_at:
                return _give_up(tx, work, Failed(INTERNAL_FAILURE, f"past the deadline, {why}"))
            attempt = work.attempt + 1
            seconds = BACKOFF_CAP_SECONDS
            if soon:
                seconds = backoff_seconds(attempt, tx.world.random())
            return _put_off(tx, work, attempt, seconds, What.RETRY, why)
        case Failed():
            return _give_up(tx, work, fate)
        case Dies(seconds, plan, reason):
            due_at = tx.now + timedelta(seconds=seconds)
            why, until_ms = cut(reason[1]), milliseconds(due_at)
            told = work.noting(mark(What.DIES, now_ms, work.step, until_ms, why, plan))
            return Record(work, told.under(plan, failure=reason), due_at)
        case Lost():
            raise AssertionError(f"{work.instance}: a lost step has no record")


def _done(told: Work, held: Work, now_ms: int) -> Record:
    """Go on after a step that is done, as the history of `told` says already."""
    if not held.is_last_step:
        return Record(held, told.at(held.step + 1), held.due_at, keeps_lease=True)
    then = held.the_plan.then
    if then is None:
        return Record(held, replace(told, step=0, attempt=0, deadline_at=None), None)
    told = told.noting(mark(What.NEXT, now_ms, then))
    return Record(held, told.under(then), held.due_at, keeps_lease=True)


def _put_off(tx: Tx, work: Work, attempt: int, seconds: float, what: What, why: str) -> Record:
    due_at = tx.now + timedelta(seconds=seconds)
    if work.deadline_at is not None and tx.now < work.deadline_at:
        due_at = min(due_at, work.deadline_at)
    told = mark(what, milliseconds(tx.now), work.step, milliseconds(due_at), cut(why))
    return Record(work, replace(work.noting(told), attempt=attempt), due_at)


def _give_up(tx: Tx, work: Work, failed: Failed) -> Record:
    """Switch to the plan's `on_failure`; without one repeat the plan, to leave nothing made."""
    instead = work.the_plan.on_failure
    why = f"{failed.reason[1]} ({failed.cause})" if failed.cause else failed.reason[1]
    if instead is None:
        attempt = work.attempt + 1
        return _put_off(tx, work, attempt, BACKOFF_CAP_SECONDS, What.RETRY, why)
    told = work.noting(mark(What.FAILED, milliseconds(tx.now), work.step, cut(why), instead))
    return Record(work, told.under(instead, failure=failed.reason), work.due_at, keeps_lease=True)


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
