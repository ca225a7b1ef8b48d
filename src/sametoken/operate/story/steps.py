"""The steps of a launch, told from the history and the present state of its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sametoken.operate.story.model import Launch, Step, Try, Walk
from sametoken.resources.kit.moments import moment_of
from sametoken.resources.kit.rows import Row
from sametoken.workflow import history
from sametoken.workflow.history import Mark, What
from sametoken.workflow.plans import PLANS
from sametoken.workflow.work import Work

DONE, LATER, RETRY, FAILED = "done", "later", "retry", "failed"
GIVEN_UP, TAKEN_OVER = "given up", "taken over"
UNDER_WAY, NOT_BEGUN = "under way", "not begun"
_OUTCOMES = {What.LATER: LATER, What.RETRY: RETRY, What.FAILED: FAILED}


def told(work: Work, row: Row | None) -> Launch:
    """Return the launch of an instance; `row` is None once nothing is kept of it."""
    marks = [] if work.history is None else history.read(work.history)
    return Launch(
        work.instance,
        work.zone,
        work.spec["instance_type"],
        "gone" if row is None else row.state,
        work.due_at,
        work.deadline_at,
        work.owner,
        work.generation,
        _walks(marks, work),
        sum(one.left_out for one in marks),
    )


@dataclass(slots=True)
class _Walking:
    """A walk as it is read: how many of its steps are done, and the tries of each."""

    plan: str
    epoch: int
    why: str | None = None
    done: int = 0
    failed: bool = False
    tries: dict[int, list[Try]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return len(PLANS[self.plan].steps) - 1

    def add(self, step: int, one: Try) -> None:
        self.tries.setdefault(step, []).append(one)

    def finish(self, to: int, one: Try) -> None:
        """Note that all steps up to `to` are done, those from the present one on by this try."""
        for step in range(self.done, to + 1):
            self.add(step, one)
        self.done = to + 1

    def walk(self, *, is_present: bool) -> Walk:
        steps = tuple(
            Step(step.name, self._state(place, is_present), tuple(self.tries.get(place, ())))
            for place, step in enumerate(PLANS[self.plan].steps)
        )
        return Walk(self.plan, self.epoch, self.why, steps)

    def _state(self, place: int, is_present: bool) -> str:
        if place < self.done:
            return DONE
        if self.failed and place == self.done:
            return FAILED
        return UNDER_WAY if is_present and place == self.done else NOT_BEGUN


def _walks(marks: Sequence[Mark], work: Work) -> tuple[Walk, ...]:
    walks = list[_Walking]()
    for mark in marks:
        if not walks or walks[-1].epoch != mark.epoch:
            walks.append(_Walking(mark.plan, mark.epoch))
        _read(mark, walks)
    if not walks or walks[-1].epoch != work.epoch:
        walks.append(_Walking(work.plan, work.epoch, _why(work)))
    present = walks[-1]
    if work.due_at is not None:
        present.done = work.step
    elif not present.tries:
        present.done = present.last + 1
    return tuple(one.walk(is_present=one is present) for one in walks)


def _why(work: Work) -> str | None:
    return None if work.failure is None else work.failure[1]


def _read(mark: Mark, walks: list[_Walking]) -> None:
    walking = walks[-1]
    match mark.what:
        case What.DONE | What.DIES:
            walking.finish(mark.step, _try(mark, DONE))
        case What.LATER | What.RETRY | What.FAILED:
            walking.done = mark.step
            walking.add(mark.step, _try(mark, _OUTCOMES[mark.what]))
            walking.failed = mark.what is What.FAILED
        case What.TAKEN:
            walking.add(min(walking.done, walking.last), _try(mark, TAKEN_OVER))
        case What.ORDERED if walking.done <= walking.last and walking.tries:
            walking.add(walking.done, _try(mark, GIVEN_UP))
    if mark.to:
        walks.append(_Walking(mark.to, mark.epoch + 1, mark.why or None))


def _try(mark: Mark, outcome: str) -> Try:
    is_dying = mark.what is What.DIES
    return Try(
        moment_of(mark.at_ms * 1_000),
        outcome,
        mark.node,
        mark.generation,
        None if is_dying else mark.why or None,
        _until(mark.until_ms),
        mark.left_by or None,
    )


def _until(until_ms: int | None) -> datetime | None:
    return None if until_ms is None else moment_of(until_ms * 1_000)
