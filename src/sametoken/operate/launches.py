"""Launches, and what else is done to instances step by step: those that are under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sametoken.operate.opened import Opened
from sametoken.store.reading import Reads
from sametoken.workflow import work
from sametoken.workflow.work import Work


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


def under_way(here: Opened[Reads], *, limit: int) -> list[UnderWay]:
    """List what is under way in all accounts, `limit` at most; what is due first comes first."""
    return [_told(one) for one in here.store.read(lambda tx: work.under_way(tx, limit))]


def _told(one: Work) -> UnderWay:
    assert one.due_at is not None, "it is not done"
    return UnderWay(
        one.instance, one.account, one.region, one.zone, one.plan, one.next_step().name,
        one.attempt + 1, one.due_at, one.owner, None if one.failure is None else one.failure[1],
    )  # fmt: skip
