"""What a token-bearing call must do, decided purely, and the values that it is decided from.

An *entry* is the row that one (scope, client token) claims. It holds one *outcome* for each zone
where the API is zonal, and one under "" where it is not. An outcome is *settled* (resources were
made, and are named) or *failed* (a capacity failure: nothing was made, but the token is bound to
its parameters). No clock, no I/O, no logging in this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sametoken.errors import IdempotentParameterMismatch
from sametoken.idempotency.fingerprint import Fingerprint, Rules, differing_fields, fingerprint

# EC2's documented figure: "valid for at least 24 hours after the termination of the instance".
RETENTION = timedelta(hours=24)

# The zone of an outcome whose request named none.
REGIONAL = ""

Identities = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose token it is, and for what: tokens of different scopes never meet (promise P10)."""

    account: str
    region: str
    action: str


@dataclass(frozen=True, slots=True)
class Call:
    """One create request. `client_token` None means that the caller asked for no protection.

    `parameters` is the request as sent. `rules` are all the versions of its action's rules, the
    current one last: an entry is always compared by the version it was written with, so that an
    upgrade never makes an honest retry mismatch. `request_id` names the attempt for people.
    """

    scope: Scope
    client_token: str | None
    parameters: Mapping[str, Any]
    rules: Sequence[Rules] = (Rules(),)
    zone: str = REGIONAL
    request_id: str = ""

    def fingerprint(self, key: bytes, version: int | None = None) -> Fingerprint:
        """By the current rules, or by those of `version`. Each version is kept for good."""
        if version is None:
            return fingerprint(self.parameters, self.rules[-1], key)
        for rules in self.rules:
            if rules.version == version:
                return fingerprint(self.parameters, rules, key)
        raise AssertionError(f"{self.scope.action}: no rules of version {version} any more")


class OutcomeState(StrEnum):
    SETTLED = "settled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the token did in one zone. `identities` is None exactly when it failed.

    `request_id` and `recorded_at` (None until it is kept) say which request did it, and when.
    """

    zone: str
    state: OutcomeState
    fingerprint: Fingerprint
    identities: Identities | None
    request_id: str
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A claimed token, its row locked. `fresh` means this transaction claimed it just now."""

    id: int
    scope: Scope
    client_token: str
    fresh: bool
    outcomes: tuple[Outcome, ...] = ()
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Perform:
    """Do it, for `zone`: the token is new there, or a failure bound it to these parameters."""

    zone: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Done already: answer from these identities."""

    identities: Identities


def decide(call: Call, entry: Entry, key: bytes) -> Perform | Replay:
    """Say what a call whose token led to `entry` must do.

    An outcome with equal parameters replays first and needs no zone: a retry must not fail
    because the subnet that once told its zone is gone. Else a zonal call may open a zone of its
    own, unless the token has acted Regionally. Everything else is another intent.

    Raises `IdempotentParameterMismatch`.
    """
    assert entry.client_token == call.client_token, "the ledger answered for another token"
    assert entry.scope == call.scope, "the ledger answered for another scope"
    for outcome in entry.outcomes:
        if not differences(call, outcome, key):
            if outcome.state is OutcomeState.FAILED:
                return Perform(outcome.zone)
            assert outcome.identities is not None, "a settled outcome names what it made"
            return Replay(outcome.identities)
    zones = {outcome.zone for outcome in entry.outcomes}
    if not zones or (call.zone != REGIONAL and not zones & {call.zone, REGIONAL}):
        return Perform(call.zone)
    raise IdempotentParameterMismatch(entry.client_token, _nearest_differences(call, entry, key))


def differences(call: Call, outcome: Outcome, key: bytes) -> tuple[str, ...]:
    """The paths of what was sent now and differs from what `outcome` was made of."""
    kept = outcome.fingerprint
    return differing_fields(call.fingerprint(key, kept.rules_version).digests, kept.digests)


def _nearest_differences(call: Call, entry: Entry, key: bytes) -> tuple[str, ...]:
    """What differs from the outcome of the call's own zone, else from the most similar one."""
    own = [outcome for outcome in entry.outcomes if outcome.zone == call.zone]
    return min((differences(call, outcome, key) for outcome in own or entry.outcomes), key=len)


class Attempt(StrEnum):
    """What one request under a token came to, for `tokens explain`."""

    NEW = "new"
    REPLAY = "replay"
    MISMATCH = "mismatch"
    FAILED = "failed"


def expires_at(now: datetime) -> datetime:
    """When an entry that nothing keeps alive any more is forgotten."""
    return now + RETENTION
