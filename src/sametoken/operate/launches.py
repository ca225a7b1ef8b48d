"""Launches, and what else is done to instances step by step: what is under way, what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sametoken.idempotency import entries
from sametoken.idempotency.entries import Listed
from sametoken.operate.opened import Opened
from sametoken.services.steps import INTERNAL_ACCOUNT
from sametoken.store.port import Tx
from sametoken.store.reading import Reads
from sametoken.workflow import work
from sametoken.workflow.work import Work

_ACTION = "RunInstances"
# Tokens of any action among which launches are looked for: a list of them all would take long.
_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An instance whose plan is not done: the step that is next, and which try of it is.

    `owner` is the node that holds it, None while nobody does; `why` is the error for which it is
    unwound.
    """

    instance: str
    account: str
    region: str
    zone: str
    plan: str
    step: str
    attempt: int
    due_at: datetime
    owner: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Launches:
    """Launches of all accounts: what is under way, by when it is due, and the newest ones.

    Of these the tokens are told that they were asked for with.
    """

    under_way: Sequence[UnderWay]
    newest: Sequence[Listed]


def look(here: Opened[Reads], *, limit: int) -> Launches:
    """Look at launches: at most `limit` of either kind."""
    return here.store.read(lambda tx: Launches(_under_way(tx, limit), _newest(tx)[:limit]))


def _under_way(tx: Tx, limit: int) -> list[UnderWay]:
    return [_told(one) for one in work.under_way(tx, limit)]


def _newest(tx: Tx) -> list[Listed]:
    found = entries.list_entries(tx, account=None, hidden=INTERNAL_ACCOUNT, limit=_LOOKED_AT)
    return [one for one in found if one.action == _ACTION]


def _told(one: Work) -> UnderWay:
    assert one.due_at is not None, "it is not done"
    return UnderWay(
        one.instance, one.account, one.region, one.zone, one.plan, one.next_step().name,
        one.attempt + 1, one.due_at, one.owner, None if one.failure is None else one.failure[1],
    )  # fmt: skip
