"""The console over HTTP: each page a read, each order a form, and one stream of samples.

A page is read and rendered in a reader's thread, where callers' Describes are; an order runs in a
thread of its own, since an advance takes long. Imported with Starlette at the first request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sametoken.console.doors import TRY_SECONDS
from sametoken.console.rendering import MEDIA, link, render, static
from sametoken.console.sessions import Session
from sametoken.console.site import Act, Given, Screen, Site
from sametoken.console.watching import TooManyWatchers
from sametoken.errors import SametokenError, ServiceError, Transient
from sametoken.server.asgi import Application
from sametoken.server.browsing import PREFIX

# Longer than any form of the console's, with the longest rule that can be written.
FORM_BYTES_MAX = 32 * 1024
FIELDS_MAX = 16
_SIGN_IN = "/sign-in"
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}


class Refused(Exception):
    """A page's or a form's refusal: its status, and a sentence that says what to do."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


class _Outside(Exception):
    """A stranger asks for something that is for those who are signed in."""


def application(site: Site, screens: Sequence[Screen], acts: Sequence[Act]) -> Application:
    """Serve the screens and the orders of a site."""
    console = _Console(site, screens, acts)
    routes = [
        Route(PREFIX + _SIGN_IN, console.door, methods=["GET"]),
        Route(PREFIX + _SIGN_IN, console.sign_in, methods=["POST"]),
        Route(f"{PREFIX}/sign-out", console.sign_out, methods=["POST"]),
        Route(f"{PREFIX}/events", console.events),
        Route(f"{PREFIX}/static/{{digest}}/{{name}}", _static),
        *(Route(PREFIX + one.path, console.screen(one)) for one in screens),
        *(Route(PREFIX + one.path, console.act(one), methods=["POST"]) for one in acts),
    ]
    handlers = {
        Refused: console.refuse,
        _Outside: console.show_door,
        HTTPException: console.refuse_path,
        Exception: console.fail,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


class _Console:
    """The handlers of requests."""

    def __init__(self, site: Site, screens: Sequence[Screen], acts: Sequence[Act]) -> None:
        self._site = site
        self._screens = {one.path: one for one in screens}
        self._menu = [one for one in screens if one.in_menu]
        self._acts = acts

    # Pages

    def screen(self, screen: Screen) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            given = dict(request.query_params) | request.path_params
            word = self._cookie(request)
            again = _again(request)
            return _page(await self._site.read(lambda: self._shown(screen, given, word, again)))

        return answer

    def _shown(
        self, screen: Screen, given: Given, word: str, again: str = "", error: str = ""
    ) -> str:
        """Return a screen's page. It may be read `again` at that path; with "" it may not."""
        session = self._entered(word)
        try:
            values = screen.show(self._site, given)
        except SametokenError as refused:
            if isinstance(refused, Transient):
                raise
            raise _refusal(refused) from refused
        said = {"refresh": again, "done": given.get("done", ""), "error": error}
        return self._rendered(screen, session, values, said)

    def _rendered(
        self,
        screen: Screen,
        session: Session,
        values: Mapping[str, object],
        said: Mapping[str, object] | None = None,
    ) -> str:
        plain = {"refresh": "", "done": "", "error": ""}
        frame: dict[str, object] = {
            **plain, **(said or {}),
            "title": screen.title, "here": screen.path, "menu": self._menu, "form": session.form,
            "is_development": self._site.controls is not None,
        }  # fmt: skip
        return render(screen.template, {**frame, **values})

    def _entered(self, word: str) -> Session:
        session = self._site.sessions.find(word)
        if session is None:
            raise _Outside
        return session

    # Orders

    def act(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            given = await _form(request)
            word = self._cookie(request)
            session = await self._site.read(lambda: self._entered(word))
            if given.get("form") != session.form:
                raise Refused(403, "This form is an old one. Load its page again, and repeat.")
            if act.asks is not None and given.get("sure") != "yes":
                return _page(self._question(act, session, given))
            try:
                done = await asyncio.to_thread(act.run, self._site, given)
            except SametokenError as error:
                status, said = _told(error)
                screen = self._screens[act.screen]
                shown = await self._site.read(
                    lambda: self._shown(screen, given | {"done": ""}, word, error=said)
                )
                return _page(shown, status)
            return RedirectResponse(link(act.screen, done=done), 303)

        return answer

    def _question(self, act: Act, session: Session, given: Given) -> str:
        assert act.asks is not None, "an act that asks"
        asked = {name: value for name, value in given.items() if name != "form"}
        screen = Screen(act.screen, "Are you sure?", "ask.html", lambda site, given: {})
        values = {"question": act.asks(given), "path": act.path, "given": asked}
        return self._rendered(screen, session, values)

    # Doors

    async def door(self, request: Request) -> Response:
        return _page(self._door(request.query_params.get("link", "")))

    def _door(self, word: str = "", error: str = "") -> str:
        values = {"title": "Sign in", "door": self._site.door.name, "word": word, "error": error}
        return render("sign_in.html", values)

    async def sign_in(self, request: Request) -> Response:
        given, tries = await _form(request), self._site.tries
        if not tries.take():
            said = "Too many wrong tries. Wait a little, and try again."
            headers = {"retry-after": f"{TRY_SECONDS:.0f}"}
            return _page(self._door(error=said), 429, headers)
        word = await asyncio.to_thread(self._begin, given.get("word", ""))
        if word is None:
            return _page(self._door(error=_WRONG[self._site.door.name]), 403)
        tries.give_back()
        answer = RedirectResponse(PREFIX, 303)
        answer.set_cookie(
            _cookie_name(request), word, path=PREFIX, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    def _begin(self, word: str) -> str | None:
        return self._site.sessions.begin() if self._site.door.opens(word) else None

    async def sign_out(self, request: Request) -> Response:
        given, word = await _form(request), self._cookie(request)
        session = await self._site.read(lambda: self._entered(word))
        if given.get("form") != session.form:
            raise Refused(403, "This form is an old one. Load its page again, and repeat.")
        await asyncio.to_thread(self._site.sessions.end)
        self._site.watching.end()
        answer = RedirectResponse(link(_SIGN_IN), 303)
        answer.delete_cookie(_cookie_name(request), path=PREFIX)
        return answer

    @staticmethod
    def _cookie(request: Request) -> str:
        return request.cookies.get(_cookie_name(request), "")

    # Samples

    async def events(self, request: Request) -> Response:
        word = self._cookie(request)
        await self._site.read(lambda: self._entered(word))
        samples = self._site.watching.watch()
        try:
            first = await anext(samples)
        except TooManyWatchers:
            raise Refused(503, "As many pages are watching already as may be.") from None
        return StreamingResponse(_told_to(samples, first), media_type="text/event-stream")

    # Refusals

    def refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused), "it is called for these alone"
        values = {"title": "This cannot be", "sentence": str(error)}
        return _page(render("refused.html", values), error.status, error.headers)

    def refuse_path(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "it is called for these alone"
        said = {404: "There is no such page.", 405: "This page takes no such request."}
        sentence = said.get(error.status_code, error.detail)
        refused = Refused(error.status_code, sentence, dict(error.headers or {}))
        return self.refuse(request, refused)

    def show_door(self, request: Request, error: Exception) -> Response:
        if request.method == "GET" and request.url.path != f"{PREFIX}/events":
            return RedirectResponse(link(_SIGN_IN), 303)
        return self.refuse(request, Refused(401, "Sign in first: your session has ended."))

    def fail(self, request: Request, error: Exception) -> Response:
        if isinstance(error, SametokenError):
            return self.refuse(request, _refusal(error))
        # The edge logs it.
        return self.refuse(request, Refused(500, "A bug of the server's; its log tells more."))


_WRONG = {
    "link": "This link was used already, or is of another server. "
    "`sametoken console link` prints a new one.",
    "password": "This is not the password. `sametoken console password` sets another one.",
}


def _again(request: Request) -> str:
    """Return the path at which a page can be read again, without the word of what was done."""
    query = {name: one for name, one in request.query_params.items() if name != "done"}
    return link(request.url.path.removeprefix(PREFIX), **query)


def _cookie_name(request: Request) -> str:
    """Return a name that another server of this host has not: cookies know no ports."""
    server = request.scope["server"]
    return f"sametoken-console-{server[1] if server else 0}"


def _told(error: SametokenError) -> tuple[int, str]:
    match error:
        case Transient():
            return 503, f"{error}; try again"
        case ServiceError():
            return error.http_status, str(error)
        case _:
            return 400, str(error)


def _refusal(error: SametokenError) -> Refused:
    return Refused(*_told(error))


def _page(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, "text/html; charset=utf-8")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in MEDIA:
        raise HTTPException(404)
    return Response(static(name), 200, _FOR_EVER, MEDIA[name])


async def _form(request: Request) -> dict[str, str]:
    """Return the members of a form; of one that was sent twice, the last."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > FORM_BYTES_MAX:
            raise Refused(413, f"The form is longer than {FORM_BYTES_MAX} bytes.")
    try:
        return dict(
            parse_qsl(
                raw.decode(), keep_blank_values=True, errors="strict",
                max_num_fields=FIELDS_MAX,
            )
        )  # fmt: skip
    except ValueError as error:
        raise Refused(400, "This is no form of the console's.") from error


async def _told_to(
    samples: AsyncIterator[list[dict[str, object]]], first: list[dict[str, object]]
) -> AsyncIterator[bytes]:
    """Yield server-sent events: a list of samples each."""
    try:
        yield _event(first)
        async for news in samples:
            yield _event(news)
    finally:
        await samples.aclose()  # type: ignore[attr-defined]  # it is a generator


def _event(samples: list[dict[str, object]]) -> bytes:
    return f"data: {json.dumps(samples)}\n\n".encode()
