"""Client tokens: what each did, and why a repeat was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sametoken.errors import Misconfigured
from sametoken.idempotency import entries
from sametoken.idempotency.ledger import Attempt, Entry, Outcome, OutcomeState, Scope
from sametoken.operate.opened import Opened
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store.port import Tx
from sametoken.store.reading import Reads


@dataclass(frozen=True, slots=True)
class Token:
    """A client token that is retained, until `expires_at`; None while a resource of it lives."""

    claimed_at: datetime
    account: str
    region: str
    action: str
    client_token: str
    attempts: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Try:
    """A request with the token: its number, its outcome, the fields that differed.

    `request_id` is None of a first attempt whose failure a later one has made good.
    """

    number: int
    made_at: datetime
    attempt: str
    differing: Sequence[str]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """The story of a token in a scope: its outcome in each zone, and the attempts still kept.

    The first attempt is always among them.
    """

    client_token: str
    scope: Scope
    outcomes: Sequence[Outcome]
    attempts: Sequence[Try]


def newest(here: Opened[Reads], *, account: str | None, limit: int) -> list[Token]:
    """The newest tokens that callers sent, `limit` at most, of one account or (None) of all."""
    rows = here.store.read(
        lambda tx: entries.list_entries(tx, account=account, hidden=INTERNAL_ACCOUNT, limit=limit)
    )
    return [
        Token(
            row.claimed_at, row.account, row.region, row.action, row.client_token,
            row.attempts, row.expires_at,
        )
        for row in rows
    ]  # fmt: skip


def explain(here: Opened[Reads], client_token: str, *, account: str | None) -> list[Story]:
    """The stories of a token, one for each scope, of one account or (None) of all.

    Raises `Misconfigured` when no request with the token is retained.
    """

    def read(tx: Tx) -> list[Story]:
        return [
            _story(tx, entry)
            for entry in entries.find_everywhere(tx, client_token)
            if account in (None, entry.scope.account)
        ]

    found = here.store.read(read)
    if not found:
        whose = "" if account is None else f" of account {account}"
        raise Misconfigured(
            f"no request{whose} with the token {client_token!r} is retained; `sametoken tokens "
            "list` shows those that are"
        )
    return found


def _story(tx: Tx, entry: Entry) -> Story:
    repeats = [
        Try(row.number, row.made_at, row.attempt, row.fields, row.request_id)
        for row in entries.read_attempts(tx, entry)
    ]
    first = _first(entry.outcomes, entries.claimed_at(tx, entry))
    return Story(entry.client_token, entry.scope, entry.outcomes, [first, *repeats])


def _first(outcomes: Sequence[Outcome], claimed_at: datetime) -> Try:
    """The attempt that claimed the token: its outcome was recorded in the same transaction.

    Only a failure makes room for another outcome in its place.
    """
    for one in outcomes:
        if one.recorded_at == claimed_at:
            settled = one.state is OutcomeState.SETTLED
            attempt = Attempt.NEW if settled else Attempt.FAILED
            return Try(1, claimed_at, attempt.value, (), one.request_id)
    return Try(1, claimed_at, Attempt.FAILED.value, (), None)
