"""Bugs of the store: answers before the commit is durable, lost rollbacks, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.store import clock, group_commit, leaps
from sametoken.store.columns import from_microseconds
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

    def mutated(connection: sa.Connection, pace: clock.Pace) -> clock.Reading:
        clocks = clock.CLOCK.c
        own = sa.update(clock.CLOCK).values(high_us=clocks.offset_us + pace.host_us())
        moment = connection.execute(own.returning(clocks.high_us)).scalar_one()
        return clock.Reading(from_microseconds(moment), timedelta(0))

    with patch.object(clock, "tick", mutated):
        yield


def time_stands_still() -> Iterator[None]:
    """LIVE: a clock that was ahead would stand until its host's has caught up."""
    tick, read = clock.tick, clock.read

    def still(look: Callable[[sa.Connection, clock.Pace], clock.Reading]) -> Any:
        # A clock that has seen nothing before knows but the mark and its host's clock.
        return lambda connection, pace: look(connection, clock.Pace(pace.world))

    with patch.object(clock, "tick", still(tick)), patch.object(clock, "read", still(read)):
        yield


def leap_makes_tokens_expire() -> Iterator[None]:
    """P7: a clock that is ahead for a moment would end every retention."""
    with patch.object(leaps, "over", lambda tx, retention: tx.now):
        yield
