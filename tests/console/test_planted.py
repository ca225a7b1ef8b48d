"""Bugs planted in the console, each of which a check must notice."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from unittest.mock import patch

import pytest

from console.visitor import Visitor
from plane import LAUNCH, Plane, running_plane
from sametoken.console import guard, web
from sametoken.console.doors import TRIES_MAX, Tries
from sametoken.console.mounting import show_to_developer
from sametoken.console.rendering import render
from sametoken.console.sessions import SESSION_SECONDS_MAX, OwnKey, Session, Sessions
from sametoken.control.links import Links
from store.worlds import SetWorld

Check = Callable[[Plane], None]


def entered(plane: Plane) -> Visitor:
    visitor = Visitor(plane.url)
    visitor.enter(plane.controls.links.make())
    return visitor


def forms_of_other_places_are_refused(plane: Plane) -> None:
    visitor = entered(plane)
    form = visitor.get("/console/clock").text.partition('name="form" value="')[2][:64]
    told = visitor.post("/console/clock/resume", {"form": form}, origin="http://far.example")
    assert told.status == 403


def names_of_other_places_are_refused(plane: Plane) -> None:
    assert Visitor(plane.url).get("/console", host="far.example").status == 403


def a_link_opens_once(plane: Plane) -> None:
    word = plane.controls.links.make()
    Visitor(plane.url).enter(word)
    assert Visitor(plane.url).post("/console/sign-in", {"word": word}).status == 403


def who_signs_out_is_out(plane: Plane) -> None:
    visitor = entered(plane)
    kept = dict(visitor.cookies)
    visitor.submit(visitor.get("/console"), "/console/sign-out")
    visitor.cookies = kept
    assert visitor.get("/console").status == 303


def a_session_ends(plane: Plane) -> None:
    world = SetWorld()
    sessions = Sessions(OwnKey(world), world)
    word = sessions.begin()
    assert word is not None
    world.pass_time(timedelta(seconds=SESSION_SECONDS_MAX + 1))
    assert sessions.find(word) is None


def a_forged_session_is_none(plane: Plane) -> None:
    visitor = entered(plane)
    [(name, value)] = visitor.cookies.items()
    visitor.cookies[name] = f"{value[:-64]}{'0' * 64}"
    assert visitor.get("/console").status == 303


def forms_carry_the_word_of_their_session(plane: Plane) -> None:
    first, second = entered(plane), entered(plane)
    theirs = first.get("/console/clock").text.partition('name="form" value="')[2][:64]
    assert second.post("/console/clock/resume", {"form": theirs}).status == 403


def tokens_are_shown_as_texts(plane: Plane) -> None:
    plane.client().run_instances(**LAUNCH, ClientToken="<script>x</script>")
    assert "<script>x" not in entered(plane).get("/console/tokens").text


def guesses_are_few(plane: Plane) -> None:
    guesser = Visitor(plane.url)
    told = [
        guesser.post("/console/sign-in", {"word": "x"}).status for _ in range(2 * TRIES_MAX + 2)
    ]
    assert 429 in told


CHECKS = (
    forms_of_other_places_are_refused,
    names_of_other_places_are_refused,
    a_link_opens_once,
    who_signs_out_is_out,
    a_session_ends,
    a_forged_session_is_none,
    forms_carry_the_word_of_their_session,
    tokens_are_shown_as_texts,
    # Leaves no try to those after it.
    guesses_are_few,
)


def for_ever(sessions: Sessions, word: str) -> Session:
    return Session("f" * 64)


def unescaped(template: str, values: dict[str, object]) -> str:
    return html.unescape(render(template, values))


PLANTED: tuple[tuple[str, Callable[[], AbstractContextManager[object]], Check], ...] = (
    (
        "no form is looked at",
        lambda: patch.object(guard, "refusal_of", lambda *_, **__: None),
        forms_of_other_places_are_refused,
    ),
    (
        "every name is this machine's",
        lambda: patch.object(guard, "is_here", lambda _: True),
        names_of_other_places_are_refused,
    ),
    (
        "a link is not used up",
        lambda: patch.object(Links, "use", lambda *_: True),
        a_link_opens_once,
    ),
    (
        "signing out drops the cookie alone",
        lambda: patch.object(Sessions, "end", lambda _: None),
        who_signs_out_is_out,
    ),
    ("a session has no end", lambda: patch.object(Sessions, "find", for_ever), a_session_ends),
    (
        "every word is a session",
        lambda: patch.object(Sessions, "find", for_ever),
        a_forged_session_is_none,
    ),
    (
        "all sessions have one word for their forms",
        lambda: patch.object(Sessions, "find", for_ever),
        forms_carry_the_word_of_their_session,
    ),
    (
        "values are not escaped",
        lambda: patch.object(web, "render", unescaped),
        tokens_are_shown_as_texts,
    ),
    (
        "guesses are free",
        lambda: patch.object(Tries, "take", lambda _: True),
        guesses_are_few,
    ),
)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("planted"), dev=True) as found:
        show_to_developer(found.controls)
        yield found


@pytest.mark.parametrize("bug", [bug for bug, *_ in PLANTED])
def test_a_planted_bug_is_noticed(plane: Plane, bug: str) -> None:
    [(plant, check)] = [(plant, check) for name, plant, check in PLANTED if name == bug]
    with plant(), pytest.raises(AssertionError):
        check(plane)


def test_without_a_bug_every_check_passes(plane: Plane) -> None:
    for check in CHECKS:
        check(plane)
