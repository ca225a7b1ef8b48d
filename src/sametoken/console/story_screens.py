"""Screens of stories: tokens and launches as lists, and the story of one of either."""

from __future__ import annotations

from sametoken.console.site import Given, Screen, Site
from sametoken.console.timeline import timeline
from sametoken.operate import launches, tokens
from sametoken.operate.story.model import Story
from sametoken.operate.story.telling import tell

# Rows of a list, as many as a person looks through.
_ROWS = 50


def _tokens(site: Site, given: Given) -> dict[str, object]:
    account = given.get("account", "").strip()
    found = tokens.newest(site.here, account=account or None, limit=_ROWS)
    return {"account": account, "found": found, "most": _ROWS}


def _launches(site: Site, given: Given) -> dict[str, object]:
    under_way, newest = launches.look(site.here, limit=_ROWS)
    return {"under_way": under_way, "newest": newest, "most": _ROWS}


def _story(site: Site, given: Given) -> dict[str, object]:
    named, account = given.get("of", "").strip(), given.get("account") or None
    stories = _told(site, named, account)
    return {
        "title": named,
        "stories": [(one, timeline(one)) for one in stories],
        "is_settled": all(one.is_settled for one in stories),
    }


def _told(site: Site, named: str, account: str | None) -> list[Story]:
    """Tell stories; in development mode with all attempts that were answered until now."""
    if site.controls is None:
        return tell(site.here, named, account=account)
    return site.controls.stories(named, account)


SCREENS = (
    Screen("/launches", "Launches", "launches.html", _launches),
    Screen("/tokens", "Tokens", "tokens.html", _tokens),
    Screen("/story", "Story", "story.html", _story, in_menu=False),
)
