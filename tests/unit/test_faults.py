"""Fault points do nothing without an injector; with one, each of them reaches it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from sametoken import faults
from sametoken.errors import Misconfigured
from sametoken.faults import POINTS, Point, kills
from sametoken.faults.board import Board
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule


@pytest.fixture(autouse=True)
def nobody_listens_afterwards() -> Iterator[None]:
    yield
    faults.install(None)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals this process would have sent."""
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: signals.append((process, number)))
    return signals


def test_reaching_a_point_nobody_listens_to_does_nothing() -> None:
    faults.reach(Point.ENGINE_CLAIMED)


def test_an_injector_hears_of_every_point_until_it_is_taken_out() -> None:
    heard: list[Point] = []
    faults.install(heard.append)
    for point in POINTS:
        faults.reach(point)
    faults.install(None)
    faults.reach(Point.ENGINE_CLAIMED)
    assert heard == list(POINTS)


def test_what_an_injector_raises_is_raised_where_the_point_is() -> None:
    def drop(point: Point) -> None:
        raise ConnectionError(point)

    faults.install(drop)
    with pytest.raises(ConnectionError, match=r"reply\.ready"):
        faults.reach(Point.REPLY_READY)


def test_a_point_is_named_by_what_has_happened_where() -> None:
    assert len(set(POINTS)) == len(Point)
    assert all(where and what for where, _, what in (p.value.partition(".") for p in POINTS))


def board(*rules: Rule) -> Board:
    return Board(lambda: 0.0, rules, owns_process=True)


def test_a_process_without_such_a_rule_is_not_killed(sent: list[tuple[int, int]]) -> None:
    kills.watch(board(Rule(Kind.CRASH, point=Point.STORE_COMMITTED)))
    faults.reach(Point.STORE_COMMITTED)
    assert sent == []


@pytest.mark.parametrize("reached", [1, 3])
def test_the_process_is_killed_the_nth_time_its_point_is_reached(
    reached: int, sent: list[tuple[int, int]]
) -> None:
    rule = Rule(Kind.KILL, point=Point.STORE_COMMITTED, skip=reached - 1, times=1)
    kills.watch(board(rule))
    for _ in range(reached - 1):
        faults.reach(Point.STORE_COMMITTED)
        faults.reach(Point.ENGINE_CLAIMED)
    assert sent == []
    faults.reach(Point.STORE_COMMITTED)
    assert sent == [(os.getpid(), signal.SIGKILL)]


def test_a_rule_that_comes_later_kills_too(sent: list[tuple[int, int]]) -> None:
    later = board()
    kills.watch(later)
    faults.reach(Point.REPLY_READY)
    assert sent == []
    later.add([Rule(Kind.KILL, point=Point.REPLY_READY)])
    faults.reach(Point.REPLY_READY)
    assert sent == [(os.getpid(), signal.SIGKILL)]


def test_a_process_that_others_live_in_is_never_killed() -> None:
    shared = Board(lambda: 0.0)
    with pytest.raises(Misconfigured, match="start it with `sametoken serve --dev`"):
        shared.add([Rule(Kind.BOOT_FAILS), Rule(Kind.KILL, point=Point.REPLY_READY)])
    assert shared.rules() == (), "none of them is in force"
