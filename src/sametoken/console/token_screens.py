"""Screens of client tokens: a list, which may be searched, and the story of one."""

from __future__ import annotations

from sametoken.console.site import Given, Screen, Site
from sametoken.operate import tokens

# Rows of a page, as many as a person looks through.
_ROWS = 50


def _tokens(site: Site, given: Given) -> dict[str, object]:
    wanted, account = given.get("token", "").strip(), given.get("account", "").strip()
    found = tokens.newest(site.here, account=account or None, limit=_ROWS)
    return {"token": wanted, "account": account, "found": found, "most": _ROWS}


def _token(site: Site, given: Given) -> dict[str, object]:
    name = given.get("name", "")
    stories = tokens.explain(site.here, name, account=given.get("account") or None)
    return {"title": name, "stories": stories}


SCREENS = (
    Screen("/tokens", "Tokens", "tokens.html", _tokens),
    Screen("/token", "Token", "token.html", _token, in_menu=False),
)
