"""Stories as lines of text: attempts, steps and resources, in the order in which things happened.

A line has what belongs together, and is as long as that is: ids and tokens are never cut, so that
they can be given to another command. No colours and no cursor movements.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sametoken.cli.tables import visible
from sametoken.operate.story.model import (
    FAILURES,
    Attempt,
    Bound,
    Difference,
    Launch,
    Resource,
    Step,
    Story,
    Try,
)


def story_lines(story: Story) -> list[str]:
    """Return the lines of a story, without an end of line."""
    return list(_lines(story))


def _lines(story: Story) -> Iterator[str]:
    token = "no token" if story.client_token is None else visible(story.client_token)
    yield f"{token}: {story.action} of {story.account} in {story.region}"
    yield f"  {story.verdict}: {story.said}"
    for bound in story.bound:
        yield from _bound_lines(bound)
    if story.attempts:
        yield "  attempts"
    number = 0
    for attempt in story.attempts:
        if attempt.number > number + 1:
            yield f"    … {attempt.number - number - 1} more were counted, and not kept"
        number = attempt.number
        yield f"    {moment(attempt.made_at)} {attempt_line(attempt)}"
        yield from (f"      {_difference(one)}" for one in attempt.differing)
    for launch in story.launches:
        yield from _launch_lines(launch)
    if story.resources:
        yield "  resources"
    for resource in story.resources:
        yield f"    {_resource_line(resource)}"
    for sentence in story.unknown:
        yield f"  not known: {sentence}"


def _bound_lines(bound: Bound) -> Iterator[str]:
    where = bound.zone or "the Region"
    yield f"  {bound.state} in {where} at {moment(bound.recorded_at)} by request {bound.request_id}"
    for name, value in bound.made.items():
        yield f"    made {name}: {visible(_listed(value))}"
    for path, value in bound.asked.items():
        yield f"    asked {visible(path)} = {visible(value)}"
    if bound.hidden:
        yield f"    asked, kept as digests only: {visible(', '.join(bound.hidden))}"


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def attempt_line(one: Attempt) -> str:
    """Return an attempt as one line, without its moment."""
    parts = [f"attempt {one.number}: {one.outcome}"]
    if one.status:
        parts.append(f"{one.status} {visible(one.code)}" if one.code else str(one.status))
    if not one.heard:
        parts.append("no reply reached the caller")
    if one.faults:
        parts.append(f"fault {visible(', '.join(one.faults))}")
    if one.seconds is not None:
        parts.append(f"{one.seconds * 1000:.0f} ms")
    if one.node is not None:
        parts.append(f"node {one.node}")
    if one.request_id is not None:
        parts.append(f"request {one.request_id}")
    if one.invocation is not None:
        counted = (
            "" if one.invocation_attempt is None else f", its attempt {one.invocation_attempt}"
        )
        parts.append(f"invocation {visible(one.invocation)}{counted}")
    return ", ".join(parts)


def _difference(one: Difference) -> str:
    if one.hidden:
        return f"differs in {visible(one.path)}, whose values are not kept"
    bound, sent = (
        "nothing" if value is None else visible(value) for value in (one.bound, one.sent)
    )
    return f"differs in {visible(one.path)}: {bound} was asked first, {sent} now"


def _launch_lines(launch: Launch) -> Iterator[str]:
    yield f"  steps of {launch.instance} ({launch.instance_type}, {launch.zone}): {launch.state}"
    if launch.left_out:
        yield f"    … {launch.left_out} tries between are counted, and not kept"
    for walk in launch.walks:
        why = "" if walk.why is None else f", because of {visible(walk.why)}"
        yield f"    {walk.plan}{why}"
        for step in walk.steps:
            yield from _step_lines(step)
    if launch.due_at is not None:
        held = "" if launch.owner is None else f", held by {launch.owner}"
        yield f"    goes on at {moment(launch.due_at)}{held}"


def _step_lines(step: Step) -> Iterator[str]:
    if not step.tries:
        yield f"      {step.name}: {step.state}"
    yield from (f"      {moment(at)} {step.name}: {line}" for at, line in try_lines(step))


def try_lines(step: Step) -> Iterator[tuple[datetime, str]]:
    """Yield the tries of a step with their moments, each as one line."""
    number = 1
    for one in step.tries:
        yield one.at, _try_line(one, number)
        number += one.outcome in FAILURES


def _try_line(one: Try, number: int) -> str:
    parts = [f"try {number} {one.outcome}"]
    if one.left_by is not None:
        parts = [f"taken over from {one.left_by}, whose lease had ended"]
    if one.error is not None:
        parts.append(visible(one.error))
    if one.until is not None:
        parts.append(f"again at {moment(one.until)}")
    if one.node:
        parts.append(f"by {one.node}, lease {one.generation}")
    return ", ".join(parts)


def _resource_line(one: Resource) -> str:
    parts = [f"{one.id} ({one.kind}): {one.state or 'nothing is kept of it any more'}"]
    if one.ended_at is not None:
        cause = one.moves[-1].cause if one.moves else ""
        parts.append(f"ended at {moment(one.ended_at)}, {visible(one.reason or cause)}")
    return ", ".join(parts)


def moment(found: datetime) -> str:
    """Return a moment to the millisecond, in UTC."""
    return f"{found:%F %T}.{found.microsecond // 1000:03}"
