"""Bugs in stories, planted one at a time: each is caught by the test that is there for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ec2.asking import hand_runner
from plane import Plane, running_plane
from sametoken.idempotency import Engine
from sametoken.idempotency.ledger import Outcome
from sametoken.operate.story import attempts as tried
from sametoken.operate.story.model import Attempt
from sametoken.resources.account.attempts import Attempt as Noted
from sametoken.resources.account.attempts import Kept, TokenKey
from sametoken.server import writing
from sametoken.server.admission import Admitted
from sametoken.server.ends import Ends
from sametoken.server.execution import Executed, execute
from sametoken.server.journal import Journal
from sametoken.store.port import Tx
from sametoken.workflow import turns
from sametoken.workflow.history import What, mark
from sametoken.workflow.work import Work
from server import test_attempts_told, test_stories
from server.telling import Place
from unit import test_journal

Patch = pytest.MonkeyPatch
_told = tried.told


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("planted")
    with running_plane(folder, runners=0, dev=True) as running:
        yield running


@pytest.fixture
def planted(plane: Plane, request: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(plane, plane.account(request.node.name[:60]), hand_runner(plane))
    plane.node.faults.clear()


def attempts_are_told_by_their_transaction(patch: Patch, place: Place) -> None:
    """An attempt is noted before the end of the transaction is known, and taken at its word."""
    journal = place.plane.node.journal

    def noting(tx: Tx, engine: Engine, admitted: Admitted) -> Executed:
        request = admitted.request
        key = TokenKey(admitted.client_token or "", *request.place, request.action)
        now_us = round(place.plane.store.seconds() * 1e6)
        noted = Noted(now_us, request.request_id, "new", 200, "-", 1, "north:4590")
        journal.note(key, noted, made=True)
        return execute(tx, engine, admitted)

    def believing(
        outcomes: Sequence[Outcome], repeats: Any, kept: Kept, *when: Any
    ) -> list[Attempt]:
        new = {one.request_id for one in (*kept.first, *kept.last) if one.outcome == "new"}
        found = _told(outcomes, repeats, kept, *when)
        return [replace(one, outcome="new") if one.request_id in new else one for one in found]

    patch.setattr(writing, "execute", noting)
    patch.setattr(Ends, "_note", lambda self, exchange, seconds: None)
    patch.setattr(tried, "told", believing)


def an_answer_is_believed_that_was_undone(patch: Patch, place: Place) -> None:
    patch.setattr(tried, "UNDONE", "new")


def a_takeover_is_not_told(patch: Patch, place: Place) -> None:
    def owned(work: Work, node: str, now: datetime) -> Work:
        generation = work.generation + 1
        told = mark(What.OWNER, generation, node)
        return replace(work.noting(told), generation=generation, owner=node)

    patch.setattr(turns, "_owned", owned)


PLANTED: list[tuple[Callable[[Patch, Place], None], Callable[..., None]]] = [
    (
        attempts_are_told_by_their_transaction,
        test_attempts_told.test_an_attempt_whose_transaction_was_undone_made_nothing,
    ),
    (
        an_answer_is_believed_that_was_undone,
        test_attempts_told.test_an_answer_that_a_failover_undid_is_told_as_that,
    ),
    (a_takeover_is_not_told, test_stories.test_a_controller_killed_between_two_steps),
]


@pytest.mark.parametrize(("plant", "test"), PLANTED, ids=lambda one: one.__name__)
def test_a_planted_bug_is_caught(
    plant: Callable[[Patch, Place], None],
    test: Callable[..., None],
    planted: Place,
    monkeypatch: Patch,
) -> None:
    more = {"monkeypatch": monkeypatch} if test.__module__ == test_stories.__name__ else {}
    with monkeypatch.context() as patch:
        plant(patch, planted)
        with pytest.raises((AssertionError, ValueError)):
            test(planted, **more)


def test_a_journal_without_a_bound_is_caught(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Journal, "_drop", lambda self, count: None)
    with pytest.raises((AssertionError, KeyError)):
        test_journal.test_no_more_tokens_are_kept_than_there_may_be_and_what_is_dropped_is_counted()


def test_a_storm_without_a_bound_is_caught(monkeypatch: Patch) -> None:
    def all_of_it(self: Kept, other: Kept) -> Kept:
        return Kept((*self.first, *other.first), (), 0, self.repeats + other.repeats)

    monkeypatch.setattr(Kept, "and_then", all_of_it)
    with pytest.raises(AssertionError):
        test_journal.test_attempts_of_several_nodes_are_kept_in_their_order()
