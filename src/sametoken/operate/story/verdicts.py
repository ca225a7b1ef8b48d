"""Verdicts: the end of a story so far, as a word and as a sentence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sametoken.idempotency.ledger import Outcome
from sametoken.operate.story.model import FAILURES, Attempt, Launch, Resource, Step, Verdict, Walk
from sametoken.operate.story.steps import FAILED

_GONE = ("terminated", "gone")


def of(
    outcomes: Sequence[Outcome],
    attempts: Sequence[Attempt],
    launches: Sequence[Launch],
    resources: Sequence[Resource],
) -> tuple[Verdict, str]:
    """Return the verdict on a token, or on a launch that had none, and what is said of it."""
    if launches:
        return _of_launches(launches, resources)
    if any(one.identities is not None for one in outcomes) or resources:
        return _of_resources(resources)
    if outcomes:
        return Verdict.REFUSED, f"{_refused(attempts)} The token is bound to its parameters."
    return Verdict.REFUSED, f"{_refused(attempts)} The token is free."


def _refused(attempts: Sequence[Attempt]) -> str:
    codes = Counter(one.code for one in attempts if one.code is not None)
    told = ", ".join(f"{code} {_times(count)}" for code, count in codes.items())
    return f"Nothing was made: {told}." if told else "Nothing was made."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _of_resources(resources: Sequence[Resource]) -> tuple[Verdict, str]:
    living = [one for one in resources if one.ended_at is None and one.state is not None]
    if resources and not living:
        last = max((one.ended_at for one in resources if one.ended_at is not None), default=None)
        when = "" if last is None else f" at {last:%F %T}"
        return Verdict.ENDED, f"All that was made has ended{when}."
    return Verdict.MADE, "Made by one transaction, and answered alike ever since."


def _of_launches(launches: Sequence[Launch], resources: Sequence[Resource]) -> tuple[Verdict, str]:
    failed = [one for one in launches if failure_of(one) is not None]
    launching = [one for one in launches if _is_launching(one)]
    living = [one for one in launches if one.state not in _GONE]
    if failed:
        return Verdict.FAILED, " ".join(_failed(one) for one in failed)
    if launching:
        return Verdict.LAUNCHING, " ".join(_launching(one) for one in launching)
    if not living:
        return _of_resources([one for one in resources if one.launched_for is None])
    return Verdict.RUNNING, " ".join(f"{one.instance} is {one.state}." for one in launches)


def failure_of(launch: Launch) -> Walk | None:
    """Return the walk that took the place of the plan that failed; None if nothing did."""
    found = None
    for walk in launch.walks:
        if walk.why is not None:
            found = walk
        elif walk.plan in ("launch", "start"):
            # A caller has begun anew.
            found = None
    return found


def _is_launching(launch: Launch) -> bool:
    present = launch.walks[-1]
    return launch.due_at is not None and present.plan in ("launch", "start")


def _failed(launch: Launch) -> str:
    """Say at which step and try a launch failed, why, and what became of it."""
    walk = failure_of(launch)
    assert walk is not None, "it failed"
    before = next((one for one in launch.walks if one.epoch + 1 == walk.epoch), None)
    where = f"{launch.instance} failed"
    for step in () if before is None else before.steps:
        if step.state == FAILED:
            where = f"{launch.instance} failed at {step.name}, try {_failures(step)}"
    way = "is being unwound" if launch.due_at is not None else f"is {launch.state}"
    return f"{where} ({walk.why}), and {way}."


def _failures(step: Step) -> int:
    return sum(one.outcome in FAILURES for one in step.tries)


def _launching(launch: Launch) -> str:
    present = launch.walks[-1]
    step = next((one for one in present.steps if one.state == "under way"), None)
    at = present.plan if step is None else f"{step.name}, try {_failures(step) + 1}"
    return f"{launch.instance} is {launch.state}, at {at}."
