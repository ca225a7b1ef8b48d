"""Doors of the console: a link opens once, or the operator's password; forged forms are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from console.visitor import Page, Visitor
from plane import Plane, running_plane
from sametoken.console.doors import TRIES_MAX, TRY_SECONDS, Tries
from sametoken.console.mounting import show_to_developer, show_to_operators
from sametoken.console.sessions import SESSION_SECONDS_MAX, OwnKey, Sessions
from sametoken.console.web import FORM_BYTES_MAX
from sametoken.control.links import LINKS_MAX, Links
from sametoken.errors import Misconfigured
from sametoken.operate import operators
from sametoken.operate.opened import Opened
from sametoken.operate.operators import PASSWORD_CHARACTERS_MAX
from sametoken.world import RealWorld
from store.worlds import SetWorld

PASSWORD = "four words of no sense"
SCREENS = ("", "/tokens", "/faults", "/clock", "/state", "/accounts")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane that is not in development mode, with a password that is hashed cheaply."""
    folder = tmp_path_factory.mktemp("served")
    with patch.object(operators, "COST", (2**4, 8, 1)), running_plane(folder) as plane:
        database = plane.node.settings.database
        show_to_operators(plane.node.app, plane.store, database, RealWorld())
        operators.set_password(Opened(database, plane.store), PASSWORD, RealWorld())
        yield plane


def is_at_the_door(page: Page) -> bool:
    return (page.status, page.headers.get("location")) == (303, "/console/sign-in")


@pytest.mark.parametrize("path", SCREENS)
def test_a_stranger_sees_no_screen(dev: Plane, path: str) -> None:
    stranger = Visitor(dev.url)
    assert is_at_the_door(stranger.get(f"/console{path}"))
    assert stranger.get("/console/events").status == 401
    assert stranger.post("/console/clock/freeze", {}).status == 401
    assert "sametoken console link" in stranger.get("/console/sign-in").text


def test_a_link_lets_one_browser_in_once(dev: Plane) -> None:
    link = dev.controls.console_link().removeprefix(dev.url)
    first, second = Visitor(dev.url), Visitor(dev.url)
    shown = first.get(link)
    # To look at it uses nothing up: programs that open links beforehand only look.
    assert first.get(link).status == 200
    assert first.submit(shown, "/console/sign-in").leads_to == "/console"
    assert first.get("/console").status == 200
    refused = second.submit(shown, "/console/sign-in")
    assert (refused.status, "was used already" in refused.text) == (403, True)
    assert is_at_the_door(second.get("/console"))


def test_a_link_that_was_never_used_ends_when_there_are_many() -> None:
    links = Links(RealWorld())
    words = [links.make() for _ in range(LINKS_MAX + 1)]
    assert [links.use(word) for word in words] == [False, *[True] * LINKS_MAX]
    assert not links.use(words[-1])


def test_the_password_opens_the_console_of_a_server_that_is_no_developers(served: Plane) -> None:
    operator = Visitor(served.url)
    assert "operator&#39;s password" in operator.get("/console/sign-in").text.replace("'", "&#39;")
    wrong = operator.post("/console/sign-in", {"word": "four words of no meaning"})
    assert (wrong.status, operator.cookies) == (403, {})
    operator.enter(PASSWORD)
    overview = operator.get("/console")
    assert overview.status == 200
    # It shows, and changes nothing.
    assert [path for path in SCREENS if operator.get(f"/console{path}").status == 404] == [
        "/faults",
        "/clock",
        "/state",
    ]
    assert operator.post("/console/state/reset", {"sure": "yes"}).status == 404


@pytest.mark.parametrize("used", ["key id", "secret"])
def test_an_access_key_opens_nothing(served: Plane, used: str) -> None:
    word = served.keys.access_key_id if used == "key id" else served.keys.secret
    assert Visitor(served.url).post("/console/sign-in", {"word": word}).status == 403


def test_a_cookie_is_out_of_reach_of_scripts_and_of_other_places(served: Plane) -> None:
    operator = Visitor(served.url)
    told = operator.post("/console/sign-in", {"word": PASSWORD}).headers["set-cookie"].lower()
    marks = {one.strip() for one in told.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/console"} <= marks
    # Over http a browser would drop a cookie that is `Secure`.
    assert "secure" not in marks


def test_over_tls_a_cookie_is_secure(dev: Plane) -> None:
    app, sent = dev.controls.node.app.console, list[Any]()
    assert app is not None
    told = {"host": "localhost:4590", "origin": "https://localhost:4590"}
    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    body = f"word={dev.controls.links.make()}".encode()
    scope = {
        "type": "http", "method": "POST", "scheme": "https", "path": "/console/sign-in",
        "raw_path": b"/console/sign-in", "root_path": "", "query_string": b"",
        "headers": headers, "server": ("localhost", 4590), "client": None,
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    [cookie] = [value for name, value in sent[0]["headers"] if name == b"set-cookie"]
    assert b"; secure" in cookie.lower()


def test_a_password_is_replaced_and_taken_away_with_its_sessions(served: Plane) -> None:
    here = Opened(served.node.settings.database, served.store)
    operator = Visitor(served.url)
    operator.enter(PASSWORD)
    operators.set_password(here, "another four words", RealWorld())
    assert is_at_the_door(operator.get("/console"))
    assert not operators.is_password(here, PASSWORD)
    assert operators.unset_password(here)
    assert operators.session_key(here) is None
    assert Visitor(served.url).post("/console/sign-in", {"word": PASSWORD}).status in (403, 429)
    operators.set_password(here, PASSWORD, RealWorld())


@pytest.mark.parametrize("length", [0, 11, PASSWORD_CHARACTERS_MAX + 1])
def test_a_password_that_is_too_short_or_too_long_is_refused(served: Plane, length: int) -> None:
    here = Opened(served.node.settings.database, served.store)
    with pytest.raises(Misconfigured, match="characters"):
        operators.set_password(here, "x" * length, RealWorld())
    assert operators.is_password(here, PASSWORD)


def test_the_password_is_in_no_row(served: Plane) -> None:
    raw = b"".join(one.read_bytes() for one in served.folder.iterdir() if one.is_file())
    assert PASSWORD.encode() not in raw
    assert b"scrypt" not in raw


def test_who_signs_out_ends_every_session(served: Plane) -> None:
    first, second = Visitor(served.url), Visitor(served.url)
    first.enter(PASSWORD)
    second.enter(PASSWORD)
    kept = dict(first.cookies)
    assert is_at_the_door(first.submit(first.get("/console"), "/console/sign-out"))
    assert first.cookies == {}
    # A cookie that was stolen before is worth nothing now.
    first.cookies = kept
    assert is_at_the_door(first.get("/console"))
    assert is_at_the_door(second.get("/console"))


def test_a_session_ends_by_itself() -> None:
    world = SetWorld()
    sessions = Sessions(OwnKey(world), world)
    word = sessions.begin()
    assert word is not None
    world.pass_time(timedelta(seconds=SESSION_SECONDS_MAX))
    assert sessions.find(word) is not None
    world.pass_time(timedelta(seconds=1))
    assert sessions.find(word) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda word: "",
        lambda word: word[:-1],
        lambda word: word.replace(word[0], "0" if word[0] != "0" else "1", 1),
        lambda word: f"{word[:33]}9{word[34:]}",
        lambda word: word.upper(),
        lambda word: f"{word}\n",
        lambda word: "é" * 32 + word[32:],
    ],
)
def test_a_word_that_was_changed_is_no_session(change: Any) -> None:
    world = SetWorld()
    sessions = Sessions(OwnKey(world), world)
    word = sessions.begin()
    assert word is not None
    assert sessions.find(word)
    assert sessions.find(change(word)) is None
    assert Sessions(OwnKey(world), world).find(word) is None, "another server's"


def test_wrong_words_are_tried_a_few_times_and_then_one_by_one() -> None:
    world = SetWorld()
    tries = Tries(world)
    assert [tries.take() for _ in range(TRIES_MAX + 1)] == [*[True] * TRIES_MAX, False]
    world.pass_time(timedelta(seconds=TRY_SECONDS))
    assert [tries.take(), tries.take()] == [True, False]
    world.pass_time(timedelta(seconds=TRY_SECONDS * 100))
    assert [tries.take() for _ in range(TRIES_MAX + 1)] == [*[True] * TRIES_MAX, False]


def test_who_tries_too_often_is_told_to_wait_and_not_heard(tmp_path: Any) -> None:
    with running_plane(tmp_path, dev=True) as plane:
        show_to_developer(plane.controls)
        guesser = Visitor(plane.url)
        word = plane.controls.links.make()
        guesses = [guesser.post("/console/sign-in", {"word": "x"}) for _ in range(TRIES_MAX)]
        assert {one.status for one in guesses} == {403}
        late = guesser.post("/console/sign-in", {"word": word})
        assert (late.status, late.headers["retry-after"]) == (429, f"{TRY_SECONDS:.0f}")
        assert guesser.cookies == {}


# Forgery


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://far.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/clock/freeze", "/sign-in", "/sign-out"])
def test_a_form_of_another_place_is_refused_with_whatever_cookie(
    dev: Plane, visitor: Visitor, headers: dict[str, str], path: str
) -> None:
    form = visitor.get("/console/clock").text.partition('name="form" value="')[2][:64]
    fields = {"form": form, "word": dev.controls.links.make()}
    refused = visitor.post(f"/console{path}", fields, **headers)
    assert (refused.status, "set-cookie" in refused.headers) == (403, False)
    assert not dev.controls.clock().stands
    assert visitor.get("/console").status == 200


@pytest.mark.parametrize("form", [None, "", "0" * 64])
@pytest.mark.parametrize("path", ["/clock/freeze", "/sign-out"])
def test_a_form_without_the_sessions_word_is_refused(
    dev: Plane, visitor: Visitor, form: str | None, path: str
) -> None:
    refused = visitor.post(f"/console{path}", {} if form is None else {"form": form})
    assert refused.status == 403
    assert not dev.controls.clock().stands
    assert visitor.get("/console").status == 200


def test_the_word_of_another_session_is_refused(dev: Plane, visitor: Visitor) -> None:
    other = Visitor(dev.url)
    other.enter(dev.controls.links.make())
    theirs = other.get("/console/clock").text.partition('name="form" value="')[2][:64]
    assert visitor.post("/console/clock/freeze", {"form": theirs}).status == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_an_order_is_a_form_and_nothing_else(dev: Plane, visitor: Visitor, method: str) -> None:
    ask = partial(visitor.ask, method, "/console/clock/freeze", None)
    assert ask({"origin": dev.url}).status == 405
    assert not dev.controls.clock().stands


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:1", 303), ("[::1]:1", 303), ("far.example", 403), ("127.0.0.1.far.example", 403)],
)
def test_a_developers_console_answers_at_names_of_this_machine_alone(
    dev: Plane, host: str, status: int
) -> None:
    assert Visitor(dev.url).get("/console", host=host).status == status


def test_a_form_has_a_size(visitor: Visitor) -> None:
    fields = {"name": "x" * FORM_BYTES_MAX}
    assert visitor.post("/console/state/save", fields).status == 413
    assert visitor.post("/console/state/save", {str(one): "" for one in range(99)}).status == 400
