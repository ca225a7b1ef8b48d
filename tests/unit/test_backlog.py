"""Lag of an account's work, as the node knows it from its driver's leases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import inf

import pytest

from sametoken.workflow.backlog import LAG_SECONDS_MAX, Backlog
from sametoken.workflow.tokens import TokenForm
from sametoken.workflow.work import Work
from store.worlds import START, SetWorld

LAG = timedelta(seconds=LAG_SECONDS_MAX)
MOMENT = timedelta(milliseconds=1)
BUSY, QUIET = "000000000001", "000000000002"


def work(account: str, due_at: datetime) -> Work:
    return Work(
        "i-1", account, "us-east-1", "z", "launch", 0, 0, 0, 1, due_at, None, {}, None,
        TokenForm.READABLE,
    )  # fmt: skip


def shares(due_at: datetime, counts: Mapping[str, int]) -> list[Work]:
    return [work(account, due_at) for account, count in counts.items() for _ in range(count)]


@pytest.fixture
def world() -> SetWorld:
    return SetWorld()


def test_an_account_is_late_whose_full_share_was_due_too_long_ago(world: SetWorld) -> None:
    backlog = Backlog(world)
    backlog.note_lease(START, shares(START - LAG - MOMENT, {BUSY: 2}), limit=2)
    assert backlog.is_late(BUSY)
    assert not backlog.is_late(QUIET)


def test_work_that_waits_grows_older_until_the_next_lease(world: SetWorld) -> None:
    backlog = Backlog(world)
    backlog.note_lease(START, shares(START, {BUSY: 2}), limit=2)
    world.pass_time(LAG)
    assert not backlog.is_late(BUSY)
    world.pass_time(MOMENT)
    assert backlog.is_late(BUSY)
    backlog.note_lease(world.now(), shares(world.now(), {BUSY: 2}), limit=2)
    assert not backlog.is_late(BUSY)


def test_an_account_that_did_not_need_its_share_has_nothing_waiting(world: SetWorld) -> None:
    backlog = Backlog(world)
    old = START - 2 * LAG
    backlog.note_lease(START, shares(old, {BUSY: 4, QUIET: 1}), limit=8)
    assert backlog.is_late(BUSY)
    assert not backlog.is_late(QUIET)
    backlog.note_lease(START, shares(old, {BUSY: 3, QUIET: 1}), limit=8)
    assert not backlog.is_late(BUSY)


def test_every_account_is_late_while_the_driver_does_not_come_back(world: SetWorld) -> None:
    backlog = Backlog(world)
    backlog.note_lease(START, shares(START, {QUIET: 1}), limit=8)
    world.pass_time(LAG + MOMENT)
    assert backlog.is_late(BUSY) and backlog.is_late(QUIET)
    backlog.note_idle()
    assert not backlog.is_late(BUSY)


def test_nobody_is_late_once_nothing_is_due_or_where_nothing_was_ever_driven(
    world: SetWorld,
) -> None:
    backlog = Backlog(world)
    assert not backlog.is_late(BUSY)
    backlog.note_lease(START, shares(START - 2 * LAG, {BUSY: 2}), limit=2)
    backlog.note_idle()
    assert not backlog.is_late(BUSY)


def test_without_a_bound_nobody_is_late(world: SetWorld) -> None:
    backlog = Backlog(world, inf)
    backlog.note_lease(START, shares(START - 100 * LAG, {BUSY: 2}), limit=2)
    world.pass_time(100 * LAG)
    assert not backlog.is_late(BUSY)
