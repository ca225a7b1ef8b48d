"""The shape of a story: what became of a token, a launch, or both. Values only, no I/O.

A command prints it, a console draws it, `as_json` writes it for programs. All times are moments of
the store's clock. Texts that callers chose (tokens, invocation ids, values) are as they were sent:
whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

# Outcomes of a try that is followed by the next one of its step, or by another plan.
FAILURES = ("retry", "failed")


class Verdict(StrEnum):
    """The end of a story so far.

    REFUSED: no request made anything. MADE: something was made at once, and lives. LAUNCHING: steps
    are being taken. RUNNING: a launch has arrived, or is on its way between its later states.
    FAILED: a launch was unwound, or ended for a cause of the cloud's own. ENDED: all that was made
    has ended because a caller asked for it.
    """

    REFUSED = "refused"
    MADE = "made"
    LAUNCHING = "launching"
    RUNNING = "running"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter that differs between a repeat and the request that bound the token.

    Values are JSON texts, None where none was sent. A `hidden` parameter has none, although it was
    sent: secrets, and texts of more than 64 characters, have digests alone.
    """

    path: str
    bound: str | None
    sent: str | None
    hidden: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request of a caller under the token. A member is None where it is not known.

    `outcome`: `new` made what the token names, `replay` was answered from it, `mismatch` had other
    parameters, `failed` met a lack of capacity, which binds the token, `refused` met any other
    error, `lost` never arrived because of a fault, `gone` was given up by its caller, `undone` was
    answered as new and then undone by a failover, `unknown` claimed the token and is not kept.
    `status` is 0 where no reply was sent, and not `heard` is one whose reply a fault kept back.
    `faults` are the rules that struck it. `seconds` went by until the reply left; of an attempt
    that only the entry tells of (`is_whole` is False), until its transaction began.
    """

    number: int
    made_at: datetime
    outcome: str
    status: int | None
    code: str | None
    seconds: float | None
    node: str | None
    request_id: str | None
    invocation: str | None
    invocation_attempt: int | None
    heard: bool
    faults: tuple[str, ...]
    differing: tuple[Difference, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """An outcome that the token is bound to, in a zone, or in its Region where `zone` is "".

    `made` names what the answers of all repeats are rendered from; `asked` has the parameters by
    path, `hidden` the paths whose values are kept as digests alone.
    """

    zone: str
    state: str
    recorded_at: datetime
    request_id: str
    made: Mapping[str, Any]
    asked: Mapping[str, str]
    hidden: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Try:
    """A call of a step. `generation` is that of the lease under which it was made, on `node`.

    `outcome`: `done`, `later` (on its way, asked again at `until`), `retry` (failed for now, tried
    again at `until`), `failed` (for good), `given up` (a caller, or a death, began another plan),
    or `taken over`: the lease of `left_by` ran out, and `node` took the work. `error` says why, in
    the words of whoever refused; a fault that was the cause is named in it.
    """

    at: datetime
    outcome: str
    node: str
    generation: int
    error: str | None
    until: datetime | None
    left_by: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan, with its tries. `state`: `done`, `under way`, `failed` or `not begun`."""

    name: str
    state: str
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A plan that an instance went through: `launch`, or `terminate`, which unwinds a launch.

    `why` is the error for which it took the place of the plan before it; None for a caller's order.
    """

    plan: str
    epoch: int
    why: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """The steps of an instance, in the order of its plans. The last walk is the present one.

    `due_at` is None when there is nothing left to do; `owner` is the node that holds the lease.
    `left_out` counts tries between the first and the last ones, which alone are kept.
    """

    instance: str
    zone: str
    instance_type: str
    state: str
    due_at: datetime | None
    deadline_at: datetime | None
    owner: str | None
    generation: int
    walks: tuple[Walk, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a resource's state. `cause` is who or what made it."""

    at: datetime
    before: str
    after: str
    cause: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that was made, and what became of it. `state` is None once nothing is kept of it.

    `launched_for` is the instance whose launch made it. `reason` is the state's reason, as EC2
    shows it.
    """

    id: str
    kind: str
    state: str | None
    created_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    launched_for: str | None
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The story of a token in a scope; `client_token` is None of a launch that had none.

    `said` is the verdict as a sentence. `attempts` has the first and the last ones, `left_out`
    counts those between. `unknown` has sentences on what cannot be known. `claimed_at` is None if
    no request bound the token; `kept_until` is None while a resource holds it.
    """

    told_at: datetime
    account: str
    region: str
    action: str
    client_token: str | None
    verdict: Verdict
    said: str
    claimed_at: datetime | None
    kept_until: datetime | None
    bound: tuple[Bound, ...]
    attempts: tuple[Attempt, ...]
    left_out: int
    launches: tuple[Launch, ...]
    resources: tuple[Resource, ...]
    unknown: tuple[str, ...]

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing is left to be done for it."""
        return all(one.due_at is None for one in self.launches)


def as_json(story: Story) -> dict[str, Any]:
    """Return the story as JSON has it: moments as ISO texts, enumerations as their values."""
    found: dict[str, Any] = msgspec.to_builtins(story)
    return found


def from_json(told: Mapping[str, Any]) -> Story:
    """Return the story that `as_json` wrote."""
    return msgspec.convert(told, Story)
