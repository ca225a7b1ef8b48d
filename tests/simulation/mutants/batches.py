"""Bugs of driving many launches at a time: mates, turns, acknowledgements, refusals for lag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.ec2.compute import launch
from sametoken.ec2.kit.request import Request
from sametoken.errors import ServiceError, Transient
from sametoken.services import steps
from sametoken.store.port import Tx
from sametoken.workflow import runner, turns
from sametoken.workflow.batches import act_together
from sametoken.workflow.ports import Done
from sametoken.workflow.work import WORK, Work, find
from sametoken.world import World

Act = Callable[[Sequence[Any]], Sequence[Any]]


def failure_harms_its_mates() -> Iterator[None]:
    """P8: give the error that one instance met to all that were with it."""

    def mutated(members: Sequence[Any], act: Act, world: World) -> list[Any]:
        try:
            return list(act(members))
        except Exception as error:  # noqa: BLE001 - the mutant hands every error on
            return [error] * len(members)

    with (
        patch.object(steps, "act_together", mutated),
        patch.object(runner, "act_together", mutated),
    ):
        yield


def account_starves_others() -> Iterator[None]:
    """LIVE: lease what fell due first, so that a thousand launches of one account come first."""

    def mutated(tx: Tx, limit: int, after: str = "", node: str = "") -> list[Work]:
        free = sa.or_(WORK.c.lease_until.is_(None), WORK.c.lease_until <= tx.now)
        first = sa.select(WORK.c.instance).where(WORK.c.due_at <= tx.now, free)
        found = tx.execute(first.order_by(WORK.c.due_at).limit(limit))
        due = [row.instance for row in found]
        turns.take(tx, due, node)
        leased = [find(tx, id) for id in due]
        return [work for work in leased if work is not None]

    with patch.object(turns, "lease", mutated):
        yield


def late_launch_binds_its_token() -> Iterator[None]:
    """P5: keep the token of a launch that was refused because others wait."""

    def mutated(request: Request) -> None:
        if request.launches_late:
            raise ServiceError("Unavailable", "late", http_status=503, binds_token=True)

    with patch.object(launch, "refuse_late", mutated):
        yield


def batch_acknowledged_before_its_commit() -> Iterator[None]:
    """P8: go on to the next step although the commit of this one failed."""

    def mutated(members: Sequence[Any], act: Act, world: World) -> list[Any]:
        results = act_together(members, act, world)
        return [Done() if isinstance(one, Transient) else one for one in results]

    with patch.object(steps, "act_together", mutated):
        yield


def stretch_acknowledged_before_its_commit() -> Iterator[None]:
    """P8: go on to the machine although the commit of the steps before it failed."""

    def mutated(members: Sequence[Any], act: Act, world: World) -> list[Any]:
        results = act_together(members, act, world)
        return [
            replace(member, step=len(member.the_plan.steps) - 1)
            if isinstance(member, Work) and member.plan == "launch" and isinstance(one, Transient)
            else one
            for member, one in zip(members, results, strict=True)
        ]

    with patch.object(runner, "act_together", mutated):
        yield
