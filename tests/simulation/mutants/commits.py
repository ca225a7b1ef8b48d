"""Bugs of the store: answers before the commit is durable, lost rollbacks, the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.store import clock, group_commit
from sametoken.store.columns import from_microseconds, to_microseconds
from simulation.database import Session


def result_released_before_the_commit() -> Iterator[None]:
    member = group_commit.run_member

    def mutated(session: Any, job: Any, channels: set[str]) -> Any:
        fate = member(session, job, channels)
        if fate.error is None:
            job.future.set_result(fate.value)
            # Give the batch another future to report the outcome to, which no caller waits for.
            job.future = type(job.future)()
        return fate

    with patch.object(group_commit, "run_member", mutated):
        yield


def lost_transaction_not_noticed() -> Iterator[None]:
    """Acknowledge the members before the failing one, although they were rolled back."""
    undo = group_commit.undo_member

    def mutated(session: Any, error: Exception) -> None:
        if session.in_transaction():
            undo(session, error)
        else:
            session.command("BEGIN IMMEDIATE")

    with patch.object(group_commit, "undo_member", mutated):
        yield


def failed_commit_acknowledged() -> Iterator[None]:
    original = Session.command

    def mutated(self: Session, sql: str) -> None:
        try:
            original(self, sql)
        except group_commit.DatabaseErrors:
            if sql != "COMMIT":
                raise
            self.reopen()

    with patch.object(Session, "command", mutated):
        yield


def clock_of_each_node() -> Iterator[None]:
    """P7: a node whose clock is behind would count a retention from before it began."""

    def mutated(connection: sa.Connection, wall: datetime) -> datetime:
        clocks = clock.CLOCK.c
        own = sa.update(clock.CLOCK).values(high_us=clocks.offset_us + to_microseconds(wall))
        return from_microseconds(connection.execute(own.returning(clocks.high_us)).scalar_one())

    with patch.object(clock, "tick", mutated):
        yield
