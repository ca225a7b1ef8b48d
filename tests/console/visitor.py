"""A browser without a screen: it keeps cookies, fills in forms, and follows no redirect."""

from __future__ import annotations

import html
import http.client
import re
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

_FORM = re.compile(r'<form method="post" action="([^"]+)"(.*?)</form>', re.S)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class Page(NamedTuple):
    """An answer: its status, its headers by their names in lower case, its text."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def leads_to(self) -> str:
        """The place that a redirect names."""
        return self.headers["location"]


class Visitor:
    """A person's browser at a server's console. `cookies` are by name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Page:
        return self.ask("GET", path, None, {"accept": "text/html", **headers})

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        """Send a form, as a page of the console's own does unless `headers` say otherwise."""
        own = {"origin": self.url, "content-type": "application/x-www-form-urlencoded"}
        sent = {name: value for name, value in (own | headers).items() if value}
        return self.ask("POST", path, urlencode(fields), sent)

    def submit(self, page: Page, action: str, **fields: str) -> Page:
        """Fill in the form of a page that leads to `action`, and send it with its hidden fields.

        Of several, the one whose hidden fields are among `fields` already.
        """
        for path, inside in _FORM.findall(page.text):
            hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(inside)}
            if path == action and all(fields.get(name, one) == one for name, one in hidden.items()):
                return self.post(action, hidden | fields)
        raise AssertionError(f"no form leads to {action} with {fields}")

    def enter(self, word: str) -> None:
        """Sign in."""
        done = self.post("/console/sign-in", {"word": word})
        assert (done.status, done.leads_to) == (303, "/console"), done

    def ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Page:
        place = urlsplit(self.url)
        assert place.hostname is not None, self.url
        if self.cookies:
            told = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            headers = {"cookie": told, **headers}
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        told_headers = {name.lower(): value for name, value in reply.getheaders()}
        cookie = told_headers.get("set-cookie", "").partition(";")[0]
        if cookie:
            name, _, value = cookie.partition("=")
            self.cookies.pop(name, None)
            if value.strip('"'):
                self.cookies[name] = value
        return Page(reply.status, told_headers, text)
