"""Decide what a call with a token must do, and define the values that the decision needs. Pure.

An *entry* is the row that a (scope, client token) claims. It holds an *outcome* for each zone if
the API is zonal, otherwise a single outcome under the zone "". An outcome is *settled* (resources
were made, and it names them) or *failed* (a capacity failure: no resource was made, but the token
is bound to its parameters). No clock, no I/O, no logging in this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sametoken.errors import IdempotentParameterMismatch, Misconfigured
from sametoken.idempotency.fingerprint import (
    Fingerprint,
    Rules,
    differing_fields,
    fingerprint,
    id_of_key,
)

# EC2's documented figure: "valid for at least 24 hours after the termination of the instance".
RETENTION = timedelta(hours=24)

# The zone of an outcome whose request named no zone.
REGIONAL = ""

Identities = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """The owner and the use of a token: equal tokens in two scopes are unrelated (promise P10)."""

    account: str
    region: str
    action: str


@dataclass(frozen=True, slots=True)
class Call:
    """A create request. `client_token` None means that the caller asked for no protection.

    `parameters` is the request as sent. `rules` are all versions of its action's rules, the current
    one last: an entry is always compared by the version it was written with, so that an upgrade
    never makes an honest retry mismatch. `request_id` identifies the attempt to people, `origin`
    says where it came from: both are kept with its outcome, and not looked at.
    """

    scope: Scope
    client_token: str | None
    parameters: Mapping[str, Any]
    rules: Sequence[Rules] = (Rules(),)
    zone: str = REGIONAL
    request_id: str = ""
    origin: str | None = None

    def fingerprint(self, key: bytes, version: int | None = None) -> Fingerprint:
        """Make the fingerprint by the current rules, or by those of `version`, which must exist."""
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
    """The result of the token in one zone. `identities` is None exactly when it failed.

    `request_id` and `origin` are those of the call that led to it; `recorded_at` is None until it
    is stored.
    """

    zone: str
    state: OutcomeState
    fingerprint: Fingerprint
    identities: Identities | None
    request_id: str
    origin: str | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A claimed token, with its row locked. `fresh`: this very transaction claimed it.

    `first_zone` is the zone of its first outcome; None if it has none yet.
    """

    id: int
    scope: Scope
    client_token: str
    fresh: bool
    outcomes: tuple[Outcome, ...] = ()
    first_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Perform:
    """Perform, in `zone`: the token is new there, or a failure bound it to these parameters."""

    zone: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Replay: the call was performed before, so answer from these identities."""

    identities: Identities


def decide(call: Call, entry: Entry, key: bytes) -> Perform | Replay:
    """Decide what a call whose token led to `entry` must do.

    Outcomes are first compared by parameters, without the zone: a retry must not fail because the
    subnet that told its zone is gone. Otherwise a zonal call may act in a zone that is new to the
    token, unless the token has a Regional outcome. Any other call is another intent.

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
    """List the paths where the call's parameters differ from those of `outcome`.

    Raises `Misconfigured` if the digests of `outcome` were made with another key: they tell nothing
    then, and a mismatch would tell an honest caller to use a new token.
    """
    kept = outcome.fingerprint
    if kept.key_id not in (None, id_of_key(key)):
        raise Misconfigured(
            f"an entry has digests of the key {kept.key_id}, and this engine has the key "
            f"{id_of_key(key)}. Give the engine the key that it had."
        )
    return differing_fields(call.fingerprint(key, kept.rules_version).digests, kept.digests)


def _nearest_differences(call: Call, entry: Entry, key: bytes) -> tuple[str, ...]:
    """List the differences from the outcome in the call's zone, else from the most similar one."""
    own = [outcome for outcome in entry.outcomes if outcome.zone == call.zone]
    return min((differences(call, outcome, key) for outcome in own or entry.outcomes), key=len)


class Attempt(StrEnum):
    """The result of one request under a token, for `tokens explain`."""

    NEW = "new"
    REPLAY = "replay"
    MISMATCH = "mismatch"
    FAILED = "failed"
