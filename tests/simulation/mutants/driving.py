"""Bugs of work and its owners: leases, generations, fences, epochs and steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.services import simulated_machines, steps
from sametoken.services.fence import pass_fence
from sametoken.store import roll
from sametoken.store.port import Tx
from sametoken.store.roll import Part
from sametoken.workflow import turns, work
from sametoken.workflow.ports import StaleOwner, StepCall, Verb
from sametoken.workflow.tokens import step_token
from sametoken.workflow.work import Record


def dead_sweeper_unheard() -> Iterator[None]:
    """LIVE: call the roll of the other parts alone."""
    missing = roll.missing

    def mutated(parts: Sequence[Part]) -> list[str]:
        return missing([part for part in parts if "sweeper" not in part.name])

    with patch.object(roll, "missing", mutated):
        yield


def step_token_from_the_attempt() -> Iterator[None]:
    """Make each try of a step a step of its own, which is performed again."""
    tries = iter(range(1_000_000))

    def mutated(form: str, instance: str, epoch: int, step: str, service: str) -> str:
        return f"{step_token(form, instance, epoch, step, service)}:{next(tries)}"

    with patch.object(work, "step_token", mutated):
        yield


def record_without_the_fence() -> Iterator[None]:
    """Let a former owner overwrite the record of its successor."""

    def mutated(tx: Tx, records: Sequence[Record]) -> set[str]:
        for one in records:
            change = sa.update(work.WORK).where(work.WORK.c.instance == one.held.instance)
            written = ("plan", "epoch", "step", "attempt", "deadline_at", "failure")
            values = {name: getattr(one.changed, name) for name in written}
            until = tx.now + work.LEASE if one.keeps_lease else None
            tx.execute(change.values(**values, due_at=one.due_at, lease_until=until))
        return {one.held.instance for one in records}

    with patch.object(work, "record", mutated):
        yield


def services_without_the_fence() -> Iterator[None]:
    with patch.object(steps, "pass_fence", lambda tx, service, verb, calls: {}):
        yield


def unwinding_leaves_the_door_open() -> Iterator[None]:
    """Forget that a service was closed or released, so that a paused owner resumes and creates."""

    def mutated(
        tx: Tx, service: str, verb: Verb, calls: Sequence[StepCall]
    ) -> dict[str, StaleOwner]:
        return {} if verb in (Verb.CLOSE, Verb.RELEASE) else pass_fence(tx, service, verb, calls)

    with patch.object(steps, "pass_fence", mutated):
        yield


def lease_without_a_generation() -> Iterator[None]:
    def mutated(tx: Tx, instances: Sequence[str], node: str = "") -> None:
        leased = sa.update(work.WORK).where(work.WORK.c.instance.in_(instances))
        tx.execute(leased.values(lease_until=tx.now + work.LEASE))

    with patch.object(turns, "take", mutated):
        yield


def driver_forgets_generations() -> Iterator[None]:
    with patch.object(simulated_machines, "refuse_former", lambda instance, generation, seen: None):
        yield


def plan_change_keeps_its_epoch() -> Iterator[None]:
    """Keep the epoch, so that an instance's second stop repeats the first one's steps in vain."""
    redirect = work.redirect

    def mutated(tx: Tx, instance: str, plan_name: str, **spec: Any) -> None:
        redirect(tx, instance, plan_name, **spec)
        same = sa.update(work.WORK).where(work.WORK.c.instance == instance)
        tx.execute(same.values(epoch=work.WORK.c.epoch - 1))

    with patch.object(work, "redirect", mutated):
        yield
