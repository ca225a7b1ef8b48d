"""RunInstances, its repeats and the driving of launches, through the store and without HTTP.

A single process, whose thread hands over what a server's event loop would, 16 launches to a commit,
in stores of few and of many instances. Beside them the floors (`floors.py`) and DBOS. Judged by
CPU where only this process works, folding of the log included: a wait for the disk is the same for
all of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import names
import stories
from fixtures import Fixture
from floors import Floors
from launches import drive, ended, unfinished
from legs import Leg
from measure import Run
from sizes import SqliteMeter
from stores import DRIVERS, Plane, opened, submit_in_batches
from workflows import dbos

BATCH = 16
# A frame of SQLite's log is a page with its header; the log has a header of its own.
_FRAME_BYTES, _LOG_HEADER_BYTES = 4096 + 24, 32
_LOG_ROUNDS = 3


def measure(leg: Leg) -> None:
    count, driven = leg.scale.operations, leg.scale.driven
    leg.folder.mkdir()
    with ExitStack() as stack:
        floors = Floors(leg.folder)
        stack.callback(floors.close)
        planes: dict[int, Plane] = {}
        for size in leg.scale.sizes:
            fixture: Fixture = leg.copied(size)
            account = fixture.reads.account
            planes[size] = stack.enter_context(opened(fixture.database, account=account))
        file = leg.folder / "dbos.db"
        workflows = stack.enter_context(
            dbos(f"sqlite:///{file}", leg.scale.workflows, leg.folder / "dbos.log")
        )
        subjects: dict[str, Callable[[], Run]] = {}
        for size, plane in planes.items():
            tokens: list[str] = []
            subjects[names.stored(names.NEW, size)] = partial(_new, plane, tokens, count)
            subjects[names.stored(names.REPLAY, size)] = partial(_replay, plane, tokens, count)
            subjects[names.stored(names.DRIVEN, size)] = partial(_driven, plane, driven)
        told = stories.launched(planes[min(planes)])
        subjects[names.STORY] = partial(told.told, driven)
        subjects[names.SAME_ROWS] = partial(told.described, driven)
        rows, bare, one_by_one, together = floors.subjects(count, driven)
        subjects[names.ROWS_BY_DRIVER], subjects[names.BARE_ROWS] = rows, bare
        subjects[names.STEPS_ONE_BY_ONE], subjects[names.STEPS_TOGETHER] = one_by_one, together
        subjects[names.DBOS_SQLITE] = workflows
        before = {size: ended(plane) for size, plane in planes.items()}
        leg.interleave(subjects)
        leg.fact("rows that accepting one launch leaves", [floors.rows_accepted])
        for size, plane in planes.items():
            pages = [_log_pages(plane, count) for _ in range(_LOG_ROUNDS)]
            leg.fact(names.stored(names.LOG_PAGES, size), pages)
            assert ended(plane) == before[size], "no launch has failed"


def _new(plane: Plane, tokens: list[str], count: int) -> Run:
    """Launch under new tokens, which replays repeat."""
    fresh = [uuid.uuid4().hex for _ in range(count)]
    run = _replayed(plane, fresh)
    tokens[:] = fresh
    return run


def _replay(plane: Plane, tokens: list[str], count: int) -> Run:
    if not tokens:
        _new(plane, tokens, count)
    return _replayed(plane, tokens)


def _replayed(plane: Plane, tokens: list[str]) -> Run:
    return submit_in_batches(plane.store, [plane.launch(one) for one in tokens], batch=BATCH)


def _driven(plane: Plane, count: int) -> Run:
    """Launch, and drive all of that; what others have launched is driven before."""
    left = unfinished(plane)
    if left:
        drive(plane, left, DRIVERS)
    _replayed(plane, [uuid.uuid4().hex for _ in range(count)])
    return drive(plane, count, DRIVERS)


def _log_pages(plane: Plane, count: int) -> float:
    """Pages that SQLite logs for a launch from its acceptance until it runs."""
    if left := unfinished(plane):
        drive(plane, left, DRIVERS)
    assert not isinstance(plane.database, str), "PostgreSQL has no such pages"
    with SqliteMeter(plane.database).logging() as logged:
        _replayed(plane, [uuid.uuid4().hex for _ in range(count)])
        drive(plane, count, DRIVERS)
    return (logged.size_bytes - _LOG_HEADER_BYTES) / _FRAME_BYTES / count
