"""Client tokens: those that are retained. `operate.story` tells what each did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sametoken.idempotency import entries
from sametoken.idempotency.entries import Listed
from sametoken.idempotency.ledger import OutcomeState
from sametoken.operate.opened import Opened
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import Kept, TokenKey
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store.port import Tx
from sametoken.store.reading import Reads


@dataclass(frozen=True, slots=True)
class Token:
    """A client token that is retained, until `expires_at`; None while a resource of it lives.

    `attempts` counts its requests, as far as they are written down.
    """

    claimed_at: datetime
    account: str
    region: str
    action: str
    client_token: str
    attempts: int
    expires_at: datetime | None


def newest(here: Opened[Reads], *, account: str | None, limit: int) -> list[Token]:
    """The newest tokens that callers sent, `limit` at most, of one account or (None) of all."""

    def read(tx: Tx) -> list[Token]:
        rows = entries.list_entries(tx, account=account, hidden=INTERNAL_ACCOUNT, limit=limit)
        kept = attempts.of(tx, [_key(row) for row in rows])
        return [
            Token(
                row.claimed_at, row.account, row.region, row.action, row.client_token,
                _count(row, kept.get(_key(row), Kept())), row.expires_at,
            )
            for row in rows
        ]  # fmt: skip

    return here.store.read(read)


def _key(row: Listed) -> TokenKey:
    return TokenKey(row.client_token, row.account, row.region, row.action)


def _count(row: Listed, kept: Kept) -> int:
    """Count the request that made what the token names, and those that made nothing."""
    made = 1 if row.state == OutcomeState.SETTLED else 0
    return max(1, made + kept.repeats)
