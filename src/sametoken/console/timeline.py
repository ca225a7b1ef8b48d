"""The timeline of a story: its requests and steps as bars, each where its time was. Pure.

A bar lies between two thousandths of the whole span, which a template draws with; the tables below
tell the same in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sametoken.operate.story.model import Launch, Step, Story

# The length of the axis, and the least of a bar, which else would not be seen.
WHOLE, LEAST = 1000.0, 12.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A request, or a try of a step: where it begins, how long it is, its outcome, and its text."""

    at: float
    length: float
    outcome: str
    says: str


@dataclass(frozen=True, slots=True)
class Lane:
    """Bars of a step, or of the requests. `group` is the plan, of its first step alone."""

    group: str
    name: str
    state: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes from the moment `begins` on, for the span of `length`."""

    begins: datetime
    length: timedelta
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    begins: datetime
    ends: datetime
    outcome: str
    says: str


def timeline(story: Story) -> Timeline | None:
    """Return the timeline of a story; None of one in which nothing has a moment."""
    told = list(_lanes(story))
    pieces = [piece for *_, found in told for piece in found]
    if not pieces:
        return None
    begins = min(one.begins for one in pieces)
    ends = max(one.ends for one in pieces)
    if not story.is_settled:
        ends = max(ends, story.told_at)
    length = max(ends - begins, timedelta(milliseconds=1))
    lanes = tuple(
        Lane(group, name, state, tuple(_bar(one, begins, length) for one in found))
        for group, name, state, found in told
    )
    return Timeline(begins, length, lanes)


def _lanes(story: Story) -> Iterator[tuple[str, str, str, list[_Piece]]]:
    requests = [
        _Piece(
            one.made_at,
            one.made_at + timedelta(seconds=one.seconds or 0),
            one.outcome,
            f"Request {one.number}: {one.outcome} {one.code or ''}".rstrip(),
        )
        for one in story.attempts
    ]
    if requests:
        yield "requests", "all", "", requests
    since = story.claimed_at
    for launch in story.launches:
        yield from _of_launch(launch, since, story)


def _of_launch(
    launch: Launch, since: datetime | None, story: Story
) -> Iterator[tuple[str, str, str, list[_Piece]]]:
    """Yield the steps of a launch. A try begins where the one before it ended."""
    shows = f" of {launch.instance}" if len(story.launches) > 1 else ""
    for walk in launch.walks:
        for place, step in enumerate(walk.steps):
            pieces, since = _pieces(step, since)
            if step.state == "under way" and launch.due_at is not None:
                begun = since or story.told_at
                pieces.append(
                    _Piece(begun, max(begun, story.told_at), "under way", f"{step.name}: under way")
                )
            yield f"{walk.plan}{shows}" if place == 0 else "", step.name, step.state, pieces


def _pieces(step: Step, since: datetime | None) -> tuple[list[_Piece], datetime | None]:
    pieces = []
    for one in step.tries:
        begins = min(since or one.at, one.at)
        pieces.append(_Piece(begins, one.at, one.outcome, f"{step.name}: {one.outcome}"))
        since = one.at
    return pieces, since


def _bar(piece: _Piece, begins: datetime, whole: timedelta) -> Bar:
    at = (piece.begins - begins) / whole * WHOLE
    length = max((piece.ends - piece.begins) / whole * WHOLE, LEAST)
    at = min(at, WHOLE - length)
    return Bar(round(at, 1), round(length, 1), piece.outcome, piece.says)
