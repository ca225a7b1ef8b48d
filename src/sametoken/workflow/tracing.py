"""Tracing of launches: a span for each step, under one for the launch, in the trace of its request.

The place of the request is in the work's spec, and the ids of the spans follow from instance and
step: so the steps of one launch stand together, whichever nodes take them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sametoken.spans import Context, Span, Traces, read_traceparent, span_of
from sametoken.workflow.plans import PLANS
from sametoken.workflow.records import Failed, Recorded
from sametoken.workflow.work import Work
from sametoken.world import World


class Tracing:
    """Emits the spans of one runner's launches."""

    def __init__(self, traces: Traces, world: World) -> None:
        self._traces = traces
        self._world = world
        self._began = 0.0

    def begin(self) -> None:
        """Take note that steps begin now."""
        self._began = self._world.now().timestamp()

    def recorded(self, records: Sequence[Recorded]) -> None:
        """Emit the spans of steps that were recorded, and of launches that have ended by them."""
        now = self._world.now().timestamp()
        for one in records:
            work = one.record.held
            request = read_traceparent(work.spec.get("trace", ""))
            if request is None or not one.is_kept:
                continue
            launch = Context(request.trace, span_of(request.trace, "launch", work.instance))
            for step in PLANS[work.plan].steps[one.first : work.step + 1]:
                self._step(one, step.name, launch, now)
            if _ends_launch(one):
                self._launch(one, launch, request.span, now)

    def _step(self, one: Recorded, step: str, launch: Context, now: float) -> None:
        work = one.record.held
        tried = "/".join((work.plan, step, str(work.generation), str(work.attempt)))
        at = launch._replace(span=span_of(launch.trace, "step", work.instance, tried))
        attributes = _attributes(work) | {
            "sametoken.step": step,
            "sametoken.tries": work.attempt + 1,
            "sametoken.generation": work.generation,
        }
        failure = one.fate.reason[0] if isinstance(one.fate, Failed) else ""
        retried = one.record.changed.attempt > work.attempt and "failed for now"
        error = failure or retried or ""
        self._traces.emit(Span(step, at, launch.span, self._began, now, attributes, error))

    def _launch(self, one: Recorded, launch: Context, parent: int, now: float) -> None:
        """Emit the launch's span. It lasted as long as it did by the store's clock."""
        assert one.row is not None, "an instance that arrives has its row"
        seconds = max(0.0, (one.now - one.row.created_at).total_seconds())
        work = one.record.held
        error = work.failure[0] if work.failure else ""
        self._traces.emit(
            Span("launch", launch, parent, now - seconds, now, _attributes(work), error)
        )


def _ends_launch(one: Recorded) -> bool:
    """Tell whether a record is a launch's last: its instance runs, or is undone for its failure."""
    work = one.record.held
    if not work.is_last_step or one.record.changed.attempt > work.attempt or one.row is None:
        return False
    is_undone = work.plan == "terminate" and work.epoch == 1 and work.failure is not None
    return work.plan == "launch" or is_undone


def _attributes(work: Work) -> dict[str, str | int | float]:
    return {
        "sametoken.instance": work.instance,
        "sametoken.account": work.account,
        "sametoken.plan": work.plan,
    }
