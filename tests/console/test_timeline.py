"""A timeline has a bar for each request and try, where its time was, and none beyond its ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sametoken.console.timeline import LEAST, WHOLE, timeline
from sametoken.operate.story.model import Attempt, Launch, Step, Story, Try, Verdict, Walk

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def tried(seconds: float, outcome: str = "done") -> Try:
    return Try(at(seconds), outcome, "here", 1, None, None, None)


def walk(plan: str, *steps: tuple[str, str, Sequence[Try]]) -> Walk:
    return Walk(
        plan, 0, None, tuple(Step(name, state, tuple(tries)) for name, state, tries in steps)
    )


def launch(*walks: Walk, due_at: datetime | None = None) -> Launch:
    return Launch("i-1", "us-east-1a", "t3.micro", "pending", due_at, None, None, 1, walks, 0)


def attempt(number: int, seconds: float) -> Attempt:
    return Attempt(
        number, at(seconds), "new", 200, None, 0.5, None, None, None, None, True, (), (), True
    )


def story(attempts: Sequence[Attempt] = (), launches: Sequence[Launch] = ()) -> Story:
    return Story(
        at(100), "1", "us-east-1", "RunInstances", "t", Verdict.RUNNING, "", at(0), None, (),
        tuple(attempts), 0, tuple(launches), (), (),
    )  # fmt: skip


def test_a_story_without_a_moment_has_no_timeline() -> None:
    assert timeline(story()) is None


def test_a_try_begins_where_the_one_before_it_ended() -> None:
    steps = walk(
        "launch",
        ("reserve-host", "done", [tried(2)]),
        ("make-volumes", "done", [tried(4, "retry"), tried(8)]),
    )
    found = timeline(story([attempt(1, 0), attempt(2, 9.5)], [launch(steps)]))
    assert found is not None
    assert (found.begins, found.length) == (at(0), timedelta(seconds=10))
    assert [lane.group for lane in found.lanes] == ["requests", "launch", ""]
    bars = {
        lane.name: [(bar.at, bar.length, bar.outcome) for bar in lane.bars] for lane in found.lanes
    }
    assert bars == {
        "all": [(0, 50, "new"), (950, 50, "new")],
        "reserve-host": [(0, 200, "done")],
        "make-volumes": [(200, 200, "retry"), (400, 400, "done")],
    }


def test_what_is_under_way_goes_on_to_now() -> None:
    steps = walk("launch", ("reserve-host", "done", [tried(50)]), ("boot", "under way", []))
    found = timeline(story([attempt(1, 0)], [launch(steps, due_at=at(120))]))
    assert found is not None
    assert found.length == timedelta(seconds=100)
    assert [(bar.at, bar.length, bar.outcome) for bar in found.lanes[-1].bars] == [
        (500, 500, "under way")
    ]


def test_no_bar_is_too_short_to_be_seen_or_beyond_the_end() -> None:
    steps = walk(
        "launch", ("reserve-host", "done", [tried(0.00001), tried(9_999.9), tried(10_000)])
    )
    found = timeline(story([attempt(1, 0)], [launch(steps)]))
    assert found is not None
    bars = list(itertools.chain.from_iterable(lane.bars for lane in found.lanes))
    assert all(bar.length >= LEAST and 0 <= bar.at <= WHOLE - bar.length for bar in bars)


def test_a_moment_that_is_all_there_is_has_a_length() -> None:
    found = timeline(story([replace(attempt(1, 0), seconds=None)]))
    assert found is not None
    assert found.length > timedelta(0)
