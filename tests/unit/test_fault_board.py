"""The board of a node decides by seed and count alone, and tells what struck."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import pytest

from sametoken.errors import Misconfigured
from sametoken.faults import board as boards
from sametoken.faults.board import CALLS_MAX, FIRINGS_MAX, Board, counted
from sametoken.faults.kinds import OF_REQUESTS, OF_STEPS, Kind
from sametoken.faults.reading import RULES_MAX
from sametoken.faults.rules import Occasion, Rule

LOST = Rule(Kind.LOSE_REPLY)
LAUNCH = Occasion("r-1", "000000000001", "us-east-1", action="RunInstances", token="mine")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def struck(board: Board, count: int) -> list[bool]:
    """Tell which of so many launches were struck by anything."""
    return [bool(board.strike(LAUNCH, OF_REQUESTS)) for _ in range(count)]


def test_an_empty_board_strikes_nothing() -> None:
    board = Board(Clock())
    assert not board.of_requests and not board.of_steps
    assert struck(board, 3) == [False] * 3
    assert board.firings() == ()


def test_the_same_seed_strikes_the_same_and_another_seed_others() -> None:
    rule = Rule(Kind.LOSE_REPLY, odds=0.3, seed=7)
    first = struck(Board(Clock(), [rule]), 200)
    assert first == struck(Board(Clock(), [rule]), 200)
    assert first != struck(Board(Clock(), [replace(rule, seed=8)]), 200)
    assert 30 < sum(first) < 90


def test_a_rule_is_decided_by_its_own_matches_alone() -> None:
    """Another rule, and occasions that it does not match, change nothing."""
    rule = Rule(Kind.LOSE_REPLY, "mine", action=("RunInstances",), odds=0.5, seed=3)
    alone = struck(Board(Clock(), [rule]), 50)
    board = Board(Clock(), [Rule(Kind.DELAY_REPLY, "other", odds=0.5, seed=3), rule])
    beside = []
    for _ in range(50):
        board.strike(replace(LAUNCH, action="DescribeInstances"), OF_REQUESTS)
        beside.append("mine" in {one.name for one in board.strike(LAUNCH, OF_REQUESTS)})
    assert beside == alone


def test_rules_of_one_seed_do_not_strike_in_step() -> None:
    rules = [Rule(Kind.LOSE_REPLY, odds=0.5), Rule(Kind.LOSE_REPLY, odds=0.5)]
    board = Board(Clock(), rules)
    together = [len(board.strike(LAUNCH, OF_REQUESTS)) for _ in range(100)]
    assert set(together) == {0, 1, 2}


def test_a_rule_lets_some_pass_and_strikes_so_often() -> None:
    board = Board(Clock(), [Rule(Kind.LOSE_REPLY, skip=2, times=3)])
    assert struck(board, 8) == [False, False, True, True, True, False, False, False]
    assert counted(board.standing()) == {"lose-reply": {"matched": 8, "fired": 3}}


def test_a_rule_begins_and_ends_by_the_clock_since_it_was_set() -> None:
    clock = Clock()
    clock.seconds = 1_000.0
    board = Board(clock, [Rule(Kind.LOSE_REPLY, after=10.0, until=20.0)])
    found: list[bool] = []
    for seconds in (1_000.0, 1_009.9, 1_010.0, 1_019.9, 1_020.0, 2_000.0):
        clock.seconds = seconds
        found.append(*struck(board, 1))
    assert found == [False, False, True, True, False, False]
    assert counted(board.standing())["lose-reply"]["matched"] == 2


def test_only_the_kinds_that_are_asked_for_strike() -> None:
    board = Board(Clock(), [LOST, Rule(Kind.SLOW_STEP, seconds=1.0)])
    assert [one.kind for one in board.strike(LAUNCH, OF_REQUESTS)] == [Kind.LOSE_REPLY]
    step = Occasion("i-1", step="boot-machine")
    assert [one.kind for one in board.strike(step, OF_STEPS)] == [Kind.SLOW_STEP]
    assert (board.of_requests, board.of_steps) == (True, True)
    board.remove(["lose-reply"])
    assert (board.of_requests, board.of_steps) == (False, True)


def test_rules_come_and_go_by_their_names() -> None:
    board = Board(Clock())
    added = board.add([LOST, LOST, Rule(Kind.UNAVAILABLE, "mine")])
    assert [one.name for one in added] == ["lose-reply", "lose-reply-2", "mine"]
    assert board.rules() == added
    assert board.has(added[0])
    board.remove(["lose-reply", "mine"])
    assert [one.name for one in board.rules()] == ["lose-reply-2"]
    assert not board.has(added[0])
    with pytest.raises(Misconfigured, match=r"'lose-reply-3'.*Did you mean lose-reply-2"):
        board.remove(["lose-reply-2", "lose-reply-3"])
    with pytest.raises(Misconfigured, match="'lose-reply-2' already"):
        board.add([Rule(Kind.UNAVAILABLE), Rule(Kind.LOSE_REPLY, "lose-reply-2")])
    with pytest.raises(Misconfigured, match=f"at most {RULES_MAX}"):
        board.set([LOST] * (RULES_MAX + 1))
    assert [one.name for one in board.rules()] == ["lose-reply-2"], "all or none"
    board.clear()
    assert board.rules() == () and not board.of_requests


def test_rules_that_are_set_begin_anew() -> None:
    board = Board(Clock(), [Rule(Kind.LOSE_REPLY, times=1)])
    assert [board.tries(("a", "call")), board.tries(("a", "call"))] == [1, 2]
    assert struck(board, 2) == [True, False]
    board.set([Rule(Kind.LOSE_REPLY, times=1)])
    assert board.tries(("a", "call")) == 1
    assert board.firings() == ()
    assert struck(board, 2) == [True, False]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(Clock(), [LOST])
    struck(board, FIRINGS_MAX + 5)
    assert len(board.firings()) == FIRINGS_MAX
    monkeypatch.setattr(boards, "CALLS_MAX", 2)
    assert CALLS_MAX > 2
    counts = [board.tries((call,)) for call in ("a", "b", "a", "c", "a", "b")]
    assert counts == [1, 1, 2, 1, 3, 1], "the call that was quiet for longest was forgotten"


def test_a_strike_is_in_the_log_and_a_token_forges_no_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "sametoken.faults")
    board = Board(Clock(), [Rule(Kind.LOSE_REPLY, "mine")])
    board.strike(replace(LAUNCH, token="a\nfault='x'"), OF_REQUESTS)
    [line] = [one.getMessage() for one in caplog.records]
    assert line == (
        "fault=fired rule=mine kind=lose-reply at=RunInstances what=r-1 account=000000000001 "
        "token=\"a\\nfault='x'\" try=1"
    )
    [firing] = board.firings()
    assert (firing.rule.name, firing.occasion.action) == ("mine", "RunInstances")


def test_a_board_counts_for_many_threads() -> None:
    board = Board(Clock(), [Rule(Kind.LOSE_REPLY, skip=10, times=50)])
    threads = [threading.Thread(target=struck, args=(board, 100)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counted(board.standing()) == {"lose-reply": {"matched": 400, "fired": 50}}


def test_a_rule_begins_anew_when_the_clock_was_put_back() -> None:
    """A snapshot of an hour ago is loaded: a rule that was set since strikes, for its seconds."""
    clock = Clock()
    clock.seconds = 3_600.0
    board = Board(clock, [Rule(Kind.LOSE_REPLY, until=10.0)])
    found = []
    for clock.seconds in (0.0, 9.0, 10.0):
        found += struck(board, 1)
    assert found == [True, True, False]
    assert not board.concerns(LAUNCH)


def test_an_account_is_forgotten_by_itself() -> None:
    board = Board(Clock())
    for account in ("a", "b"):
        board.tries((account, "call"))
    resets = board.resets
    board.forget("a")
    assert board.was_reset("a", resets) and not board.was_reset("b", resets)
    assert [board.tries((account, "call")) for account in ("a", "b")] == [1, 2]
    resets = board.resets
    board.forget()
    assert board.was_reset("b", resets) and not board.was_reset("b", board.resets)
    assert board.tries(("b", "call")) == 1
