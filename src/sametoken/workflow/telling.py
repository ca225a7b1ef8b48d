"""Telling of launches: what became of steps and plans, as counts, events of the log, and spans.

A record is told of once its transaction has committed, and nobody waits for that.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sametoken.counts import Count, Family, Spread, Told, Type, told
from sametoken.events import Event, EventKind, Events
from sametoken.resources.compute.instances import InstanceState
from sametoken.workflow.plans import PLANS
from sametoken.workflow.ports import Later
from sametoken.workflow.records import Recorded, Retry
from sametoken.workflow.tracing import Tracing
from sametoken.workflow.work import Work

log = logging.getLogger("sametoken.launches")

STEPS = Family(
    "sametoken_steps_total", Type.COUNTER,
    "Tries of steps, by plan, step and result: `done`, `later` (on its way), `retry` (failed for "
    "now), `failed` (for good), or `late` (another owner has the work).",
    ("plan", "step", "result"),
)  # fmt: skip
BACKOFF = Family(
    "sametoken_step_backoff_seconds_total", Type.COUNTER,
    "Seconds of back-off that failed tries of steps were given.",
)  # fmt: skip
ENDED = Family(
    "sametoken_plans_total", Type.COUNTER,
    "Plans that ended, by outcome: `arrived`, or `failed`, so that what they made is unwound. A "
    "launch is the plan `launch`.",
    ("plan", "outcome"),
)  # fmt: skip
LAUNCH_SECONDS = Family(
    "sametoken_launch_duration_seconds", Type.HISTOGRAM,
    "Seconds from the acceptance of a launch until its instance runs, by the store's clock.",
    (), (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0),
)  # fmt: skip
LEASES = Family(
    "sametoken_leases_total", Type.COUNTER, "Leases of work that this node's runners took."
)
TAKEOVERS = Family(
    "sametoken_takeovers_total", Type.COUNTER,
    "Leases of work whose former owner had let its lease run out.",
)  # fmt: skip
_OF_WORK = ("instance", "account", "plan")
TAKEN_OVER = EventKind(
    "launch.taken-over", (*_OF_WORK, "left_by", "node", "generation"),
    "A node took work whose former owner had let its lease run out: it crashed, or was slow.",
)  # fmt: skip
CRASHED = EventKind(
    "launch.crashed", (*_OF_WORK, "point"),
    "A fault had the controller of an instance crash, at that point.",
)  # fmt: skip
RETRIED = EventKind(
    "launch.retry", (*_OF_WORK, "step", "tried", "seconds", "why"),
    "A step failed for now, at that try, and is tried again in so many seconds.",
)  # fmt: skip
UNWINDING = EventKind(
    "launch.unwinding", (*_OF_WORK, "step", "code", "message"),
    "A step failed for good, for that reason: what the plan made is given back.",
)  # fmt: skip
ARRIVED = {
    state: EventKind(f"launch.{state.value}", (*_OF_WORK, "token", "code"), says)
    for state, says in {
        InstanceState.RUNNING: "An instance runs; `token` is that of its launch.",
        InstanceState.STOPPED: "An instance is stopped.",
        InstanceState.TERMINATED: "An instance has ended, for the reason `code` or for a caller.",
    }.items()
}
EVENTS = (TAKEN_OVER, CRASHED, RETRIED, UNWINDING, *ARRIVED.values())
OF_RUNNERS = (STEPS, BACKOFF, ENDED, LAUNCH_SECONDS, LEASES, TAKEOVERS)


class Telling:
    """Tells of what one runner does; of spans with `tracing` alone. For use from its thread."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self._steps = Count(STEPS)
        self._backoff = Count(BACKOFF)
        self._ended = Count(ENDED)
        self._launch_seconds = Spread(LAUNCH_SECONDS)
        self._leases = Count(LEASES)
        self._takeovers = Count(TAKEOVERS)

    def told(self) -> Told:
        """Return what the counts are now."""
        return told(
            (
                self._steps, self._backoff, self._ended, self._launch_seconds, self._leases,
                self._takeovers,
            )
        )  # fmt: skip

    def begin(self) -> None:
        """Take note that steps begin now."""
        if self.tracing is not None:
            self.tracing.begin()

    def leased(self, leased: Sequence[Work]) -> None:
        self._leases.add(by=len(leased))
        taken_over = [work for work in leased if work.left_by is not None]
        if taken_over:
            self._takeovers.add(by=len(taken_over))
            _write(
                [
                    TAKEN_OVER.of(*_of(work), work.left_by, work.owner, work.generation)
                    for work in taken_over
                ]
            )

    def crashed(self, work: Work, point: str) -> None:
        """Tell of a controller that crashes on purpose."""
        _write([CRASHED.of(*_of(work), point)])

    def recorded(self, records: Sequence[Recorded]) -> None:
        """Tell of records that were committed."""
        if self.tracing is not None:
            self.tracing.recorded(records)
        _write([event for one in records if (event := self._told(one)) is not None])

    def _told(self, one: Recorded) -> Event | None:
        held, changed = one.record.held, one.record.changed
        steps = PLANS[held.plan].steps
        if not one.is_kept:
            self._steps.add(held.plan, steps[held.step].name, "late")
            return None
        for step in steps[one.first : held.step]:
            self._steps.add(held.plan, step.name, "done")
        name = steps[held.step].name
        if isinstance(one.fate, Later):
            self._steps.add(held.plan, name, "later")
            return None
        if changed.plan != held.plan and changed.plan == PLANS[held.plan].on_failure:
            return self._gave_up(one, name)
        if changed.attempt > held.attempt:
            return self._retries(one, name)
        self._steps.add(held.plan, name, "done")
        return self._arrived(one) if held.is_last_step else None

    def _gave_up(self, one: Recorded, step: str) -> Event:
        held, failure = one.record.held, one.record.changed.failure
        self._steps.add(held.plan, step, "failed")
        self._ended.add(held.plan, "failed")
        code, message = failure or ("", "")
        return UNWINDING.of(*_of(held), step, code, message)

    def _retries(self, one: Recorded, step: str) -> Event:
        held, due_at = one.record.held, one.record.due_at
        assert due_at is not None, "it is tried again"
        seconds = (due_at - one.now).total_seconds()
        self._steps.add(held.plan, step, "retry")
        self._backoff.add(by=seconds)
        tried = one.record.changed.attempt
        why = one.fate.why if isinstance(one.fate, Retry) else ""
        return RETRIED.of(*_of(held), step, tried, round(seconds, 3), why)

    def _arrived(self, one: Recorded) -> Event | None:
        held, plan = one.record.held, PLANS[one.record.held.plan]
        self._ended.add(plan.name, "arrived")
        if plan.name == "launch" and plan.deadline and held.deadline_at:
            accepted_at = held.deadline_at - plan.deadline
            self._launch_seconds.note((one.now - accepted_at).total_seconds())
        if plan.then is not None:
            return None
        token = (one.row.client_token if one.row else None) or "-"
        code = held.failure[0] if held.failure else "-"
        return ARRIVED[plan.ends_in].of(*_of(held), token, code)


def _of(work: Work) -> tuple[str, str, str]:
    return work.instance, work.account, work.plan


def _write(events: Sequence[Event]) -> None:
    if events:
        log.info(Events(events))
