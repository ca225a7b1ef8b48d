"""Fault points do nothing without an injector; with one, each of them reaches it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from sametoken import faults
from sametoken.errors import Misconfigured
from sametoken.faults import CRASH_VARIABLE, POINTS, STOP_VARIABLE, Point


@pytest.fixture(autouse=True)
def nobody_listens_afterwards() -> Iterator[None]:
    yield
    faults.install(None)


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals this process would have sent."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: sent.append((process, number)))
    return sent


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


def test_without_the_variables_nothing_crashes_or_stops(
    monkeypatch: pytest.MonkeyPatch, kills: list[tuple[int, int]]
) -> None:
    for variable in (CRASH_VARIABLE, STOP_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    faults.install_from_environment()
    faults.reach(Point.STORE_COMMITTED)
    assert kills == []


@pytest.mark.parametrize(("asked", "reached"), [("", 1), (":1", 1), (":3", 3)])
def test_the_process_is_killed_the_nth_time_its_point_is_reached(
    asked: str, reached: int, monkeypatch: pytest.MonkeyPatch, kills: list[tuple[int, int]]
) -> None:
    monkeypatch.setenv(CRASH_VARIABLE, f"{Point.STORE_COMMITTED.value}{asked}")
    faults.install_from_environment()
    for _ in range(reached - 1):
        faults.reach(Point.STORE_COMMITTED)
        faults.reach(Point.ENGINE_CLAIMED)
    assert kills == []
    faults.reach(Point.STORE_COMMITTED)
    assert kills == [(os.getpid(), signal.SIGKILL)]


def test_the_process_is_stopped_by_the_thread_that_reaches_the_point_and_nobody_is_killed(
    monkeypatch: pytest.MonkeyPatch, kills: list[tuple[int, int]]
) -> None:
    stops: list[tuple[int, int]] = []
    monkeypatch.setattr(
        signal, "pthread_kill", lambda thread, number: stops.append((thread, number))
    )
    monkeypatch.setenv(STOP_VARIABLE, f"{Point.WORK_LEASED.value}:2")
    faults.install_from_environment()
    faults.reach(Point.WORK_LEASED)
    assert stops == []
    for _ in range(2):
        faults.reach(Point.WORK_LEASED)
    assert stops == [(threading.get_ident(), signal.SIGSTOP)]
    assert kills == []


@pytest.mark.parametrize("variable", [CRASH_VARIABLE, STOP_VARIABLE])
@pytest.mark.parametrize("asked", ["no.such-point", "store.committed:often", "store.committed:0"])
def test_a_crash_that_cannot_be_meant_is_refused_at_once(
    variable: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, asked)
    with pytest.raises(Misconfigured, match=f"{asked}.*store.committed"):
        faults.install_from_environment()
