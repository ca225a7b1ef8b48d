"""Launches: what nodes do for instances now, instances that they are done with, newest tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sametoken.idempotency import entries
from sametoken.idempotency.entries import Listed
from sametoken.operate.opened import Opened
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store.port import Tx
from sametoken.store.reading import Reads
from sametoken.workflow import work
from sametoken.workflow.work import Work

_ACTION = "RunInstances"
# Tokens of any action among which launches are looked for: a list of them all would take long.
_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Launched:
    """An instance and its work: at which try of which step of which plan, until what is due.

    `step` and `due_at` are None when there is nothing to do; `owner` is the node with the lease.
    `failure` is the error for which it is, or was, unwound.
    """

    instance: str
    account: str
    region: str
    zone: str
    state: str
    client_token: str | None
    created_at: datetime | None
    plan: str
    step: str | None
    attempt: int | None
    due_at: datetime | None
    owner: str | None
    failure: str | None


def under_way(here: Opened[Reads], *, account: str | None, limit: int) -> list[Launched]:
    """List the instances for which something is to be done, `limit` at most; due first first."""
    return here.store.read(lambda tx: _under_way(tx, account, limit))


def look(here: Opened[Reads], *, limit: int) -> tuple[list[Launched], list[Listed]]:
    """List what is under way, and the newest tokens of launches, of all accounts, in one read."""
    return here.store.read(lambda tx: (_under_way(tx, None, limit), _newest(tx)[:limit]))


def _under_way(tx: Tx, account: str | None, limit: int) -> list[Launched]:
    works = work.under_way(tx, limit, account)
    found = rows.by_ids(tx, [one.instance for one in works])
    return [_launched(one, found.get(one.instance)) for one in works]


def _newest(tx: Tx) -> list[Listed]:
    found = entries.list_entries(tx, account=None, hidden=INTERNAL_ACCOUNT, limit=_LOOKED_AT)
    return [one for one in found if one.action == _ACTION]


def of_account(here: Opened[Reads], account: str) -> list[Launched]:
    """List all instances of an account that are kept, the newest first, ended ones too."""

    def read(tx: Tx) -> list[Launched]:
        works = work.of_account(tx, account)
        found = rows.by_ids(tx, [one.instance for one in works])
        listed = [_launched(one, found.get(one.instance)) for one in works]
        return sorted(listed, key=_age, reverse=True)

    return here.store.read(read)


def _age(one: Launched) -> tuple[bool, datetime | None]:
    return one.created_at is not None, one.created_at


def _launched(one: Work, row: Row | None) -> Launched:
    is_due = one.due_at is not None
    return Launched(
        one.instance,
        one.account,
        one.region,
        one.zone,
        "gone" if row is None else row.state,
        None if row is None else row.client_token,
        None if row is None else row.created_at,
        one.plan,
        one.next_step().name if is_due else None,
        one.attempt + 1 if is_due else None,
        one.due_at,
        one.owner,
        None if one.failure is None else one.failure[1],
    )
