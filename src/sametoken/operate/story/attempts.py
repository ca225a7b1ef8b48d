"""The attempts of a story, put together from the token's entry and from what was written of others.

Whether an attempt made something is told by the entry alone: its outcome was committed with it. All
else that is known of an attempt was written later, by the node that answered it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sametoken.idempotency import Attempt as Result
from sametoken.idempotency.entries import Repeat
from sametoken.idempotency.ledger import Outcome, OutcomeState
from sametoken.operate.story.model import Attempt, Difference
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import Kept
from sametoken.resources.kit.moments import moment_of
from sametoken.store.codec import loads

UNKNOWN, UNDONE = "unknown", "undone"
_DONE = 200
# Longer than any attempt waits to be written down.
WRITTEN_WITHIN = timedelta(seconds=5)


def told(
    outcomes: Sequence[Outcome],
    repeats: Sequence[Repeat],
    kept: Kept,
    claimed_at: datetime | None,
    now: datetime,
) -> list[Attempt]:
    """Return the attempts that are known, numbered in the order in which they came.

    `repeats` are those that an earlier version noted with the entry. The request that claimed the
    token is UNKNOWN if it should have been written down by now, and is not.
    """
    settled = {one.request_id for one in outcomes if one.state is OutcomeState.SETTLED}
    found = {one.request_id: _written(one, settled, outcomes) for one in (*kept.first, *kept.last)}
    for outcome in outcomes:
        if outcome.request_id not in found:
            found[outcome.request_id] = _of_outcome(outcome)
    for repeat in repeats:
        if repeat.request_id not in found:
            found[repeat.request_id] = _noted(repeat)
    every = list(found.values())
    known = claimed_at is None or _knows_claim(every, outcomes, claimed_at)
    if not known and claimed_at is not None and claimed_at + WRITTEN_WITHIN < now:
        every.append(_blank(claimed_at, UNKNOWN))
    every.sort(key=lambda one: one.made_at)
    return [replace(one, number=number) for number, one in _numbered(every, kept)]


def _numbered(every: Sequence[Attempt], kept: Kept) -> list[tuple[int, Attempt]]:
    """Number the attempts, past those that were left out between the first and the last."""
    resumes = kept.last[0].request_id if kept.left_out and kept.last else None
    number, found = 0, []
    for one in every:
        if one.request_id is not None and one.request_id == resumes:
            number += kept.left_out
        number += 1
        found.append((number, one))
    return found


def _written(one: attempts.Attempt, settled: set[str], outcomes: Sequence[Outcome]) -> Attempt:
    outcome = one.outcome
    if one.request_id in settled:
        outcome = Result.NEW.value
    elif outcome == Result.NEW:
        outcome = UNDONE
    code = None if one.code == "-" else one.code
    return Attempt(
        0,
        moment_of(one.received_us),
        outcome,
        one.status,
        code,
        None if one.took_us is None else one.took_us / 1e6,
        one.node,
        one.request_id,
        one.invocation,
        one.number,
        one.heard,
        tuple(one.faults),
        _differing(one.sent, outcomes),
        is_whole=True,
    )


def _differing(
    sent: Mapping[str, str | None], outcomes: Sequence[Outcome]
) -> tuple[Difference, ...]:
    return tuple(_difference(path, value, outcomes) for path, value in sent.items())


def _difference(path: str, sent: str | None, outcomes: Sequence[Outcome]) -> Difference:
    prints = [one.fingerprint for one in outcomes if path in one.fingerprint.digests]
    bound = next((one.plain[path] for one in prints if path in one.plain), None)
    hidden = sent is None or (bound is None and bool(prints))
    if hidden:
        return Difference(path, None, None, hidden=True)
    return Difference(path, bound, sent or None, hidden=False)


def _of_outcome(outcome: Outcome) -> Attempt:
    """Return the attempt that an outcome tells of, with where it came from."""
    assert outcome.recorded_at is not None, "it was read"
    result = Result.NEW if outcome.state is OutcomeState.SETTLED else Result.FAILED
    blank = replace(_blank(outcome.recorded_at, result.value), request_id=outcome.request_id)
    if result is Result.NEW:
        blank = replace(blank, status=_DONE)
    if outcome.origin is None:
        return blank
    node, received_us, invocation, number = loads(outcome.origin)
    one = replace(blank, node=node, invocation=invocation, invocation_attempt=number)
    if not received_us:
        return one
    received_at = moment_of(received_us)
    seconds = max(0.0, (outcome.recorded_at - received_at).total_seconds())
    return replace(one, made_at=min(received_at, outcome.recorded_at), seconds=seconds)


def _noted(repeat: Repeat) -> Attempt:
    differing = tuple(Difference(path, None, None, hidden=True) for path in repeat.fields)
    blank = _blank(repeat.made_at, repeat.attempt)
    return replace(blank, request_id=repeat.request_id, differing=differing)


def _blank(made_at: datetime, outcome: str) -> Attempt:
    return Attempt(
        0, made_at, outcome, None, None, None, None, None, None, None, True, (), (), is_whole=False
    )


def _knows_claim(
    every: Sequence[Attempt], outcomes: Sequence[Outcome], claimed_at: datetime
) -> bool:
    """Tell whether the request that claimed the token is among the attempts."""
    if any(one.recorded_at == claimed_at for one in outcomes):
        return True
    return any(one.made_at <= claimed_at and one.outcome == Result.FAILED for one in every)
